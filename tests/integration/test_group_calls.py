"""What counts as a call to blame: those that failed, and those of which nobody knows how they ended."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from marketdata.entries import EntryId
from marketdata.errors import RedisAwayError
from marketdata.groups import Group, Message, attempts
from marketdata.groups.dead import DeadLetter, dead_letters
from marketdata.market import Market
from tests.integration.group_members import Book, member
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter

ROUNDS = attempts.ATTEMPTS + 2


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client, count=12)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "FIRST_DELAY_S", 0.01)


def delivered(writer: StreamWriter, market: Market, calls: int = 0) -> EntryId:
    """An entry that somebody read and did not acknowledge, after so many counted calls."""
    client: Any = writer.client
    key, entry_id = writer.key(market), writer.top(market)
    client.xgroup_create(key, "g", 0) if not client.xinfo_groups(key) else None
    client.xreadgroup("g", "reader", {key: ">"})
    if calls:
        client.hset(writer.keys.begun(market.partition, "g"), f"{key} {entry_id}", calls)
    return entry_id


def counted(writer: StreamWriter) -> dict[EntryId, int]:
    client: Any = writer.client
    return {
        EntryId.parse(field.split()[-1]): int(count)
        for key in client.scan_iter("begun:*")
        for field, count in client.hgetall(key).items()
    }


def unacknowledged(writer: StreamWriter, market: Market) -> int:
    found: Any = writer.client.xpending(writer.key(market), "g")
    return int(found["pending"])


def two_markets(writer: StreamWriter) -> tuple[Market, Market]:
    """In different partitions."""
    one = writer.markets[0]
    return one, next(other for other in writer.markets if other.partition != one.partition)


async def letters(server: PrivateRedis) -> list[DeadLetter]:
    async with Group("g", redis_url=server.url) as group:
        return [one async for _, one in dead_letters(group.client, group.keys, "g")]


async def read_once(server: PrivateRedis, handle: Callable[[Any], Any]) -> list[str]:
    log: list[str] = []
    async with Group("g", redis_url=server.url, member="a", log=log.append) as group, asyncio.timeout(20):
        await group.run(handle, once=True)
    return log


@pytest.mark.parametrize("entries", [1, 2], ids=["the last of its batch", "another one behind it"])
async def test_calls_that_returned_after_the_lease_was_lost_are_not_blamed(
    server: PrivateRedis, writer: StreamWriter, entries: int
) -> None:
    market = writer.markets[0]
    ids = [delivered(writer, market) for _ in range(entries)]
    lease = writer.keys.lease(market.partition, "g")
    calls: Counter[EntryId] = Counter()
    counts = []

    def handle(item: Any) -> None:
        if not isinstance(item, Message):
            return
        calls[item.id] += 1
        counts.append(counted(writer))
        if item.id == ids[0] and calls[item.id] <= ROUNDS:
            # As if the call had taken so long that another member took the partition, and gave it back.
            writer.client.hset(lease, mapping={"owner": "other", "expires_ms": 0})
            writer.client.hincrby(lease, "epoch", 1)

    log: list[str] = []
    async with Group("g", redis_url=server.url, member="a", lease_ttl_s=1.0, log=log.append) as group:
        task = asyncio.create_task(group.run(handle))
        try:
            await until(lambda: calls[ids[-1]] and not unacknowledged(writer, market), "all is handled", 30)
        finally:
            group.stop()
            await task
    assert calls == {one: ROUNDS + 1 if one == ids[0] else 1 for one in ids}
    assert all(len(one) == 1 and set(one.values()) == {1} for one in counts), counts
    assert await letters(server) == []
    assert counted(writer) == {}
    lost = [line for line in log if "the partition was lost during its call" in line]
    assert len(lost) == ROUNDS
    assert all(line.startswith(f"{ids[0]} in partition {market.partition} ") for line in lost)


async def test_calls_that_were_cancelled_are_not_blamed(server: PrivateRedis, writer: StreamWriter) -> None:
    entry_id = delivered(writer, writer.markets[0])
    for _ in range(ROUNDS):
        called = asyncio.Event()

        async def handle(_: Any, called: asyncio.Event = called) -> None:
            called.set()
            await asyncio.Event().wait()

        async with Group("g", redis_url=server.url, member="a", log=print) as group:
            task = asyncio.create_task(group.run(handle))
            async with asyncio.timeout(10):
                await called.wait()
            assert counted(writer) == {entry_id: 1}
            task.cancel()
            await asyncio.wait([task])
        assert task.cancelled()
        assert counted(writer) == {}
    book = Book()
    await read_once(server, book)
    assert book.ids == [entry_id]
    assert await letters(server) == []


async def test_a_call_whose_own_work_was_cancelled_has_failed(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    again, new = delivered(writer, writer.markets[0]), writer.top(writer.markets[0])
    calls: Counter[EntryId] = Counter()

    async def handle(item: Any) -> None:
        calls[item.id] += 1
        work = asyncio.ensure_future(asyncio.Event().wait())
        work.cancel()
        await work

    await read_once(server, handle)
    assert calls == {again: attempts.ATTEMPTS, new: attempts.ATTEMPTS}
    assert [(one.id, one.reason) for one in await letters(server)] == [
        (again, "CancelledError:"),
        (new, "CancelledError:"),
    ]
    assert counted(writer) == {}


async def test_what_another_member_takes_back_later_is_seen(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    first, second = delivered(writer, market), delivered(writer, market, calls=attempts.ATTEMPTS)
    calls: Counter[EntryId] = Counter()

    def handle(item: Any) -> None:
        calls[item.id] += 1
        if item.id == second:
            raise ValueError("no")
        # Late word of two calls that returned.
        field = f"{writer.key(market)} {second}"
        writer.client.hincrby(writer.keys.begun(market.partition, "g"), field, -2)

    await read_once(server, handle)
    assert calls == {first: 1, second: 2}
    (letter,) = await letters(server)
    assert (letter.id, letter.attempts) == (second, attempts.ATTEMPTS)
    assert letter.reason == "ValueError: no; 3 calls before began and were not acknowledged"
    assert counted(writer) == {}


async def returns_async(item: Any) -> Any:
    return (one for one in [item])


async def yields_async(item: Any) -> Any:
    yield item


def returns_yielding(item: Any) -> Any:
    return yields_async(item)


@pytest.mark.parametrize(
    "handle",
    [lambda item: (one for one in [item]), returns_async, returns_yielding],
    ids=["generator", "generator awaited", "async generator"],
)
async def test_a_call_that_returned_a_generator_has_failed(
    server: PrivateRedis, writer: StreamWriter, handle: Callable[[Any], Any]
) -> None:
    entry_id = writer.top(writer.markets[0])
    await read_once(server, handle)
    (letter,) = await letters(server)
    assert (letter.id, letter.attempts) == (entry_id, attempts.ATTEMPTS)
    assert letter.reason.startswith("TypeError: the call returned the generator ")


async def test_the_pauses_of_one_suspect_do_not_hold_up_another(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_DELAY_S", 120.0)
    monkeypatch.setattr(attempts, "LONGEST_DELAY_S", 120.0)
    ids = {delivered(writer, market, calls=1) for market in two_markets(writer)}
    calls: Counter[EntryId] = Counter()

    def handle(item: Any) -> None:
        calls[item.id] += 1
        raise ValueError("not yet")

    async with member(server, handle):
        await until(lambda: calls.keys() == ids, "both were called while neither is called again", 15)
    assert set(calls.values()) == {1}


async def test_who_waits_long_for_a_suspect_is_told(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "WAIT_TOLD_S", 0.05)
    places = {delivered(writer, market, calls=1): writer.key(market) for market in two_markets(writer)}
    go_on = asyncio.Event()
    called: list[EntryId] = []
    log: list[str] = []

    async def handle(item: Any) -> None:
        called.append(item.id)
        await go_on.wait()

    async with Group("g", redis_url=server.url, member="a", log=log.append) as group:
        task = asyncio.create_task(group.run(handle, once=True))
        await until(lambda: any(" waits for " in line for line in log), "it is told")
        (first,) = called
        (other,) = places.keys() - {first}
        go_on.set()
        async with asyncio.timeout(10):
            await task
    assert called == [first, other]
    (line,) = [line for line in log if " waits for " in line]
    assert line.startswith(f"{other} of {places[other]} waits for {first} of {places[first]}: ")


async def test_a_stop_while_redis_is_away_does_not_ask_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with PrivateRedis(appendonly=False) as server:
        with server.client() as client:
            writer = StreamWriter(client)
            writer.top(writer.markets[0])
        async with Group("g", redis_url=server.url, member="a", log=print) as group:

            async def leave() -> None:
                asked.append("leave")

            def handle(_: Any) -> None:
                server.kill9()
                group.stop()

            monkeypatch.setattr(group._membership, "leave", leave)
            with pytest.raises(RedisAwayError):
                async with asyncio.timeout(20):
                    await group.run(handle)
    assert asked == []
