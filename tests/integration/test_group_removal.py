"""`bookstream groups remove`: nothing of the group stays, and nobody who reads it is robbed."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis
from redis.asyncio import Redis

from consumers.groups import readers, removal
from consumers.groups.removal import Removed, remove_group
from consumers.streams import scan_streams
from marketdata.errors import GroupError
from marketdata.groups import Group
from marketdata.keys import Keys
from tests.integration.group_members import Book, member
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter

KEYS = Keys()
CLOCK: dict[Any, Any] = {"worker": "w1", "epoch": "1", "live": "2", "stale": "0"}
LETTER: dict[Any, Any] = {
    "stream": "book:{07}:0x1",
    "id": "17-3",
    "reason": "no",
    "attempts": "5",
    "kind": "top",
}


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        yield StreamWriter(client, count=6)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


async def removed(url: str, group: str = "g", *, dead_letters: bool = False) -> Removed:
    async with opened(url) as client:
        return await remove_group(client, KEYS, group, dead_letters=dead_letters)


def groups_of(client: redis.Redis, keys: Sequence[str]) -> list[bytes]:
    rows: Any = [row for key in keys for row in client.xinfo_groups(key)]
    return [row["name"] for row in rows]


async def read_once(url: str, handler: Callable[[Any], Any]) -> None:
    async with Group("g", redis_url=url, member="a", log=lambda _: None) as group:
        await group.run(handler, once=True)


async def test_it_is_gone_from_the_clocks_too(server: PrivateRedis, writer: StreamWriter) -> None:
    partitions = sorted({market.partition for market in writer.markets})
    for market in writer.markets:
        writer.top(market)
    clocks = [KEYS.clock(one) for one in partitions]
    for key in clocks:
        writer.client.xadd(key, CLOCK)
    await read_once(server.url, Book())
    assert groups_of(writer.client, clocks) == [b"g"] * len(clocks), "a member reads the clocks"
    found = await removed(server.url)
    assert found == Removed(known=True, streams=6, clocks=len(clocks))
    assert not groups_of(writer.client, clocks)
    assert not list(writer.client.scan_iter(match="*:g*"))
    # One that an older program left behind is found, and taken away.
    writer.client.xgroup_create(clocks[0], "g", "0")
    assert await removed(server.url) == Removed(known=True, clocks=1)
    assert await removed(server.url) == Removed(known=False)


async def test_a_member_that_starts_meanwhile_is_left_alone(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for market in writer.markets:
        writer.top(market)
    await read_once(server.url, Book())
    look = removal._refuse_what_lives
    book = Book()
    async with asyncio.TaskGroup() as tasks:
        ready, over = asyncio.Event(), asyncio.Event()

        async def read() -> None:
            async with member(server, book, "late") as group:
                await until(lambda: len(group.partitions) == 64, "the late member holds all")
                ready.set()
                await over.wait()

        async def look_then_it_starts(*given: Any) -> bool:
            found = await look(*given)
            tasks.create_task(read())
            await ready.wait()
            return found

        monkeypatch.setattr(removal, "_refuse_what_lives", look_then_it_starts)
        with pytest.raises(GroupError, match="group g is read by late; nothing was removed"):
            await removed(server.url)
        last = writer.top(writer.markets[0])
        await until(lambda: book.ids == [last], "only what is new is handled")
        over.set()


async def test_no_member_takes_what_is_being_removed(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = writer.top(writer.markets[0])
    await read_once(server.url, Book())
    scan, scans = scan_streams, 0
    book = Book()

    async def scan_with_a_member_waiting(*given: Any) -> Any:
        nonlocal scans
        scans += 1
        if scans == 2:
            owners = {
                writer.client.hget(KEYS.lease(one, "g"), "owner").decode()  # type: ignore[union-attr]
                for one in range(100)
            }
            assert len(owners) == 1
            assert owners.pop().startswith("removal-")
            with pytest.raises(GroupError, match="is read by removal-"):
                await removed(server.url)
        return await scan(*given)

    monkeypatch.setattr(removal, "scan_streams", scan_with_a_member_waiting)
    # The second removal looks at leases before it looks at streams.
    assert (await removed(server.url)).streams == 1
    assert scans == 2
    async with member(server, book, "next"):
        await until(lambda: book.ids == [at], "a new group of this name begins at the beginning")


async def test_a_partition_that_was_taken_from_it_stays(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for market in writer.markets:
        writer.top(market)
    await read_once(server.url, Book())
    taken = sorted({market.partition for market in writer.markets})[1]
    take = removal._Removal.take

    async def take_and_sleep(self: Any) -> None:
        await take(self)
        lease = {"owner": "thief", "expires_ms": 2**42}
        writer.client.hset(KEYS.lease(taken, "g"), mapping=lease)  # type: ignore[arg-type]
        writer.client.hincrby(KEYS.lease(taken, "g"), "epoch", 1)

    monkeypatch.setattr(removal._Removal, "take", take_and_sleep)
    with pytest.raises(GroupError, match=f"thief began to read partition {taken} of group g"):
        await removed(server.url)
    for market in writer.markets:
        stands = groups_of(writer.client, [writer.key(market)])
        assert stands == ([] if market.partition < taken else [b"g"])
    assert writer.client.hget(KEYS.lease(taken, "g"), "owner") == b"thief"
    assert writer.client.hget(KEYS.lease(taken + 1, "g"), "owner") == b"", "given back"


async def test_who_reads_by_plain_xreadgroup_is_not_robbed(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = writer.key(writer.markets[0])
    writer.top(writer.markets[0])
    for consumer in ("busy", "reader"):
        # Ours are called `reader` as well, and hold leases.
        writer.client.xgroup_create(key, "plain", "0")
        writer.client.xreadgroup("plain", consumer, {key: ">"})
        with pytest.raises(GroupError, match=f"read in the last 10 s by {consumer}, which holds no lease"):
            await removed(server.url, "plain")
        assert groups_of(writer.client, [key]) == [b"plain"]
        assert not list(writer.client.scan_iter(match="lease:*")), "a refusal leaves nothing behind"
        with monkeypatch.context() as patch:
            patch.setattr(readers, "ACTIVE_MS", 0)
            assert await removed(server.url, "plain") == Removed(known=True, streams=1)
    clock = KEYS.clock(3)
    writer.client.xadd(clock, CLOCK)
    writer.client.xgroup_create(clock, "plain", "0")
    writer.client.xreadgroup("plain", "ticker", {clock: ">"})
    with pytest.raises(GroupError, match="by ticker, which holds no lease"):
        await removed(server.url, "plain")


async def test_a_letter_that_is_handed_back_meanwhile_is_kept(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    requeue = KEYS.requeue(7, "g")
    writer.client.xadd(requeue, {**LETTER, "id": "1-1"})
    take_back = removal._Removal._take_back
    rounds = 0

    async def slow(self: Any, letters: Any, taken_back: Any) -> None:
        nonlocal rounds
        await take_back(self, letters, taken_back)
        if letters:
            rounds += 1
        if rounds == 1 and letters:
            writer.client.xadd(requeue, {**LETTER, "id": "2-2"})

    monkeypatch.setattr(removal._Removal, "_take_back", slow)
    assert (await removed(server.url)).letters == 2
    rows: Any = writer.client.xrange(KEYS.dead("g"))
    assert [fields[b"id"] for _, fields in rows] == [b"1-1", b"2-2"]
    assert rounds == 2
    assert not writer.client.exists(requeue)


async def test_an_interruption_loses_no_letter(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    requeue = KEYS.requeue(7, "g")
    writer.client.xadd(requeue, LETTER)
    take_back = removal._Removal._take_back

    async def cut(self: Any, letters: Any, taken_back: Any) -> None:
        await take_back(self, letters, taken_back)
        if letters:
            raise ConnectionError("cut")

    with monkeypatch.context() as patch:
        patch.setattr(removal._Removal, "_take_back", cut)
        with pytest.raises(ConnectionError, match="cut"):
            await removed(server.url)
    assert (writer.client.xlen(requeue), writer.client.xlen(KEYS.dead("g"))) == (1, 1)
    # Its leases have run out.
    for key in writer.client.scan_iter(match="lease:*:g"):
        writer.client.hset(key, "expires_ms", 1)
    await removed(server.url)
    assert (writer.client.xlen(requeue), writer.client.xlen(KEYS.dead("g"))) == (0, 2), "at worst twice"


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


async def test_each_command_and_transaction_stays_in_one_slot() -> None:
    with PrivateRedis(
        *("--cluster-enabled", "yes", "--cluster-port", free_port()), tcp=True, appendonly=False
    ) as node:
        client = node.client()
        client.cluster("addslotsrange", 0, 16383)
        await until(lambda: client.cluster("info")["cluster_state"] == "ok", "all slots are served")
        crossing = client.pipeline()
        crossing.xlen("a")
        crossing.xlen("b")
        with pytest.raises(redis.ResponseError, match="same slot"):
            crossing.execute()
        writer = StreamWriter(client, count=6)
        for market in writer.markets:
            writer.top(market)
            client.xgroup_create(writer.key(market), "g", "0")
            client.xadd(KEYS.requeue(market.partition, "g"), LETTER)
        client.hset(KEYS.role("g"), "program", "some")
        client.zadd(KEYS.groups, {"g": 1})
        found = await removed(node.tcp_url)
        assert (found.streams, found.letters) == (6, 6)
        assert client.xlen(KEYS.dead("g")) == 6
        assert (await removed(node.tcp_url, dead_letters=True)).letters == 6
        assert not list(client.scan_iter(match="*:g*"))
