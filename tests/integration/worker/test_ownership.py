"""Several workers, one Redis: who writes, who waits, and what the next one finds. Real processes, real signals."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from marketdata.entries import EntryId
from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.processes import WorkerProcess
from tests.integration.worker.rig import NOWHERE, Row, Streams, causes, raw, until, verified
from tests.redis_server import PrivateRedis

MARKETS = 3
TTL_S = 1.2


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
        quoting = asyncio.create_task(venue.quote_for_ever(0.01))
        yield venue
        quoting.cancel()
        await asyncio.wait({quoting})


class Crew:
    """Starts workers on one venue and one Redis."""

    def __init__(self, server: PrivateRedis, venue: FakeVenue, streams: Streams, folder: Path) -> None:
        self.streams = streams
        self._folder = folder
        self._settings: dict[str, Any] = {
            "redis_url": server.url,
            "venue_ws_url": venue.ws_url,
            "gamma_url": NOWHERE,
            "clob_url": NOWHERE,
            "catalog": venue.write_catalog(folder / "catalog.json"),
            "lease_ttl_s": TTL_S,
            "reconnect_min_s": 0.1,
            "reconnect_max_s": 1,
        }

    def start(self, worker_id: str, **settings: Any) -> WorkerProcess:
        return WorkerProcess(self._folder, worker_id, **{**self._settings, **settings})

    async def writes(self, worker: WorkerProcess) -> None:
        """Waits until every stream has a top that came after a gap of this worker."""

        def all_live() -> bool:
            by_market = self.streams.by_market()
            return len(by_market) == MARKETS and all(
                rows[-1].entry.kind == "top" and last_owner(rows) == worker.worker_id
                for rows in by_market.values()
            )

        await until(all_live, f"{worker.worker_id} writes\n{worker.log}")

    async def stands_by(self, worker: WorkerProcess) -> dict[str, Any]:
        status = self.streams.status
        await until(lambda: status(worker.worker_id).get("state") == "standby", f"standing by\n{worker.log}")
        return status(worker.worker_id)

    def lease(self, key: str) -> dict[bytes, bytes]:
        partition = key.partition("{")[2].partition("}")[0]
        found: Any = self.streams.client.hgetall(f"lease:{{{partition}}}")
        return dict(found)


@pytest.fixture
def crew(server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path) -> Crew:
    return Crew(server, venue, streams, tmp_path)


def last_owner(rows: list[Row]) -> str:
    notes = [row.entry.note for row in rows if row.entry.kind == "gap"]
    return notes[-1].split()[2] if notes else ""


def handovers(rows: list[Row]) -> list[tuple[int, Row]]:
    return [(place, row) for place, row in enumerate(rows) if row.entry.gap_cause == "handover"]


def fault_gaps(streams: Streams, worker: WorkerProcess) -> tuple[int, int]:
    counted = streams.status(worker.worker_id)["counters"]
    return counted["gaps"], counted["interrupted"]


async def test_the_second_stands_by_and_takes_over_from_a_killed_one(
    crew: Crew, server: PrivateRedis, streams: Streams
) -> None:
    with crew.start("w1") as first, crew.start("w2") as second:
        # Which one was faster is nobody's concern.
        await until(
            lambda: {"running", "standby"} == {streams.status(w).get("state") for w in ("w1", "w2")}, "roles"
        )
        owner, other = (first, second) if streams.status("w1")["state"] == "running" else (second, first)
        await crew.writes(owner)
        said = await crew.stands_by(other)
        assert said["waits_for"] == f"64 of 64 partitions are held by {owner.worker_id}"
        assert said["waits_for"] in other.log
        owner.send(signal.SIGKILL)
        await owner.end(5)
        limits = {key: int(crew.lease(key)[b"id_limit_ms"]) for key in streams.names()}
        await crew.writes(other)
        # What the venue sent meanwhile is missing: those who count faults must see that.
        await until(lambda: fault_gaps(streams, other) == (MARKETS, MARKETS), f"counted\n{other.log}")
        for key, limit_ms in limits.items():
            rows = streams.rows(key)
            (_, start), (place, handover) = handovers(rows)
            assert handover.entry.outcome is None
            assert handover.id.ms > limit_ms
            assert all(last_owner([row]) in ("", owner.worker_id) for row in rows[:place])
            assert handover.entry.gen == rows[place - 1].entry.gen + 1
            assert int(handover.entry.note.split()[1]) == rows[place - 1].entry.recv_us
            assert start.entry.seq == 0
            assert int(crew.lease(key)[b"epoch"]) == 2
            # A clock entry vouches for the streams, so it may not come before the gap.
            clock = key.replace("book:", "clock:").rpartition(":")[0]
            assert (await _ticks(streams, clock, other))[0] > handover.id
        await verified(server.url)


async def _ticks(streams: Streams, clock: str, worker: WorkerProcess) -> list[EntryId]:
    mine = worker.worker_id.encode()

    def found() -> list[EntryId]:
        return [
            EntryId.parse(entry_id) for entry_id, fields in raw(streams, clock) if fields[b"worker"] == mine
        ]

    ticks: list[EntryId] = await until(found, f"{worker.worker_id} writes {clock}")
    return ticks


async def test_a_frozen_owner_that_wakes_writes_nothing_more(
    crew: Crew, server: PrivateRedis, streams: Streams
) -> None:
    with crew.start("w1") as first:
        await crew.writes(first)
        with crew.start("w2") as second:
            await crew.stands_by(second)
            first.send(signal.SIGSTOP)
            await crew.writes(second)
            first.send(signal.SIGCONT)
            await until(lambda: "belong to another worker now" in first.log, "the first says that it lost")
            await crew.stands_by(first)
            await until(lambda: streams.status("w1")["waits_for"].endswith("held by w2"), "it knows by whom")
            for rows in streams.by_market().values():
                (_, _), (place, _) = handovers(rows)
                assert {last_owner([row]) for row in rows[place:] if row.entry.kind == "gap"} == {"w2"}
            await verified(server.url)
            second.send(signal.SIGTERM)
            assert await second.end(5) == 0
            # The one that lost is a worker like any other again.
            await crew.writes(first)
    await verified(server.url)


async def test_a_clean_stop_hands_over_at_once(crew: Crew, server: PrivateRedis, streams: Streams) -> None:
    # The lease alone would last a minute.
    with crew.start("w1", lease_ttl_s=60) as first:
        await crew.writes(first)
        with crew.start("w2", lease_ttl_s=60) as second:
            await crew.stands_by(second)
            first.send(signal.SIGTERM)
            assert await first.end(5) == 0
            gone_s = time.monotonic()
            await until(lambda: streams.status("w2").get("state") == "running", "the second has them")
            assert time.monotonic() - gone_s < 2.5  # Its status is written once a second.
            await crew.writes(second)
        # The last word comes with the end, so it knows of every handover.
        assert streams.status("w2")["gaps_by_cause"]["handover"] == MARKETS
        assert fault_gaps(streams, second) == (0, 0), "planned"
    for rows in streams.by_market().values():
        assert causes(rows)[:3] == ["handover", "shutdown", "handover"]
    await verified(server.url)


async def test_the_same_name_goes_on_at_once(crew: Crew, server: PrivateRedis, streams: Streams) -> None:
    with crew.start("w1", lease_ttl_s=60) as first:
        await crew.writes(first)
        first.send(signal.SIGKILL)
        await first.end(5)
        before = {key: len(streams.rows(key)) for key in streams.names()}
        with crew.start("w1", lease_ttl_s=60):
            await until(
                lambda: (
                    all(streams.rows(key)[-1].entry.kind == "top" for key in before)
                    and all(len(streams.rows(key)) > count + 2 for key, count in before.items())
                ),
                "it writes again, though the lease would last a minute",
            )
    for key, count in before.items():
        assert streams.rows(key)[count].entry.gap_cause == "handover"
    await verified(server.url)


async def test_redis_away_for_longer_than_the_lease_changes_no_owner(
    crew: Crew, server: PrivateRedis, streams: Streams
) -> None:
    with crew.start("w1") as first:
        await crew.writes(first)
        with crew.start("w2") as second:
            await crew.stands_by(second)
            server.kill9()
            gone_s = time.monotonic()
            await until(lambda: time.monotonic() - gone_s > 2 * TTL_S, "the lease would be over")
            server.start()
            back_us = time.time_ns() // 1000
            await until(
                lambda: all(rows[-1].entry.recv_us > back_us for rows in streams.by_market().values()),
                "the first goes on",
                2.0,
            )
            # For the whole time in which the other could take what ran out, and longer.
            await until(
                lambda: streams.status("w2").get("now_ms", 0) > back_us / 1000 + 2000 * TTL_S, "time passed"
            )
            assert streams.status("w2")["state"] == "standby"
            for key in streams.names():
                rows = streams.rows(key)
                assert causes(rows) == ["handover"]
                assert crew.lease(key)[b"epoch"] == b"1"
                # What came while Redis was away is there as well.
                away = [row for row in rows if back_us - 2e6 < row.entry.recv_us < back_us]
                assert len(away) > 10
            await verified(server.url)


async def test_a_flushed_redis_is_given_everything_again(
    crew: Crew, server: PrivateRedis, streams: Streams
) -> None:
    with crew.start("w1") as first:
        await crew.writes(first)
        with crew.start("w2") as second:
            await crew.stands_by(second)
            streams.client.flushall()
            # Not only streams: readers need the catalog, and the next worker the contract.
            await until(lambda: streams.client.hlen("catalog") == MARKETS, "the catalog is there")
            await until(lambda: streams.client.get("contract:partitions") == b"64", "the contract is there")
            await until(lambda: len(streams.names()) == MARKETS, "the streams are there")
            await crew.writes(first)
            await crew.stands_by(second)
            for key in streams.names():
                rows = streams.rows(key)
                assert causes(rows) == ["redis"]
                assert rows[0].entry.gap_cause == "redis"
                assert crew.lease(key)[b"owner"] == b"w1"
            await verified(server.url)


async def test_a_partition_taken_by_force_is_let_go(
    crew: Crew, server: PrivateRedis, streams: Streams
) -> None:
    with crew.start("w1") as first:
        await crew.writes(first)
        key = streams.names()[0]
        partition = key.partition("{")[2].partition("}")[0]
        streams.client.hset(
            f"lease:{{{partition}}}",
            mapping={
                "owner": "stranger",
                "epoch": "9",
                "expires_ms": str(time.time_ns() // 1_000_000 + 1500),
            },
        )
        await until(lambda: "1 partitions belong to another worker now" in first.log, "it says so")
        # The stranger writes nothing and does not renew, so the worker has it back, as a new owner.
        await until(lambda: len(handovers(streams.rows(key))) == 2, "it is the owner again")
        await crew.writes(first)
        assert crew.lease(key)[b"epoch"] == b"10"
        assert first.process.poll() is None
        for other in streams.names():
            partitions = other.partition("{")[2].partition("}")[0]
            assert len(handovers(streams.rows(other))) == (2 if partitions == partition else 1)
        await verified(server.url)


async def test_another_number_of_partitions_is_refused_in_one_line(crew: Crew, streams: Streams) -> None:
    with crew.start("w1") as first:
        await crew.writes(first)
        with crew.start("w2", partitions=32) as second:
            assert await second.end(10) == 2, "a wrong setting"
            said = [line for line in second.log.splitlines() if "PARTITIONS" in line]
            assert len(said) == 1
            assert "PARTITIONS=64" in said[0]
            assert "32" in said[0]
            assert "Traceback" not in second.log
