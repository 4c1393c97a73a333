"""One word says whether the data can be trusted; whatever is wrong is in it."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.dashboard.health import Facts, Health, health_of
from consumers.dashboard.reading import Server
from tests.dashboard_world import NOW_MS, PARTITIONS, SERVER, connection, parsed


def facts(*workers: dict[str, Any], age_ms: int = 400, **given: Any) -> Facts:
    words = tuple(parsed(**one) for one in workers)
    plain: dict[str, Any] = {
        "looked": True,
        "read_age_ms": 100,
        "away": "",
        "workers": words,
        "ages_ms": {word.worker: age_ms for word in words},
        "unreadable": (),
        "partitions": PARTITIONS,
        "clock_ages_ms": dict.fromkeys(range(PARTITIONS), 900),
        "server": SERVER,
    }
    return Facts(**plain | given)


def received(silent_s: int, **given: int) -> dict[str, int]:
    return {"silent_s": silent_s, "seconds": 60, "busy_seconds": 60, "messages": 7_200} | given


def test_all_is_well() -> None:
    assert health_of(facts({})) == Health("LIVE")


def test_tokens_without_a_book_at_the_venue_are_no_fault() -> None:
    assert health_of(facts({"tokens_unlisted": 7})).word == "LIVE"


def test_a_worker_of_an_older_version_is_no_fault() -> None:
    assert health_of(facts({"tokens_stale": ..., "tokens_quarantined": ...})).word == "LIVE"


@pytest.mark.parametrize(
    ("workers", "given", "why"),
    [
        ([{}], {"away": "Redis does not answer (refused)"}, "Redis does not answer (refused)"),
        ([], {}, "no worker is here"),
        ([], {"unreadable": ["w9"]}, "the record of worker w9 cannot be read"),
        ([{}], {"age_ms": 2_100}, "no word of worker alpha-1 for 2 s"),
        ([{"state": "stopped"}], {}, "worker alpha-1 stopped"),
        ([{"state": "starting", "partitions": 0}], {}, "no worker writes; alpha-1 is starting"),
        ([{"state": "standby", "partitions": 0}], {}, "no worker writes; alpha-1 is standing by"),
        ([{"tokens_live": 0}], {}, "no token is live"),
        ([{"tokens_live": 0, "tokens": 0}], {}, "no token is followed yet"),
        (
            [{"tokens_live": 0, "tokens": 0, "loading": True}],
            {},
            "no token is followed yet, the markets are being loaded",
        ),
    ],
)
def test_down(workers: list[dict[str, Any]], given: dict[str, Any], why: str) -> None:
    health = health_of(facts(*workers, **given))
    assert (health.word, health.why) == ("DOWN", why)


OTHER: dict[str, Any] = {
    "worker": "beta-2",
    "state": "standby",
    "partitions": 0,
    "connections": [],
    "tokens": 0,
}


@pytest.mark.parametrize(
    ("workers", "given", "why"),
    [
        ([{"partitions": 60}], {}, "4 of 64 partitions have no writer"),
        ([{"tokens_waiting": 3}], {}, "3 of 100 tokens wait for a book"),
        ([{"tokens_stale": 2}], {}, "2 of 100 tokens are stale"),
        ([{"tokens_quarantined": 1}], {}, "1 of 100 tokens are quarantined"),
        (
            [{"connections": [connection(state="closed"), connection()]}],
            {},
            "1 of 2 connections are not open",
        ),
        ([{"redis": "away", "pending": 12}], {}, "worker alpha-1 does not reach Redis; 12 updates wait"),
        ([{"pending": 20_000}], {}, "20,000 updates wait for Redis"),
        ([{}], {"unreadable": ["w9"]}, "the record of worker w9 cannot be read"),
        ([{}], {"clock_ages_ms": {0: 900, 1: 6_100}}, "1 partitions are not vouched for since 6 s"),
        ([{}], {"server": Server(99, 100, True, "", "x")}, "Redis' memory is 99 % full"),
        ([{}], {"server": Server(1, 0, True, "it is a replica", "x")}, "Redis: it is a replica"),
        (
            [{"partitions": 40}, {**OTHER, "state": "running", "partitions": 24}],
            {"ages_ms": {"alpha-1": 100, "beta-2": 2_000}},
            "no word of worker beta-2 for 2 s",
        ),
        ([{"received": received(6)}], {}, "nothing received for 6 s, where 120 messages/s came"),
        (
            [{"received": received(6), "partitions": 32}, {**OTHER, "state": "running", "partitions": 32}],
            {},
            "nothing received by alpha-1 for 6 s, where 120 messages/s came",
        ),
        (
            [{"connections": [connection(), connection("c1", pong_awaited_ms=NOW_MS - 7_000)]}],
            {},
            "the PING of c1 is unanswered for 7 s",
        ),
    ],
)
def test_degraded(workers: list[dict[str, Any]], given: dict[str, Any], why: str) -> None:
    health = health_of(facts(*workers, **given))
    assert (health.word, health.why) == ("DEGRADED", why)


def test_the_worst_comes_first_and_the_others_are_counted() -> None:
    health = health_of(facts({"tokens_waiting": 3, "tokens_stale": 2, "partitions": 60}))
    assert health.why == "4 of 64 partitions have no writer"
    assert health.more == 2


def test_a_worker_that_died_is_history_once_others_write_its_partitions() -> None:
    silent = {**OTHER, "state": "running", "partitions": 64}
    assert health_of(facts({}, silent, ages_ms={"alpha-1": 100, "beta-2": 4_000})).word == "LIVE"
    missed = health_of(facts({"partitions": 1}, silent, ages_ms={"alpha-1": 100, "beta-2": 40_000}))
    assert missed.why == "no word of worker beta-2 for 40 s"


@pytest.mark.parametrize(
    ("given", "least_s"),
    [
        ({}, 4),
        ({"busy_seconds": 50, "messages": 400}, 8),
        ({"busy_seconds": 40, "messages": 60}, 13),
        ({"seconds": 20, "busy_seconds": 20, "messages": 40}, 5),
    ],
)
def test_a_silence_is_told_of_the_sooner_the_busier_it_was_before(
    given: dict[str, int], least_s: int
) -> None:
    for silent_s in range(1, 61):
        word = health_of(facts({"received": received(silent_s, **given)})).word
        assert word == ("DEGRADED" if silent_s >= least_s else "LIVE"), silent_s


@pytest.mark.parametrize(
    "given",
    [
        {"busy_seconds": 39, "messages": 50},
        {"seconds": 19, "busy_seconds": 19},
        {"seconds": 0, "busy_seconds": 0, "messages": 0},
        {"seconds": 1, "busy_seconds": 1, "messages": 500},
    ],
)
def test_quiet_nights_and_first_books_do_not_flap(given: dict[str, int]) -> None:
    assert health_of(facts({"received": received(3_600, **given)})).word == "LIVE"


def test_a_standby_or_an_older_worker_is_not_cut_off() -> None:
    standby = {**OTHER, "received": received(60)}
    assert health_of(facts({"received": ...}, standby)).word == "LIVE"


def test_a_ping_may_take_its_time() -> None:
    asked = connection(pong_awaited_ms=NOW_MS - 4_000)
    assert health_of(facts({"connections": [asked]})).word == "LIVE"


def test_nothing_is_claimed_before_the_first_look() -> None:
    assert health_of(facts({}, looked=False)).word == "WAIT"
    assert health_of(facts(looked=False, away="refused")).word == "DOWN"
