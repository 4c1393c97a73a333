"""Markets are found over HTTP as Gamma answers it, faults included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from marketdata.errors import DiscoveryError
from tests.gamma_rows import Row, event_row, market_row, recorded, token
from tests.gamma_server import Fault, Gamma
from worker.discovery.found import Resolution
from worker.discovery.gamma import GammaDiscovery
from worker.discovery.reader import JsonReader, RetryBudget, retry_after_s
from worker.discovery.selection import Filters


class Time:
    """A clock that moves only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds
        await asyncio.sleep(0)

    def clock(self) -> float:
        return self.now_s


class Setup:
    """A Gamma that answers, and how to make discoveries that ask it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.gamma = Gamma()
        self.time = Time()
        self.url = ""

    def reader(self, **options: Any) -> JsonReader:
        return JsonReader(
            self.session, self.url, random=Random(7), sleep=self.time.sleep, clock=self.time.clock, **options
        )

    def discovery(
        self, filters: Filters | None = None, enough_markets: int = 0, **options: Any
    ) -> GammaDiscovery:
        return GammaDiscovery(
            self.session,
            self.url,
            partitions=64,
            filters=filters,
            enough_markets=enough_markets,
            reader=self.reader(**options),
        )


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    async with aiohttp.ClientSession() as session:
        made = Setup(session)
        app = web.Application()

        async def answer(request: web.Request) -> web.StreamResponse:
            return await made.gamma.answer(request)

        app.router.add_get("/{path:.*}", answer)
        async with TestServer(app, host="127.0.0.1") as server:
            made.url = str(server.make_url("/"))
            yield made


def events(count: int) -> list[Row]:
    """Events of two markets each, the first one the busiest."""
    return [
        event_row(
            f"event-{n}",
            market_row(f"{n}-a", volume24hr=100.0 - n),
            market_row(f"{n}-b", volume24hr=100.0 - n),
            tags=[{"id": str(n % 2), "slug": "tag"}],
        )
        for n in range(count)
    ]


async def slugs(discovery: GammaDiscovery) -> list[str]:
    found = await discovery.fetch()
    assert found.refused == []
    return sorted({one.event_slug for one in found.markets})


async def test_all_pages_are_read_by_their_cursors(setup: Setup) -> None:
    setup.gamma = Gamma(*events(5))
    found = await setup.discovery().fetch()
    assert [one.slug for one in found.markets] == [
        row["slug"] for event in setup.gamma.events for row in event["markets"]
    ]
    assert (found.refused, found.complete) == ([], True)
    pages = [dict(params) for params in setup.gamma.asked("/events/keyset")]
    assert [page.get("after_cursor") for page in pages] == [None, "cursor-2", "cursor-4"]
    assert {(page["closed"], page["limit"], page["order"]) for page in pages} == {
        ("false", "100", "volume24hr")
    }
    assert {one.event_size for one in found.markets} == {2}


async def test_reading_stops_when_it_has_enough_of_the_busiest(setup: Setup) -> None:
    setup.gamma = Gamma(*reversed(events(9)))
    found = await setup.discovery(enough_markets=6).fetch()
    assert {one.event_slug for one in found.markets} == {f"event-{n}" for n in range(4)}
    assert not found.complete


async def test_an_event_that_comes_on_two_pages_counts_once(setup: Setup) -> None:
    setup.gamma = Gamma(*events(6))
    twice = {"events": setup.gamma.events[:2], "next_cursor": "cursor-0"}
    setup.gamma.faults = [lambda _: web.json_response(twice)]
    found = await setup.discovery(enough_markets=8).fetch()
    assert {one.event_slug for one in found.markets} == {f"event-{n}" for n in range(4)}


async def test_tags_are_asked_one_by_one_and_an_event_with_both_is_found_once(setup: Setup) -> None:
    setup.gamma = Gamma(*events(4))
    setup.gamma.events[1]["tags"].append({"id": "0"})
    found = await setup.discovery(Filters(tag_ids=frozenset({"0", "1"}))).fetch()
    assert len(found.markets) == 8
    assert await slugs(setup.discovery(Filters(tag_ids=frozenset({"1"})))) == ["event-1", "event-3"]


async def test_event_slugs_are_asked_in_one_address_and_missing_ones_are_named(setup: Setup) -> None:
    setup.gamma = Gamma(*events(4))
    setup.gamma.events[3]["closed"] = True
    wanted = Filters(event_slugs=frozenset({"event-0", "event-2", "event-3", "nowhere"}))
    found = await setup.discovery(wanted).fetch()
    assert {one.event_slug for one in found.markets} == {"event-0", "event-2"}
    assert found.refused == [
        ("event-3", "no open event has this slug"),
        ("nowhere", "no open event has this slug"),
    ]
    assert [path for path, _ in setup.gamma.requests] == ["/events"]


async def test_a_condition_id_brings_the_whole_event(setup: Setup) -> None:
    setup.gamma = Gamma(*events(3))
    wanted = setup.gamma.events[1]["markets"][0]["conditionId"]
    found = await setup.discovery(Filters(condition_ids=frozenset({wanted, "0x" + "0" * 64}))).fetch()
    assert [(one.event_slug, one.event_size) for one in found.markets] == [("event-1", 2)] * 2
    assert found.refused == [("0x" + "0" * 64, "no open market has this condition id")]


async def test_a_market_without_an_event_is_found_by_its_condition_id(setup: Setup) -> None:
    setup.gamma.loose = [market_row("loose")]
    wanted = setup.gamma.loose[0]["conditionId"]
    found = await setup.discovery(Filters(condition_ids=frozenset({wanted}))).fetch()
    assert [one.family for one in found.markets] == [f"market:{wanted}"]


async def test_many_condition_ids_go_in_addresses_that_the_venue_accepts(setup: Setup) -> None:
    setup.gamma = Gamma(*events(120))
    wanted = frozenset(event["markets"][0]["conditionId"] for event in setup.gamma.events)
    found = await setup.discovery(Filters(condition_ids=wanted)).fetch()
    assert (len(found.markets), found.refused) == (240, [])
    assert len(setup.gamma.asked("/markets")) == 3


async def test_a_protocol_v2_market_is_found_by_its_padded_id(setup: Setup) -> None:
    short = "0x" + "ab" * 31
    setup.gamma.loose = [market_row(conditionId=short, version="v2", positionIds=[token("y"), token("n")])]
    found = await setup.discovery(Filters(condition_ids=frozenset({short + "00"}))).fetch()
    assert [one.condition_id for one in found.markets] == [short + "00"]


async def test_a_ladder_brings_the_ranges_beside_it(setup: Setup) -> None:
    constructed = {event["slug"]: event for _, _, event in recorded("gamma_constructed") if event}
    setup.gamma = Gamma(*constructed.values())
    above, beside = sorted(constructed)
    assert await slugs(setup.discovery(Filters(event_slugs=frozenset({above})))) == [above, beside]
    assert await slugs(setup.discovery(Filters(event_slugs=frozenset({beside})))) == [above, beside]


async def test_bad_rows_are_refused_one_by_one_and_the_rest_is_kept(setup: Setup) -> None:
    good = market_row("good")
    stolen = market_row("thief", clobTokenIds=good["clobTokenIds"])
    newborn = market_row("newborn", clobTokenIds="")
    setup.gamma = Gamma(event_row("some", good, stolen, newborn))
    setup.gamma.faults = [
        lambda _: web.json_response(
            {"events": [*setup.gamma.events, 7, {"slug": "hollow"}, event_row("x", markets=["row"])]}
        )
    ]
    found = await setup.discovery().fetch()
    assert [one.slug for one in found.markets] == ["will-good-happen"]
    reasons = dict(found.refused)
    assert "belongs to market" in reasons[stolen["conditionId"]]
    assert "no token ids yet" in reasons[newborn["conditionId"]]
    assert reasons["hollow"] == "the event has no list of markets"
    assert "not an object" in reasons["?"]


def status(code: int, **headers: str) -> Fault:
    return lambda _: web.Response(
        status=code, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )


def body(text: str) -> Fault:
    return lambda _: web.Response(text=text, content_type="text/html")


def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def test_passing_faults_are_tried_again_with_growing_delays(setup: Setup) -> None:
    setup.gamma = Gamma(*events(1))
    # aiohttp itself repeats a request when a kept connection turns out to be dead, hence the second one.
    setup.gamma.faults = [status(500), status(502), body("<html>"), hang_up, hang_up]
    found = await setup.discovery(requests_per_s=10**9).fetch()
    assert len(found.markets) == 2
    delays = [slept for slept in setup.time.slept if slept > 0.01]
    assert len(delays) == 4
    for delay_s, full_s in zip(delays, (1, 2, 4, 8), strict=True):
        assert full_s / 2 <= delay_s <= full_s


async def test_429_waits_as_long_as_it_was_asked_to(setup: Setup) -> None:
    setup.gamma = Gamma(*events(1))
    setup.gamma.faults = [status(429, Retry_After="17")]
    assert len((await setup.discovery().fetch()).markets) == 2
    assert 17.0 in setup.time.slept


async def test_a_wait_longer_than_the_budget_ends_the_refresh_at_once(setup: Setup) -> None:
    setup.gamma.faults = [status(429, Retry_After="86400")]
    with pytest.raises(
        DiscoveryError, match=r"/events/keyset failed 1 times, last: HTTP 429; .* stay in use"
    ):
        await setup.discovery().fetch()
    assert 86400.0 not in setup.time.slept


async def test_a_refresh_gives_up_after_its_retries_and_the_next_one_starts_anew(setup: Setup) -> None:
    setup.gamma = Gamma(*events(1))
    setup.gamma.faults = [status(503)] * 9
    discovery = setup.discovery()
    with pytest.raises(DiscoveryError, match="failed 9 times, last: HTTP 503"):
        await discovery.fetch()
    assert len((await discovery.fetch()).markets) == 2


async def test_the_retries_are_those_of_the_whole_refresh(setup: Setup) -> None:
    setup.gamma = Gamma(*events(20))
    answers = setup.gamma.answer
    turns = iter(range(10**6))

    async def every_second_one_fails(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500) if next(turns) % 2 else await answers(request)

    setup.gamma.answer = every_second_one_fails  # type: ignore[method-assign]
    with pytest.raises(DiscoveryError, match="HTTP 500"):
        await setup.discovery().fetch()


@pytest.mark.parametrize("code", [400, 403, 404, 422])
async def test_a_refusal_is_not_tried_again(setup: Setup, code: int) -> None:
    setup.gamma.faults = [status(code)]
    with pytest.raises(DiscoveryError, match=f"HTTP {code}"):
        await setup.discovery().fetch()
    assert len(setup.gamma.requests) == 1


async def test_nobody_listening_is_a_discovery_error(setup: Setup, unused_tcp_port: int) -> None:
    setup.url = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(DiscoveryError, match="Connect"):
        await setup.discovery().fetch()


async def test_a_server_that_never_answers_is_a_discovery_error(setup: Setup) -> None:
    release = asyncio.Event()

    async def never(_: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    setup.gamma.answer = never  # type: ignore[method-assign, assignment]
    reader = setup.reader(timeout=aiohttp.ClientTimeout(total=0.05))
    with pytest.raises(DiscoveryError, match="Timeout"):
        await reader.get("/events", [], RetryBudget(retries=1))
    release.set()


async def test_an_answer_above_the_bound_is_not_read(setup: Setup) -> None:
    setup.gamma.faults = [lambda _: web.Response(body=b"[" + b" " * 300_000 + b"]")]
    with pytest.raises(DiscoveryError, match="more than 100000 bytes"):
        await setup.discovery(max_response_bytes=100_000).fetch()


async def test_a_compressed_answer_is_bounded_by_what_it_unpacks_to(setup: Setup) -> None:
    def packed(_: web.Request) -> web.StreamResponse:
        answer = web.Response(body=b"[" + b" " * 10_000_000 + b"]")
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    setup.gamma.faults = [packed]
    with pytest.raises(DiscoveryError, match="more than 100000 bytes"):
        await setup.discovery(max_response_bytes=100_000).fetch()


@pytest.mark.parametrize("answer", ["{}", "7", '{"events": 1}', "null"])
async def test_json_of_another_shape_is_refused(setup: Setup, answer: str) -> None:
    setup.gamma.faults = [body(answer)]
    with pytest.raises(DiscoveryError, match="answered no list of events"):
        await setup.discovery().fetch()


async def test_a_cursor_that_does_not_move_ends_the_reading(setup: Setup) -> None:
    stuck = {"events": [], "next_cursor": "same"}
    setup.gamma.faults = [lambda _: web.json_response(stuck)] * 3
    with pytest.raises(DiscoveryError, match="the same cursor twice"):
        await setup.discovery().fetch()
    assert len(setup.gamma.requests) == 2


async def test_endless_pages_end_the_reading(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.discovery.gamma.MAX_PAGES", 3)
    setup.gamma = Gamma(*events(20))
    with pytest.raises(DiscoveryError, match="more than 3 pages"):
        await setup.discovery().fetch()


async def test_requests_are_started_at_most_five_a_second(setup: Setup) -> None:
    setup.gamma = Gamma(*events(22))
    await setup.discovery().fetch()
    assert len(setup.gamma.requests) == 11
    assert setup.time.now_s == pytest.approx(2.0)


async def test_requests_at_once_share_one_pace(setup: Setup) -> None:
    setup.gamma = Gamma(*events(1))
    reader = setup.reader()
    await asyncio.gather(*(reader.get("/events", [("slug", "event-0")], RetryBudget()) for _ in range(6)))
    assert sorted(round(slept, 6) for slept in setup.time.slept)[-1] <= 1.0
    assert len(setup.time.slept) == 5


async def test_resolutions_say_who_won(setup: Setup) -> None:
    over = {"closed": True, "umaResolutionStatus": "resolved"}
    rows = [
        market_row("yes", **over, outcomePrices='["1", "0"]'),
        market_row("no", **over, outcomePrices='["0", "1"]'),
        market_row("even", **over, outcomePrices='["0.5", "0.5"]'),
        market_row("waiting", closed=True, umaResolutionStatus="proposed"),
        market_row("open"),
        market_row("broken", **over, outcomePrices="{"),
    ]
    setup.gamma.loose = rows
    asked = [row["conditionId"] for row in rows]
    found = await setup.discovery().resolutions(asked)
    assert found.over == dict(
        zip(
            asked,
            [
                Resolution("resolved", 0),
                Resolution("resolved", 1),
                Resolution("resolved", "split"),
                Resolution("closed", None),
            ],
            strict=False,
        )
    )
    assert [reason for _, reason in found.refused] == ["outcomePrices is not a JSON list: '{'"]


async def test_nothing_is_asked_when_no_market_is_in_question(setup: Setup) -> None:
    assert (await setup.discovery().resolutions([])).over == {}
    assert setup.gamma.requests == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0.0),
        ("12", 12.0),
        (" 12 ", 12.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("Sun, 22 Nov 2026 10:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str, seconds: float) -> None:
    assert retry_after_s(header, datetime(2026, 11, 22, 10, tzinfo=UTC)) == pytest.approx(seconds)
