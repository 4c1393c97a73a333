"""Malformed frames are put aside: bounded in size, in rate and in number."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from marketdata.keys import Keys
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.integration.worker.rig import Streams, raw, until
from tests.redis_server import PrivateRedis
from worker import quarantine as module
from worker.counters import Counters
from worker.quarantine import Quarantine


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def streams(server: PrivateRedis) -> Iterator[Streams]:
    with server.client() as client:
        yield Streams(client)


@asynccontextmanager
async def quarantining(server: PrivateRedis) -> AsyncIterator[tuple[Quarantine, Counters]]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    counters = Counters()
    quarantine = Quarantine(client, Keys(), "w1", counters)
    running = asyncio.create_task(quarantine.run())
    yield quarantine, counters
    running.cancel()
    await asyncio.wait({running})
    await client.aclose()


@pytest.fixture
def minute(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time that the quarantine sees, Unix milliseconds."""
    time_ms = [1_790_000_000_000]
    monkeypatch.setattr(module, "now_ms", lambda: time_ms[0])
    return time_ms


def kept(streams: Streams) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in raw(streams, "quarantine")]


async def test_a_frame_is_kept_with_length_digest_and_reason(
    server: PrivateRedis, streams: Streams, minute: list[int]
) -> None:
    frame = bytes(range(256)) * 40
    async with quarantining(server) as (quarantine, counters):
        quarantine.add(frame, "not JSON: unexpected character", "c3")
        await until(lambda: kept(streams), "it is written")
    assert kept(streams) == [
        {
            b"reason": b"not JSON: unexpected character",
            b"length": b"10240",
            b"sha256": hashlib.sha256(frame).hexdigest().encode(),
            b"worker": b"w1",
            b"connection": b"c3",
            b"recv_ms": str(minute[0]).encode(),
            b"frame": frame[:4096],
        }
    ]
    assert (counters.quarantined, counters.quarantine_unwritten) == (1, 0)


async def test_at_most_ten_a_minute_of_one_reason(
    server: PrivateRedis, streams: Streams, minute: list[int]
) -> None:
    async with quarantining(server) as (quarantine, counters):
        for number in range(25):
            quarantine.add(b"x", f"not JSON: at {number}", "c1")
        quarantine.add(b"y", "a price is above 1: '2'", "c1")
        await until(lambda: len(kept(streams)) == 11, "ten of one reason, one of the other")
        assert (counters.quarantined, counters.quarantine_unwritten) == (26, 15)
        minute[0] += 60_000
        quarantine.add(b"z", "not JSON: later", "c1")
        await until(lambda: kept(streams)[-1][b"frame"] == b"z", "the next minute begins anew")
        assert len(kept(streams)) == 12


async def test_reasons_without_end_share_one_allowance(
    server: PrivateRedis, streams: Streams, minute: list[int]
) -> None:
    async with quarantining(server) as (quarantine, counters):
        for number in range(2000):
            quarantine.add(b"x", f"reason {number}", "c1")
            if number % 50 == 0:
                await until(lambda: not quarantine._waiting, "written")
        await until(lambda: not quarantine._waiting, "written")
        assert counters.quarantined == 2000
        await until(lambda: len(kept(streams)) == 210, "200 reasons and ten of all others")
        assert counters.quarantine_unwritten == 2000 - 210


async def test_a_redis_that_is_away_costs_only_what_is_put_aside(
    server: PrivateRedis, streams: Streams, minute: list[int]
) -> None:
    async with quarantining(server) as (quarantine, counters):
        server.kill9()
        for number in range(300):
            quarantine.add(b"x", f"reason {number % 150}", "c1")
        await until(lambda: counters.quarantine_unwritten == 300, "all are counted")
        server.start()
        quarantine.add(b"y", "reason 200", "c1")
        await until(lambda: [one[b"frame"] for one in kept(streams)] == [b"y"], "it goes on")
