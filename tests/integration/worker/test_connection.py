"""One connection to a venue that behaves badly: what is told in the streams, and how often it is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from marketdata.venue import MAX_FRAME_BYTES
from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.rig import Streams, causes, until, verified, worker_settings, working
from tests.redis_server import PrivateRedis

MARKETS = 2
Start = Callable[..., AbstractAsyncContextManager[asyncio.Task[int]]]


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with open_venue(MARKETS) as venue:
        yield venue


@pytest.fixture(params=["python", "native"])
def start(request: pytest.FixtureRequest, server: PrivateRedis, venue: FakeVenue, tmp_path: Path) -> Start:
    catalog = venue.write_catalog(tmp_path / "catalog.json")

    def start(**given: Any) -> AbstractAsyncContextManager[asyncio.Task[int]]:
        settings = {
            "worker_id": "w1",
            "socket_mode": request.param,
            "venue_ws_url": venue.ws_url,
            "clob_url": venue.url,
            "catalog": catalog,
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.4,
            "opens_per_s": 1000,
        }
        return working(worker_settings(server.url, **{**settings, **given}))

    return start


async def live(streams: Streams, tops: int = 2 * MARKETS) -> None:
    def count() -> int:
        return sum(row.entry.kind == "top" for row in streams.all_rows())

    await until(lambda: count() >= tops, f"{tops} tops")


async def shard(streams: Streams, look: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
    """The first connection's status, once it is as wanted."""

    def found() -> dict[str, Any] | None:
        shards = streams.status("w1").get("connections", [])
        return shards[0] if shards and look(shards[0]) else None

    status: dict[str, Any] = await until(found, what)
    return status


def disconnects(streams: Streams) -> list[tuple[str, int | None]]:
    """Market and outcome of each disconnect gap."""
    return sorted(
        (market, row.entry.outcome)
        for market, rows in streams.by_market().items()
        for row in rows
        if row.entry.gap_cause == "disconnect"
    )


async def test_a_venue_that_is_down_at_the_start_is_waited_for(
    start: Start, venue: FakeVenue, streams: Streams, server: PrivateRedis
) -> None:
    await venue.stop()
    async with start():
        await shard(streams, lambda one: one["last_close"].startswith("not opened"), "it says why")
        await venue.start()
        await live(streams)
    assert disconnects(streams) == []
    await verified(server.url)


async def test_each_live_token_gets_one_gap_when_the_venue_dies(
    start: Start, venue: FakeVenue, streams: Streams, server: PrivateRedis
) -> None:
    venue.bookless.add(venue.markets[0].tokens[1])
    async with start():
        await live(streams, 3)
        await venue.stop()
        await until(lambda: len(disconnects(streams)) >= 3, "the gaps")
        said = await shard(streams, lambda one: one["opens"] >= 4, "more tries")
        assert said["live"] == 0
        await venue.start()
        await live(streams, 6)
        first, second = venue.markets
        # The token that never had a book was never vouched for, and failed tries say nothing new.
        assert disconnects(streams) == [
            (first.condition_id, 0),
            (second.condition_id, 0),
            (second.condition_id, 1),
        ]
        for rows in streams.by_market().values():
            tops = [row.entry.gen for row in rows if row.entry.kind == "top"]
            gaps = [row for row in rows if row.entry.gap_cause == "disconnect"]
            assert sorted(set(tops)) == [2, 3]
            assert all(row.entry.gen == 2 for row in gaps)
    await verified(server.url)


async def test_a_venue_that_accepts_and_closes_is_not_hammered(
    start: Start, venue: FakeVenue, streams: Streams
) -> None:
    async def accept_and_close(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close(code=4001, message=b"not you")
        return socket

    venue.conduct = accept_and_close
    # A thirtieth of the real times: what is at most 12 in 60 s is at most 12 in 2 s.
    async with start(reconnect_min_s=1 / 30, reconnect_max_s=1):
        await until(lambda: venue.opens, "the first")
        await until(lambda: asyncio.get_running_loop().time() - venue.opens[0] > 2, "two seconds passed")
        in_time = [at_s for at_s in venue.opens if at_s - venue.opens[0] <= 2]
        assert 4 <= len(in_time) <= 12
        await shard(streams, lambda one: one["last_close"] == "4001 not you", "the reason is told")
        venue.conduct = None
        await live(streams)
    assert disconnects(streams) == []


async def test_the_venues_close_code_and_reason_are_told(
    start: Start, venue: FakeVenue, streams: Streams
) -> None:
    async with start():
        await live(streams)
        for socket in list(venue.sockets):
            await socket.close(code=1012, message=b"service restart")
        await live(streams, 8)
        await shard(streams, lambda one: one["last_close"] == "1012 service restart", "code and reason")
        await shard(streams, lambda one: one["generation"] == 2, "the second generation")


async def test_a_refusal_with_retry_after_is_heeded(start: Start, venue: FakeVenue, streams: Streams) -> None:
    async def too_many(request: web.Request) -> web.StreamResponse:
        venue.conduct = None
        return web.Response(status=429, headers={"Retry-After": "1"})

    venue.conduct = too_many
    async with start():
        await live(streams)
        first, second = venue.opens
        assert 1.0 <= second - first < 3
        said = await shard(streams, lambda one: one["opens"] == 2, "two tries")
        assert said["last_close"] == "not opened: the venue answered HTTP 429"


async def test_a_missing_pong_ends_the_connection(
    start: Start, venue: FakeVenue, streams: Streams, server: PrivateRedis
) -> None:
    venue.silent = True
    async with start(ping_interval_s=0.5, pong_timeout_s=1):
        await live(streams)
        await until(lambda: len(disconnects(streams)) == 2 * MARKETS, "a gap a token")
        venue.silent = False
        await live(streams, 4 * MARKETS)
        said = await shard(streams, lambda one: one["generation"] == 2, "a new connection")
        assert said["last_close"] == "1001 no PONG for 1 s"
        await shard(streams, lambda one: one["pong_ms"] is not None, "the new one is answered")
        assert streams.status("w1")["counters"]["pong_timeouts"] == 1
    assert venue.received[0] != "PING"
    await verified(server.url)


async def test_a_frame_that_is_too_large_ends_the_connection_with_1009(
    start: Start, venue: FakeVenue, streams: Streams, server: PrivateRedis
) -> None:
    async with start():
        await live(streams)
        await venue.send(b" " * (MAX_FRAME_BYTES + 1))
        await until(lambda: len(disconnects(streams)) == 2 * MARKETS, "a gap a token")
        await live(streams, 4 * MARKETS)
        said = await shard(streams, lambda one: one["generation"] == 2, "a new connection")
        assert said["last_close"].startswith("1009")
        # One byte less is a frame like any other: long and useless, but no reason to leave.
        await venue.send(b"[" + b" " * (MAX_FRAME_BYTES - 2) + b"]")
        await venue.quote(venue.markets[0], 77)
        await live(streams, 4 * MARKETS + 2)
        assert len(disconnects(streams)) == 2 * MARKETS
    await verified(server.url)


async def test_frames_in_pieces_and_pings_of_the_protocol_are_no_trouble(
    start: Start, venue: FakeVenue, streams: Streams
) -> None:
    async with start():
        await live(streams)
        await venue.send(b"are you there", WSMsgType.PING)
        await venue.send(b'{"event_type":"sport_result","score":"1-0"}', WSMsgType.BINARY)
        await venue.quote(venue.markets[0], 77)
        await live(streams, 2 * MARKETS + 2)
        counted = streams.status("w1")
        assert counted["counters"]["disconnects"] == 0


async def test_a_first_book_that_is_missing_is_asked_for_again(
    start: Start, venue: FakeVenue, streams: Streams, server: PrivateRedis
) -> None:
    late = venue.markets[0].tokens[1]
    venue.bookless.add(late)
    async with start(first_book_timeout_s=1):
        await live(streams, 3)
        # REST has no book of it either: nothing to insist on.
        await shard(streams, lambda one: one["unlisted"] == 1, "the venue does not list it")
        venue.bookless.clear()
        await venue.quote(venue.markets[0], 60, [1])
        await live(streams, 4)
    assert [cause for rows in streams.by_market().values() for cause in causes(rows)] == [
        "handover",
        "shutdown",
    ] * MARKETS
    await verified(server.url)
