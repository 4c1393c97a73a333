"""Updates reach Redis exactly once and in order, or a gap stands in their place."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from random import Random

import pytest

from tests.integration.worker.proxy import FaultyProxy, OvertakenProxy
from tests.integration.worker.publishing import Desk, assert_proven, publishing, told
from tests.integration.worker.rig import Streams, add, causes, raw, until
from tests.redis_server import PrivateRedis
from worker import settling

FAULTS = 300
UPDATES = 15_000


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def streams(server: PrivateRedis) -> Iterator[Streams]:
    with server.client() as client:
        yield Streams(client)


async def test_lost_replies_and_cut_requests_lose_and_double_nothing(
    server: PrivateRedis, streams: Streams
) -> None:
    seed = int(os.environ.get("BOOKSTREAM_SEED", "") or time.time_ns() % 1_000_000)
    print(f"seed {seed}")
    proxy = FaultyProxy(server.socket_path, Random(seed), within_bytes=14_000)
    path = server.folder / "proxy.sock"
    async with proxy.listening(path), publishing(path) as desk:
        # So many rounds of so many updates that each connection meets its fault with something in flight.
        while desk.offered < UPDATES or proxy.count < FAULTS:
            await _a_fault_or_an_end(proxy, desk)
        proxy.armed = False
        await desk.drained()
        print(f"faults {dict(proxy.faults)}, updates {desk.offered}, redis away {desk.counters.redis_away}")
        assert min(proxy.faults.values()) > FAULTS // 10
        desk.assert_exact(streams)
        assert not desk.counters.gaps
        assert desk.counters.disowned == desk.counters.refused == 0


async def test_a_batch_that_arrives_while_it_is_sent_again_is_written_once(
    server: PrivateRedis, streams: Streams
) -> None:
    lost: list[frozenset[int]] = []
    proxy = OvertakenProxy(server.socket_path, Random(1), within_bytes=1)
    path = server.folder / "proxy.sock"
    async with proxy.listening(path), publishing(path) as desk:
        desk.publisher.on_lost = lost.append
        desk.offer(300)
        await desk.drained()
        assert proxy.count == 1
        # The ids that Redis found too small were its own: nobody else has the partitions.
        assert lost == []
        desk.assert_exact(streams)


async def _a_fault_or_an_end(proxy: FaultyProxy, desk: Desk) -> None:
    before = proxy.count
    desk.offer(UPDATES // FAULTS)
    await until(lambda: proxy.count > before or not desk.publisher.pending, "a fault or an end")


async def test_killed_again_and_again_redis_keeps_what_it_acknowledged() -> None:
    # With everysec Redis may put a write off for two seconds while the disk is busy, and then a kill loses it.
    with PrivateRedis("--appendfsync", "always") as server, server.client() as client:
        async with publishing(server.socket_path) as desk:
            for _ in range(4):
                await _kill_under_load(server, desk)
            await desk.drained()
            # So there is nothing to mark.
            desk.assert_exact(Streams(client))
            assert not desk.counters.gaps


async def _kill_under_load(server: PrivateRedis, desk: Desk) -> None:
    before = desk.counters.entries
    load = asyncio.create_task(_load(desk))
    await until(lambda: desk.counters.entries > before + 1000, "entries flow")
    await asyncio.to_thread(server.kill9)
    await until(lambda: desk.publisher.pending > 3000, "updates pile up")
    await asyncio.to_thread(server.start)
    back_s = time.monotonic()
    newest = desk.offered
    await until(lambda: desk.counters.entries >= newest, "what waited is written")
    assert time.monotonic() - back_s < 2.0
    load.cancel()
    await asyncio.wait({load})


async def _load(desk: Desk) -> None:
    while True:
        desk.offer(40)
        await asyncio.sleep(0.002)


async def test_a_redis_that_comes_back_empty_is_told_by_gaps() -> None:
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        streams = Streams(client)
        async with publishing(server.socket_path) as desk:
            desk.offer(500)
            await desk.drained()
            await asyncio.to_thread(server.kill9)
            desk.offer(500)
            await asyncio.to_thread(server.start)
            await desk.drained()
            for stream in desk.streams:
                rows = streams.rows(stream.key)
                assert causes(rows) == ["redis"]
                assert rows[0].entry.gap_cause == "redis"
                assert rows[0].entry.outcome is None
            assert_proven(streams)
            desk.assert_current(streams)
            assert desk.counters.gaps["redis"] == len(desk.streams)


async def test_flushed_streams_get_a_gap_and_their_tops_again(streams: Streams, server: PrivateRedis) -> None:
    async with publishing(server.socket_path) as desk:
        load = asyncio.create_task(_load(desk))
        for rounds in range(1, 4):
            await _flush_under_load(streams, desk, rounds)
        load.cancel()
        await asyncio.wait({load})
        await desk.drained()
        for stream in desk.streams:
            rows = streams.rows(stream.key)
            # What was written before the last flush is gone with it, gaps and all.
            assert causes(rows) == ["redis"]
            assert rows[0].entry.kind == "gap"
        assert_proven(streams)
        desk.assert_current(streams)


async def _flush_under_load(streams: Streams, desk: Desk, rounds: int) -> None:
    target = desk.counters.entries + 1000
    await until(lambda: desk.counters.entries > target, "entries flow")
    streams.client.flushall()
    await until(lambda: desk.counters.gaps["redis"] == rounds * len(desk.streams), "a gap a stream")


async def test_a_stream_that_lost_its_end_is_marked_where_it_ends(
    streams: Streams, server: PrivateRedis
) -> None:
    async with publishing(server.socket_path) as desk:
        desk.offer(200)
        await desk.drained()
        victim = desk.streams[3]
        entries = raw(streams, victim.key)
        # As a fail-over to a replica that was behind would leave it.
        streams.client.delete(victim.key)
        for entry_id, fields in entries[:-2]:
            add(streams, victim.key, entry_id, fields)
        streams.client.client_kill_filter(_type="normal", skipme=True)
        desk.offer(200)
        await desk.drained()
        rows = streams.rows(victim.key)
        assert causes(rows) == ["redis"]
        assert [told(row) for row in rows[: len(entries) - 2]] == desk.told[victim.key][: len(entries) - 2]
        assert rows[len(entries) - 2].entry.gap_cause == "redis"
        assert desk.counters.gaps == {"redis": 1}
        assert_proven(streams)
        desk.assert_current(streams)


async def test_a_full_redis_loses_and_doubles_nothing(streams: Streams, server: PrivateRedis) -> None:
    async with publishing(server.socket_path) as desk:
        desk.offer(1000)
        await desk.drained()
        streams.client.config_set("maxmemory-policy", "noeviction")
        streams.client.config_set("maxmemory", "1mb")
        away = desk.counters.redis_away
        desk.offer(3000)
        await until(lambda: desk.counters.redis_away > away + 3, "Redis refused several times")
        assert desk.publisher.pending == 3000
        streams.client.config_set("maxmemory", "0")
        await desk.drained()
        desk.assert_exact(streams)
        assert not desk.counters.gaps


async def test_a_replica_is_not_written_to(streams: Streams, server: PrivateRedis) -> None:
    async with publishing(server.socket_path) as desk:
        desk.offer(1000)
        await desk.drained()
        streams.client.replicaof("127.0.0.1", "1")
        away = desk.counters.redis_away
        desk.offer(1000)
        await until(lambda: desk.counters.redis_away > away + 3, "Redis refused several times")
        assert desk.publisher.pending == 1000
        streams.client.replicaof("NO", "ONE")
        await desk.drained()
        desk.assert_exact(streams)
        assert not desk.counters.gaps


async def test_a_foreign_key_in_the_way_stops_its_stream_alone(
    streams: Streams, server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "REFUSED_RETRY_S", 0.1)
    async with publishing(server.socket_path) as desk:
        victim, *others = desk.streams
        streams.client.set(victim.key, "in the way")
        desk.offer(400)
        await desk.drained()
        assert desk.counters.refused >= 1
        for stream in others:
            assert [told(row) for row in streams.rows(stream.key)] == desk.told[stream.key]
        # Nor may a new connection, which compares all streams, be stopped by it.
        refused = desk.counters.refused
        streams.client.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: desk.counters.refused > refused + 2, "the gap is tried again")
        desk.offer(400)
        await until(lambda: len(streams.rows(others[0].key)) == len(desk.told[others[0].key]), "others go on")
        streams.client.delete(victim.key)
        await until(lambda: streams.names().count(victim.key), "the stream begins")
        await desk.drained()
        assert causes(streams.rows(victim.key)) == ["redis"]
        assert_proven(streams)
        desk.assert_current(streams)


async def test_a_key_replaced_while_nobody_looked_stops_its_stream_alone(
    streams: Streams, server: PrivateRedis
) -> None:
    async with publishing(server.socket_path) as desk:
        desk.offer(200)
        await desk.drained()
        victim, *others = desk.streams
        with server.client() as client, client.pipeline(transaction=True) as pipe:
            pipe.delete(victim.key)
            pipe.set(victim.key, "in the way")
            pipe.client_kill_filter(_type="normal", skipme=True)
            pipe.execute()
        desk.offer(200)
        await until(
            lambda: all(len(streams.rows(one.key)) == len(desk.told[one.key]) for one in others),
            "the others go on",
        )


async def test_a_frozen_redis_delays_writing_and_nothing_else(streams: Streams, server: PrivateRedis) -> None:
    longest_s = 0.0

    async def tick() -> None:
        nonlocal longest_s
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.05)
            longest_s = max(longest_s, time.monotonic() - before_s)

    async with publishing(server.socket_path) as desk:
        desk.offer(500)
        await desk.drained()
        ticking = asyncio.create_task(tick())
        server.pause()
        try:
            frozen_s = time.monotonic()
            while time.monotonic() - frozen_s < 3:
                desk.offer(10)
                await asyncio.sleep(0.01)
            assert desk.publisher.pending > 500
        finally:
            server.resume()
        await desk.drained(2.0)
        ticking.cancel()
        await asyncio.wait({ticking})
        assert longest_s < 0.5
        assert desk.counters.redis_away == 0
        desk.assert_exact(streams)


async def test_no_id_is_made_above_the_limit(streams: Streams, server: PrivateRedis) -> None:
    async with publishing(server.socket_path) as desk:
        desk.offer(100)
        await desk.drained()
        limits, limit_ms = desk.publisher.limits, max(row.id.ms for row in streams.all_rows())
        limits[0] = limit_ms
        await until(lambda: time.time_ns() // 1_000_000 > limit_ms, "the next millisecond")
        desk.offer(50, [stream for stream in desk.streams if stream.partition == 1])
        desk.offer(50, [stream for stream in desk.streams if stream.partition == 0])
        await until(lambda: desk.publisher.pending == 50, "what stands before the limit is written")
        desk.publisher.limits_moved()
        with pytest.raises(TimeoutError):
            await desk.drained(0.2)
        assert desk.publisher.pending == 50
        limits[0] = limit_ms + 60_000
        desk.publisher.limits_moved()
        await desk.drained()
        desk.assert_exact(streams)


async def test_a_higher_id_in_a_stream_takes_its_partition_away(
    streams: Streams, server: PrivateRedis
) -> None:
    lost: list[frozenset[int]] = []
    async with publishing(server.socket_path) as desk:
        desk.publisher.on_lost = lost.append
        desk.offer(200)
        await desk.drained()
        victim = desk.streams[1]
        ahead_ms = time.time_ns() // 1_000_000 + 60_000
        add(streams, victim.key, f"{ahead_ms}-0", raw(streams, victim.key)[-1][1])
        desk.offer(200)
        await desk.drained()
        assert lost == [frozenset({victim.partition})]
        desk.offer(200)
        await desk.drained()
        assert lost == [frozenset({victim.partition})]
        for stream in desk.streams:
            if stream.partition != victim.partition:
                assert [told(row) for row in streams.rows(stream.key)] == desk.told[stream.key]
        assert streams.rows(victim.key)[-1].id.ms == ahead_ms
        assert desk.counters.disowned > 0
