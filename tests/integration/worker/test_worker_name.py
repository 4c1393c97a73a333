"""A WORKER_ID is one process's: who may take it, how long that lasts, and who ends where two want it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from marketdata.errors import WorkerTakenError
from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.processes import WorkerProcess
from tests.integration.worker.rig import NOWHERE, Streams, causes, until, verified
from tests.redis_server import PrivateRedis
from worker import name as module
from worker.name import EXPIRES_S, SILENT_S, WorkerName

KEY = Keys().worker("w1")
PARTITIONS = 4
WORD = {"pid": 7, "host": "there", "state": "running"}


@pytest.fixture
async def client(server: PrivateRedis) -> AsyncIterator[redis.asyncio.Redis]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    await client.flushall()
    yield client
    await client.aclose()


def name(client: redis.asyncio.Redis, worker_id: str = "w1", **given: Any) -> WorkerName:
    return WorkerName(client, Keys(), worker_id, PARTITIONS, **given)


async def said(one: WorkerName, state: str = "running") -> None:
    await one.speak({**WORD, "state": state}, expires_s=EXPIRES_S)


class Waited:
    """A clock that passes only while somebody sleeps; `then` is done at the third look."""

    def __init__(self, then: Any = None) -> None:
        self.now_s = 0.0
        self._then = then
        self._looks = 0

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.now_s += delay_s
        self._looks += 1
        if self._looks == 3 and self._then is not None:
            await self._then()


def watching(client: redis.asyncio.Redis, waited: Waited) -> WorkerName:
    return name(client, sleep=waited.sleep, clock=waited.clock)


async def test_a_free_name_is_taken_at_once(client: redis.asyncio.Redis) -> None:
    waited = Waited()
    one = watching(client, waited)
    await one.claim(WORD)
    assert waited.now_s == 0
    await one.check()
    found: Any = await client.get(KEY)
    assert one.instance.encode() in found
    assert 0 < await client.ttl(KEY) <= EXPIRES_S


async def test_after_a_clean_stop_it_is_taken_at_once(client: redis.asyncio.Redis) -> None:
    before, waited = name(client), Waited()
    await before.claim(WORD)
    await said(before, "stopped")
    await watching(client, waited).claim(WORD)
    assert waited.now_s == 0
    with pytest.raises(WorkerTakenError):
        await before.check()


async def test_whoever_let_go_waits_for_nothing(client: redis.asyncio.Redis) -> None:
    before, waited = name(client), Waited()
    await before.claim(WORD)
    await before.let_go()
    after = watching(client, waited)
    await after.claim(WORD)
    assert waited.now_s == 0
    # What is not its own any more it cannot let go.
    await before.let_go()
    await after.check()


async def test_a_dead_one_is_followed_when_it_was_silent_for_long_enough(
    client: redis.asyncio.Redis,
) -> None:
    before, waited = name(client), Waited()
    await before.claim(WORD)
    await said(before)
    await watching(client, waited).claim(WORD)
    assert SILENT_S <= waited.now_s < SILENT_S + 2 * module.LOOK_EVERY_S


async def test_a_live_one_is_left_alone(client: redis.asyncio.Redis) -> None:
    before = name(client)
    await before.claim(WORD)
    await said(before)
    with pytest.raises(WorkerTakenError, match=r"w1 is running already \(pid 7 on there\).*WORKER_ID"):
        await watching(client, Waited(lambda: said(before))).claim(WORD)
    await before.check()


async def test_one_that_stops_while_it_is_watched_is_followed_at_once(client: redis.asyncio.Redis) -> None:
    before = name(client)
    await before.claim(WORD)
    waited = Waited(lambda: said(before, "stopped"))
    await watching(client, waited).claim(WORD)
    assert waited.now_s < 1


async def test_a_word_of_a_stranger_is_waited_for_and_then_written_over(client: redis.asyncio.Redis) -> None:
    await client.set(KEY, "[]")
    waited = Waited()
    one = watching(client, waited)
    await one.claim(WORD)
    assert waited.now_s >= SILENT_S
    await one.check()


async def begun(one: WorkerName) -> None:
    """Claims a name and speaks, as workers do, until all others have made up their minds."""
    await one.claim(WORD)
    began_s = time.monotonic()
    while time.monotonic() - began_s < SILENT_S + 1:
        await said(one)
        await asyncio.sleep(0.2)


async def test_of_many_that_start_at_the_same_moment_one_goes_on(client: redis.asyncio.Redis) -> None:
    for dead in (False, True):
        await client.delete(KEY)
        if dead:
            await said(name(client))
        names = [name(client) for _ in range(8)]
        answers = await asyncio.gather(*map(begun, names), return_exceptions=True)
        assert [type(answer) for answer in answers if answer is not None] == [WorkerTakenError] * 7
        winner = names[answers.index(None)]
        await winner.check()
        for one in names:
            if one is not winner:
                with pytest.raises(WorkerTakenError):
                    await one.check()


async def test_whoever_lost_its_name_says_no_word_over_the_others(client: redis.asyncio.Redis) -> None:
    before, after = name(client), watching(client, Waited())
    await before.claim(WORD)
    await after.claim(WORD)
    await said(after)
    with pytest.raises(WorkerTakenError, match=r"pid 7 on there.*silent.*own WORKER_ID"):
        await said(before)
    await after.check()


async def test_a_redis_that_forgot_is_told_again(client: redis.asyncio.Redis) -> None:
    one = name(client)
    await one.claim(WORD)
    await client.flushall()
    await one.check()
    await said(one)
    await one.check()


async def test_the_owner_of_leases_gets_time_to_speak_when_redis_is_back(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    uptime_s = 1

    async def info(section: str) -> dict[str, int]:
        return {"uptime_in_seconds": uptime_s}

    monkeypatch.setattr(client, "info", info)
    leases = Leases(client, Keys(), "w1", 5000)
    await leases.take(range(PARTITIONS), id_limit_ms=1, respect_expired=False)
    before = name(client)
    with pytest.raises(WorkerTakenError):
        await watching(client, Waited(lambda: said(before))).claim(WORD)
    for given, waits in ((1, True), (EXPIRES_S + 1, False)):
        uptime_s = given
        await client.delete(KEY)
        waited = Waited()
        await watching(client, waited).claim(WORD)
        assert (waited.now_s >= SILENT_S) is waits
    uptime_s, waited = 1, Waited()
    await name(client, "w2", sleep=waited.sleep, clock=waited.clock).claim(WORD)
    assert waited.now_s == 0


# -- real processes ---------------------------------------------------------------------------------------------


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with open_venue(3) as venue:
        quoting = asyncio.create_task(venue.quote_for_ever(0.01))
        yield venue
        quoting.cancel()
        await asyncio.wait({quoting})


class Twins:
    """Processes of one name."""

    def __init__(self, server: PrivateRedis, venue: FakeVenue, streams: Streams, folder: Path) -> None:
        self.streams = streams
        self._folder = folder
        self._settings: dict[str, Any] = {
            "redis_url": server.url,
            "venue_ws_url": venue.ws_url,
            "gamma_url": NOWHERE,
            "clob_url": NOWHERE,
            "catalog": venue.write_catalog(folder / "catalog.json"),
            "lease_ttl_s": 60,
            "reconnect_min_s": 0.1,
        }

    def start(self) -> WorkerProcess:
        return WorkerProcess(self._folder, "w1", **self._settings)

    async def runs(self, worker: WorkerProcess) -> None:
        """Waits until it says that it has live tokens."""

        def live() -> bool:
            status = self.streams.status("w1")
            return status.get("pid") == worker.process.pid and status.get("tokens_live") == 6

        await until(live, f"pid {worker.process.pid} runs\n{worker.log}")

    def epochs(self) -> set[bytes | None]:
        keys: Any = self.streams.client.keys("lease:*")
        found: list[Any] = [self.streams.client.hget(key, "epoch") for key in keys]
        return set(found)


@pytest.fixture
def twins(server: PrivateRedis, venue: FakeVenue, streams: Streams, tmp_path: Path) -> Twins:
    return Twins(server, venue, streams, tmp_path)


async def refused(worker: WorkerProcess) -> None:
    """It ends as with any other setting that cannot be used: one line, and what to do."""
    assert await worker.end(10) == 2
    said = [line for line in worker.log.splitlines() if line.startswith("bookstream worker:")]
    assert len(said) == 1
    assert "WORKER_ID" in said[0]
    assert "Traceback" not in worker.log


async def test_a_second_of_the_same_name_ends_and_disturbs_nobody(
    twins: Twins, server: PrivateRedis, streams: Streams
) -> None:
    with twins.start() as first:
        await twins.runs(first)
        with twins.start() as second:
            await refused(second)
            assert f"pid {first.process.pid} on" in second.log
        spoken_ms = streams.status("w1")["now_ms"]
        await until(lambda: streams.status("w1")["now_ms"] > spoken_ms + 1500, "the first goes on")
        assert streams.status("w1")["pid"] == first.process.pid
        assert first.process.poll() is None
    assert twins.epochs() == {b"1"}
    assert all(causes(rows) == ["handover"] for rows in streams.by_market().values())
    await verified(server.url)


async def test_of_two_processes_that_start_together_one_goes_on(twins: Twins, streams: Streams) -> None:
    with twins.start() as one, twins.start() as other:
        both = (one, other)
        await until(lambda: any(worker.process.poll() is not None for worker in both), "one ends")
        loser, winner = both if one.process.poll() is not None else (other, one)
        await refused(loser)
        await twins.runs(winner)
    assert twins.epochs() == {b"1"}


async def test_after_a_kill_it_goes_on_within_two_seconds_of_its_start(
    twins: Twins, streams: Streams
) -> None:
    with twins.start() as first:
        await twins.runs(first)
        first.send(signal.SIGKILL)
        await first.end(5)
    with twins.start() as second:
        waits = "waiting whether it still is"
        await until(lambda: waits in second.log, "it waits")
        began_s = time.monotonic()
        await until(lambda: "owning partitions" in second.log, "it has its partitions back")
        assert time.monotonic() - began_s < SILENT_S + 1.5
        await twins.runs(second)


async def test_one_that_was_frozen_for_long_ends_when_it_wakes(
    twins: Twins, server: PrivateRedis, streams: Streams
) -> None:
    with twins.start() as first:
        await twins.runs(first)
        first.send(signal.SIGSTOP)
        with twins.start() as second:
            await twins.runs(second)
            first.send(signal.SIGCONT)
            await refused(first)
            assert f"pid {second.process.pid} on" in first.log
            spoken_ms = streams.status("w1")["now_ms"]
            await until(lambda: streams.status("w1")["now_ms"] > spoken_ms + 1500, "the second goes on")
            assert streams.status("w1")["pid"] == second.process.pid
            assert second.process.poll() is None
            second.send(signal.SIGTERM)
            assert await second.end(5) == 0
    assert twins.epochs() == {b"2"}
    for rows in streams.by_market().values():
        assert causes(rows) == ["handover", "handover", "shutdown"]
    await verified(server.url)
