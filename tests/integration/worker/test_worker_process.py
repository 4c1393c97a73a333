"""A worker stops in good order within five seconds, whatever else is going on. Real processes, real signals."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.processes import WorkerProcess
from tests.integration.worker.rig import NOWHERE, Streams, causes, until, verified
from tests.redis_server import PrivateRedis

MARKETS = 3
STOP_S = 5.0
CODES = {signal.SIGTERM: 0, signal.SIGINT: 130}
"""Ctrl-C ends a command with 130, by custom; both are stops in good order."""


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def streams(server: PrivateRedis) -> Iterator[Streams]:
    with server.client() as client:
        yield Streams(client)


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with open_venue(MARKETS) as venue:
        yield venue


def started(server: PrivateRedis, venue: FakeVenue, folder: Path, **given: Any) -> WorkerProcess:
    settings = {
        "redis_url": server.url,
        "venue_ws_url": venue.ws_url,
        "gamma_url": NOWHERE,
        "clob_url": NOWHERE,
        "catalog": venue.write_catalog(folder / "catalog.json"),
        "reconnect_min_s": 0.1,
    }
    return WorkerProcess(folder, "w1", **{**settings, **given})


async def live(streams: Streams, worker: WorkerProcess) -> None:
    def all_live() -> bool:
        said = streams.status("w1")
        return said.get("pid") == worker.process.pid and said["tokens_live"] == 2 * MARKETS

    await until(all_live, f"all tokens are live\n{worker.log}")


async def stopped(worker: WorkerProcess, number: signal.Signals = signal.SIGTERM) -> int:
    """Stops it and returns the exit code; in time, or the test fails."""
    asked_s = time.monotonic()
    worker.send(number)
    code = await worker.end(STOP_S + 3)
    took_s = time.monotonic() - asked_s
    assert took_s < STOP_S, f"it took {took_s:.1f} s\n{worker.log}"
    assert "Traceback" not in worker.log
    return code


def assert_marked_and_free(streams: Streams) -> None:
    assert len(streams.names()) == MARKETS
    for rows in streams.by_market().values():
        assert causes(rows) == ["handover", "shutdown"]
        assert rows[-1].entry.gap_cause == "shutdown"
        assert rows[-1].entry.outcome is None
    keys: Any = streams.client.keys("lease:*")
    assert len(keys) == 64
    assert {streams.client.hget(key, "owner") for key in keys} == {b""}
    assert streams.status("w1")["state"] == "stopped"


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
async def test_a_signal_ends_it_in_good_order(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path, number: signal.Signals
) -> None:
    quoting = asyncio.create_task(venue.quote_for_ever(0.002))
    with started(server, venue, tmp_path) as worker:
        await live(streams, worker)
        assert await stopped(worker, number) == CODES[number]
    quoting.cancel()
    await asyncio.wait({quoting})
    assert_marked_and_free(streams)
    await verified(server.url)


async def test_the_connections_are_closed_with_1000(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path
) -> None:
    with started(server, venue, tmp_path) as worker:
        await live(streams, worker)
        (socket,) = venue.sockets
        assert await stopped(worker) == 0
        await until(lambda: socket.closed, "the venue saw the close")
        assert socket.close_code == 1000


async def test_it_ends_in_time_with_redis_gone(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path
) -> None:
    with started(server, venue, tmp_path) as worker:
        await live(streams, worker)
        server.kill9()
        assert await stopped(worker) == 0
        assert "stopped without Redis" in worker.log
        server.start()
        assert all(causes(rows) == ["handover"] for rows in streams.by_market().values())
    await verified(server.url)


async def test_it_ends_in_time_with_redis_frozen(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path
) -> None:
    with started(server, venue, tmp_path) as worker:
        await live(streams, worker)
        server.pause()
        try:
            assert await stopped(worker) == 0
        finally:
            server.resume()
    await verified(server.url)


async def test_it_ends_in_time_while_it_waits_for_redis(
    server: PrivateRedis, venue: FakeVenue, tmp_path: Path
) -> None:
    server.kill9()
    with started(server, venue, tmp_path) as worker:
        await until(lambda: "does not answer" in worker.log, f"it waits\n{worker.log}")
        assert await stopped(worker) == 0


async def test_it_ends_in_time_with_a_venue_that_does_not_read(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path
) -> None:
    with started(server, venue, tmp_path) as worker:
        await live(streams, worker)
        venue.stop_reading()
        assert await stopped(worker) == 0
    assert_marked_and_free(streams)
    await verified(server.url)


async def test_it_ends_in_time_while_the_venue_leaves_it_waiting(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path
) -> None:
    asked, never = asyncio.Event(), asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        asked.set()
        await never.wait()
        return web.Response()

    venue.conduct = hang
    with started(server, venue, tmp_path) as worker:
        async with asyncio.timeout(20):
            await asked.wait()
        await until(lambda: len(streams.names()) == MARKETS, "the streams are begun")
        assert await stopped(worker) == 0
    never.set()
    assert_marked_and_free(streams)


async def test_it_ends_in_time_with_everything_in_the_way(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path
) -> None:
    quoting = asyncio.create_task(venue.quote_for_ever(0.002))
    with started(server, venue, tmp_path, lease_ttl_s=1) as worker:
        await live(streams, worker)
        server.kill9()
        quoting.cancel()
        await asyncio.wait({quoting})
        venue.stop_reading()
        assert await stopped(worker) == 0
        assert "the next owner of the partitions marks the gap" in worker.log
        server.start()
    # The promise: what was not written is a gap that the next owner writes.
    with started(server, venue, tmp_path) as worker:
        await live(streams, worker)
        assert await stopped(worker) == 0
    for rows in streams.by_market().values():
        assert causes(rows) == ["handover", "handover", "shutdown"]
    await verified(server.url)


async def test_a_short_lease_does_not_stop_the_last_words(
    server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path
) -> None:
    with started(server, venue, tmp_path, lease_ttl_s=0.5) as worker:
        await live(streams, worker)
        # Closing takes its whole second, twice as long as the lease lasts.
        venue.stop_reading()
        assert await stopped(worker) == 0
    assert_marked_and_free(streams)
