"""The promise against a venue whose truth is known: every top, trade and tick, exactly once, as it was."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.acceptance.synthetic_run import run
from tests.acceptance.synthetic_truth import Told
from tests.acceptance.synthetic_truth import mistake as mistake_since

TRUTH = [
    Told("top", 10, ("0.4", "5", "0.6", "7")),
    Told("trade", 11, ("", "", "0.6", "1")),
    Told("top", 11, ("0.4", "5", "0.6", "7")),
    Told("top", 12, ("0.5", "5", "0.6", "7")),
    Told("tick", 13, ("0.001",)),
    Told("top", 13, ("0.5", "9", "0.6", "7")),
]
NEEDED = [TRUTH[0], TRUTH[1], TRUTH[3], TRUTH[4], TRUTH[5]]


def mistake(truth: list[Told], found: list[Told]) -> str:
    return mistake_since(truth, found, first_book_ms=10)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
@pytest.mark.timeout(150)
async def test_streams_tell_the_truth() -> None:
    seed = secrets.randbits(32)
    outcome = await run(markets=200, rate=1_000, seconds=20, seed=seed)
    print("\n".join(outcome.lines()))
    assert outcome.faults() == []
    assert outcome.tokens >= 400
    assert outcome.tops > 2_000
    assert outcome.trades > 20


def test_a_stream_that_tells_all_is_right() -> None:
    assert mistake(TRUTH, NEEDED) == ""


def test_a_top_inside_a_step_may_have_another_size() -> None:
    inside = Told("top", 12, ("0.5", "4", "0.6", "7"))
    assert mistake(TRUTH, [*NEEDED[:2], inside, *NEEDED[2:]]) == ""
    wrong = inside._replace(values=("0.45", "4", "0.6", "7"))
    assert "where" in mistake(TRUTH, [*NEEDED[:2], wrong, *NEEDED[2:]])


def test_a_trade_that_was_told_before_the_subscription_is_not_missed() -> None:
    found = [NEEDED[0], *NEEDED[2:]]
    assert mistake_since(TRUTH, found, first_book_ms=11) == ""
    assert "due" in mistake_since(TRUTH, found, first_book_ms=10)
    assert mistake_since(TRUTH[:2], found[:1], first_book_ms=11) == ""
    assert "missing" in mistake_since(TRUTH[:2], found[:1], first_book_ms=10)


@pytest.mark.parametrize("place", [2, 3, 4])
def test_what_is_missing_is_noticed(place: int) -> None:
    assert mistake(TRUTH, [*NEEDED[:place], *NEEDED[place + 1 :]])


@pytest.mark.parametrize("place", range(5))
def test_what_is_told_twice_or_otherwise_is_noticed(place: int) -> None:
    one = NEEDED[place]
    assert mistake(TRUTH, [*NEEDED[: place + 1], *NEEDED[place:]])
    other = one._replace(values=(one.values[0] + "1", *one.values[1:]))
    assert mistake(TRUTH, [*NEEDED[:place], other, *NEEDED[place + 1 :]])
    assert mistake(TRUTH, [*NEEDED[:place], one._replace(venue_ms=99), *NEEDED[place + 1 :]])


def test_a_stream_that_tells_nothing_is_wrong() -> None:
    assert mistake(TRUTH, []) == "nothing was told"
