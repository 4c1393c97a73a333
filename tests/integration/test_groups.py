"""The group loop: every entry once, in order, whatever happens to members, streams and Redis."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from marketdata.entries import EntryId
from marketdata.errors import GroupError, MemberTakenError, SettingsError
from marketdata.groups import Batch, Clock, Group, Message, Partition, attempts, tenure
from marketdata.groups.dead import dead_letters, drop, requeue
from marketdata.groups.tenure import BatchHandler
from tests.integration.group_members import Book, member, pending, written
from tests.integration.worker.proxy import FaultyProxy
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter


@pytest.fixture(scope="module")
def shared() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def server(shared: PrivateRedis) -> PrivateRedis:
    with shared.client() as client:
        client.flushall()
    return shared


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        yield StreamWriter(client, count=12)


def fill(writer: StreamWriter, rounds: int) -> None:
    for _ in range(rounds):
        for market in writer.markets:
            writer.top(market, 0)
            writer.top(market, 1)


def clock(writer: StreamWriter, partition: int) -> EntryId:
    writer.ms += 1
    fields: Any = {"worker": "w1", "epoch": "1", "live": "2", "stale": "0"}
    writer.client.xadd(writer.keys.clock(partition), fields, id=f"{writer.ms}-0")
    return EntryId(writer.ms, 0)


def settled(writer: StreamWriter, group: str = "g") -> bool:
    """Whether everything written was acknowledged."""
    for market in writer.markets:
        infos: Any = writer.client.xinfo_groups(writer.key(market))
        last: Any = writer.client.xinfo_stream(writer.key(market))["last-generated-id"]
        ours = [one for one in infos if one["name"].decode() == group]
        if not ours or ours[0]["pending"] or ours[0]["last-delivered-id"] != last:
            return False
    return True


async def read_once(server: PrivateRedis, handler: Any, name: str = "a") -> None:
    async with Group("g", redis_url=server.url, member=name, log=print) as group, asyncio.timeout(30):
        await group.run(handler, once=True)


async def test_what_is_there_is_read_once_in_the_total_order(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    fill(writer, 150)
    book = Book()
    await read_once(server, book)
    assert Counter(book.ids) == Counter(entry_id for entry_id, _ in written(writer.client, writer))
    assert book.disorder() == []
    assert settled(writer)
    one = book.messages[0]
    assert one.market in writer.markets
    assert one.question == next(m.question for m in writer.markets if m.condition_id == one.condition_id)
    assert one.outcome_name in ("Yes", "No")
    assert not any(m.again for m in book.messages)
    again = Book()
    await read_once(server, again)
    assert again.messages == []


async def test_new_entries_streams_and_markets_come_at_once(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    late = writer.markets[-1]
    writer.client.hdel(writer.keys.catalog, late.condition_id)
    book = Book()

    async def handle(item: Any) -> None:
        await asyncio.sleep(0)
        book(item)

    async with member(server, handle) as group:
        await until(lambda: len(group.partitions) == 64, "all partitions are ours")
        writer.top(writer.markets[0])
        await until(lambda: len(book.messages) == 1, "the first entry of a stream")
        writer.list_market(late)
        writer.top(late)
        await until(lambda: len(book.messages) == 2, "the first entry of a market that appeared")
        await until(lambda: settled_some(writer, [writer.markets[0], late]), "both are acknowledged")
    assert book.messages[1].market == late
    record: Any = writer.client.exists(writer.keys.group_member("g", "a"))
    assert not record, "who stopped is off the list"


def settled_some(writer: StreamWriter, markets: list[Any]) -> bool:
    rows: list[Any] = [writer.client.xinfo_groups(writer.key(market)) for market in markets]
    return all(row and row[0]["pending"] == 0 for row in rows)


async def test_an_older_entry_in_a_stream_that_appears_is_not_overtaken(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    """Two streams of one partition; the second appears between two reads, its entry is the older one."""
    by_partition: dict[int, list[Any]] = {}
    for market in writer.markets:
        by_partition.setdefault(market.partition, []).append(market)
    first, second = next(rows for rows in by_partition.values() if len(rows) > 1)[:2]
    book = Book()
    async with member(server, book) as group:
        await until(lambda: len(group.partitions) == 64, "all partitions are ours")
        writer.top(first)
        await until(lambda: len(book.messages) == 1, "the stream is read")
        for _ in range(30):
            with writer.client.pipeline(transaction=True) as pipe:
                ahead = EntryId(writer.ms + 2, 0)
                fields: Any = writer.entry("top", 0, 1).to_fields()
                pipe.delete(writer.key(second))
                pipe.xadd(writer.key(second), fields, id=f"{writer.ms + 1}-0")
                pipe.xadd(writer.key(first), fields | {"kind": "trade"}, id=str(ahead))
                pipe.publish(writer.keys.wake(first.partition), "")
                writer.ms += 2
                pipe.execute()
            await until(lambda ahead=ahead: book.ids[-1] == ahead, "both are handled")  # type: ignore[misc]
    assert len(book.messages) == 61
    assert book.disorder() == []


async def test_a_poison_entry_becomes_a_dead_letter_and_the_rest_goes_on(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_DELAY_S", 0.01)
    fill(writer, 3)
    market = writer.markets[4]
    rows: Any = writer.client.xrange(writer.key(market))
    poison = EntryId.parse(rows[2][0])
    calls: list[EntryId] = []
    healed = False

    def handle(item: Any) -> None:
        if isinstance(item, Message) and item.stream == writer.key(market):
            calls.append(item.id)
            if item.id == poison and not healed:
                raise ValueError("I do not\nlike it")

    broken: Any = {"kind": "top"}
    unreadable = writer.client.xadd(writer.key(market), broken, id=f"{writer.ms + 1}-0")
    assert isinstance(unreadable, bytes)
    await read_once(server, handle)
    ids = [EntryId.parse(entry_id) for entry_id, _ in rows]
    assert calls == [*ids[:2], *[poison] * 5, *ids[3:]], "in order, five calls, and the rest"
    assert settled(writer)
    async with Group("g", redis_url=server.url) as group:
        letters = [one async for one in dead_letters(group.client, group.keys, "g")]
        assert [(one.id, one.attempts, one.reason) for _, one in letters] == [
            (poison, 5, "ValueError: I do not like it"),
            (EntryId.parse(unreadable), 0, "EntryError: an entry lacks the field 'outcome'"),
        ]
        assert letters[0][1].stream == writer.key(market)
        assert await drop(group.client, group.keys, "g", letters[1][0]) == 1
        healed = True
        calls.clear()
        async with member(server, handle):
            assert await requeue(group.client, group.keys, "g", str(poison)) == 1
            await until(lambda: calls == [poison], "the dead letter is handled once more")
            await until(
                lambda: (
                    not writer.client.exists(writer.keys.requeue(market.partition, "g"))
                    or not writer.client.xlen(writer.keys.requeue(market.partition, "g"))
                ),
                "and taken off the list",
            )
        assert [one async for one in dead_letters(group.client, group.keys, "g")] == []


async def test_a_failing_entry_holds_up_its_own_partition_only(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(writer, 1)
    poison = writer.markets[0]
    book = Book()
    release = asyncio.Event()

    async def handle(item: Any) -> None:
        if isinstance(item, Message) and item.partition == poison.partition and not release.is_set():
            raise RuntimeError("not yet")
        book(item)

    monkeypatch.setattr(attempts, "ATTEMPTS", 10**6)
    monkeypatch.setattr(attempts, "LONGEST_DELAY_S", 0.05)
    others = {
        entry_id
        for entry_id, key in written(writer.client, writer)
        if f"{{{poison.partition:02d}}}" not in key
    }
    async with member(server, handle):
        await until(lambda: set(book.ids) == others, "all other partitions are handled")
        release.set()
        await until(lambda: len(book.ids) == 24, "and then this one")
    assert book.disorder() == []


async def test_flushall_under_a_live_group_heals(server: PrivateRedis, writer: StreamWriter) -> None:
    fill(writer, 5)
    book = Book()
    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(member(server, book, name)) for name in ("a", "b")]
        await until(lambda: [len(one.partitions) for one in members] == [32, 32], "the group is balanced")
        await until(lambda: len(book.messages) == 120, "all is handled")
        for _ in range(5):
            before = len(book.messages)
            writer.client.flushall()
            began_s = asyncio.get_running_loop().time()
            for market in writer.markets:
                writer.list_market(market)
                writer.top(market)
            await until(lambda before=before: len(book.messages) == before + 12, "what came after", 10)  # type: ignore[misc]
            took_s = asyncio.get_running_loop().time() - began_s
            print(f"healed in {took_s:.3f} s")
            assert took_s < 3, "a second, and the noise of a busy machine"
        await until(lambda: settled(writer), "all is acknowledged")
    assert len(set(book.ids)) == len(book.ids), "nothing came twice"


@pytest.mark.parametrize("how", ["destroyed", "restarted"])
async def test_a_group_that_vanished_goes_on_where_it_was(
    server: PrivateRedis, writer: StreamWriter, how: str
) -> None:
    fill(writer, 5)
    book = Book()
    await read_once(server, book)
    for market in writer.markets:
        writer.client.xgroup_destroy(writer.key(market), "g")
    if how == "destroyed":
        async with member(server, book):
            fill(writer, 1)
            await until(lambda: len(book.messages) == 144, "what is new")
            for market in writer.markets:
                writer.client.xgroup_destroy(writer.key(market), "g")
            fill(writer, 1)
            await until(lambda: len(book.messages) == 168, "what is new")
    else:
        fill(writer, 2)
        await read_once(server, book, "b")
    assert Counter(book.ids) == Counter(entry_id for entry_id, _ in written(writer.client, writer))
    assert settled(writer)


async def test_entries_trimmed_before_they_were_read_are_told(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    fill(writer, 3)
    market, other = writer.markets[0], writer.markets[1]
    await read_once(server, Book())
    gone = [writer.top(market) for _ in range(5)]
    kept = [writer.top(market) for _ in range(2)]
    writer.client.xtrim(writer.key(market), minid=str(kept[0]), approximate=False)
    # All that was handled is trimmed away, and nothing else: no notice.
    writer.client.xtrim(writer.key(other), maxlen=0, approximate=False)
    writer.top(other)
    book = Book()
    await read_once(server, book)
    assert [m.id for m in book.messages if m.stream == writer.key(market)] == kept
    (lost,) = book.lost
    assert lost.stream == writer.key(market)
    assert lost.market == market
    assert lost.first <= gone[0] <= gone[-1] <= lost.last < kept[0]
    assert str(lost.first) in str(lost)


async def test_pending_entries_that_were_trimmed_are_told_and_acknowledged(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    ids = [writer.top(market) for _ in range(4)]
    key = writer.key(market)
    writer.client.xgroup_create(key, "g", "0")
    streams: Any = {key: ">"}
    writer.client.xreadgroup("g", "a stranger", streams)
    writer.client.xdel(key, str(ids[1]), str(ids[2]))
    book = Book()
    await read_once(server, book)
    assert book.ids == [ids[0], ids[3]]
    assert all(one.again for one in book.messages)
    assert [(one.first, one.last) for one in book.lost] == [(ids[1], ids[2])]
    assert pending(writer.client, writer_of([market], writer)) == 0


def writer_of(markets: list[Any], writer: StreamWriter) -> Any:
    class Some:
        pass

    some: Any = Some()
    some.markets, some.key = markets, writer.key
    return some


async def test_a_jump_of_seq_is_told(server: PrivateRedis, writer: StreamWriter) -> None:
    market = writer.markets[0]
    first = writer.top(market)
    second = writer.top(market, lost=3)
    writer.gap(market, None)
    writer.top(market, lost=5)
    book = Book()
    await read_once(server, book)
    (lost,) = book.lost
    assert first < lost.first <= lost.last < second


async def test_a_silent_writer_is_told_and_its_return(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenure, "SILENT_AFTER_S", 1.0)
    market = writer.markets[0]
    writer.top(market)
    last = clock(writer, market.partition)
    book = Book()
    async with member(server, book):
        await until(lambda: book.silent, "silence")
        assert [(one.partition, one.last, one.over) for one in book.silent] == [
            (market.partition, last, False)
        ]
        back = clock(writer, market.partition)
        await until(lambda: len(book.silent) == 2, "the end of it")
    assert book.silent[1].over
    assert book.silent[1].last == back
    assert len(book.messages) == 1


async def test_members_share_evenly_come_and_go(server: PrivateRedis, writer: StreamWriter) -> None:
    books = {name: Book() for name in "abcd"}

    def handled() -> list[EntryId]:
        return [one for book in books.values() for one in book.ids]

    async with AsyncExitStack() as stack:
        members = []
        for name, book in books.items():
            members.append(await stack.enter_async_context(member(server, book, name)))
            share = 64 // len(members)
            await until(
                lambda share=share: all(share <= len(one.partitions) <= share + 1 for one in members),  # type: ignore[misc]
                f"each has {share}",
            )
            fill(writer, 5)
        owned = [partition for one in members for partition in one.partitions]
        assert sorted(owned) == list(range(64))
        await until(lambda: len(handled()) == 480, "all is handled")
        members[1].stop()
        await until(lambda: sum(len(members[at].partitions) for at in (0, 2, 3)) == 64, "b's are shared")
        fill(writer, 5)
        await until(lambda: len(handled()) == 600, "all is handled")
    assert Counter(handled()) == Counter(entry_id for entry_id, _ in written(writer.client, writer))
    assert all(book.disorder() == [] for book in books.values())


async def test_two_programs_under_one_name_do_not_fight(server: PrivateRedis, writer: StreamWriter) -> None:
    fill(writer, 1)
    first, second = Book(), Book()
    async with Group("g", redis_url=server.url, member="a", log=print) as older:
        task = asyncio.create_task(older.run(first))
        await until(lambda: len(first.messages) == 24, "the older one reads")
        async with member(server, second):
            with pytest.raises(MemberTakenError, match="another program reads group g as member a"):
                async with asyncio.timeout(15):
                    await task
            fill(writer, 1)
            await until(lambda: len(second.messages) == 24, "the newer one reads")


async def test_batches_commit_together_with_the_callers_writes(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    fill(writer, 20)
    market = writer.markets[0]
    beats = [clock(writer, market.partition) for _ in range(3)]
    found: list[Message | Clock] = []
    opened_at: list[EntryId | None] = []

    async def opened(partition: Partition) -> BatchHandler:
        opened_at.append(partition.handled)

        async def handle(batch: Batch) -> None:
            entries = [item for item in batch.items if isinstance(item, Message | Clock)]
            found.extend(entries)
            await batch.commit([("RPUSH", f"out:{batch.partition}", *(str(one.id) for one in entries))])

        return handle

    for _ in range(2):
        async with Group("g", redis_url=server.url, log=print) as group, asyncio.timeout(30):
            await group.run_partitions(opened, clocks=True, once=True)
        assert len(found) == 483
    assert [one.id for one in found if isinstance(one, Clock)] == beats
    assert max(filter(None, opened_at)) == beats[-1], "what was handled is known to the next"
    out: Any = writer.client.lrange(f"out:{market.partition}", 0, -1)
    assert [EntryId.parse(one) for one in out] == sorted(EntryId.parse(one) for one in out)
    assert beats[-1] in [EntryId.parse(one) for one in out]


async def test_a_handler_of_batches_that_keeps_failing_ends_the_run(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    writer.top(writer.markets[0])
    calls = 0

    async def opened(_: Partition) -> BatchHandler:
        async def handle(_: Batch) -> None:
            nonlocal calls
            calls += 1
            raise ValueError("no")

        return handle

    async with Group("g", redis_url=server.url, log=print) as group, asyncio.timeout(30):
        with pytest.raises(GroupError, match=r"failed 5 times \(ValueError: no\); nothing of the batch"):
            await group.run_partitions(opened)
    assert calls == 5
    book = Book()
    await read_once(server, book)
    assert len(book.messages) == 1


async def test_a_stop_finishes_the_batch(server: PrivateRedis, writer: StreamWriter) -> None:
    fill(writer, 10)
    begun, go_on = asyncio.Event(), asyncio.Event()
    book = Book()

    async def handle(item: Any) -> None:
        begun.set()
        await go_on.wait()
        book(item)

    async with Group("g", redis_url=server.url, member="a", log=print) as group:
        task = asyncio.create_task(group.run(handle))
        await begun.wait()
        group.stop()
        go_on.set()
        async with asyncio.timeout(10):
            await task
    rest = Book()
    await read_once(server, rest, "b")
    assert not set(book.ids) & set(rest.ids), "what was handled was acknowledged"
    assert len(book.ids) + len(rest.ids) == 240


async def test_lost_replies_and_cut_connections_neither_lose_nor_double(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    book = Book()
    proxy = FaultyProxy(server.socket_path, Random(seed), within_bytes=60_000)
    path = Path(server.folder) / "faulty.sock"
    async with proxy.listening(path):
        async with (
            Group("g", redis_url=f"unix://{path}", member="a", log=lambda _: None) as group,
            asyncio.timeout(90),
        ):
            proxy.armed = True
            task = asyncio.create_task(group.run(book))
            while proxy.count < 60:
                fill(writer, 1)
                await asyncio.sleep(0.01)
                assert not task.done(), task
            proxy.armed = False
            due = Counter(entry_id for entry_id, _ in written(writer.client, writer))
            await until(lambda: Counter(book.ids).keys() >= due.keys(), "all is handled", 30)
            await until(lambda: settled(writer), "all is acknowledged")
            group.stop()
            await task
        await until(lambda: not proxy._lives, "every connection is closed")
    print(f"{proxy.count} faults, {len(book.ids)} entries")
    assert Counter(book.ids) == due, "each exactly once: a live member looks up what it does not know"
    assert book.disorder() == []


async def test_a_full_redis_is_waited_for(server: PrivateRedis, writer: StreamWriter) -> None:
    fill(writer, 2)
    book = Book()
    log: list[str] = []
    async with Group("g", redis_url=server.url, member="a", log=log.append) as group:
        task = asyncio.create_task(group.run(book))
        try:
            await until(lambda: len(book.messages) == 48, "all is handled")
            fill(writer, 1)
            writer.client.config_set("maxmemory", "1mb")
            await until(lambda: any("Redis refuses" in line for line in log), "it says so")
            assert not task.done()
            writer.client.config_set("maxmemory", "0")
            fill(writer, 1)
            await until(lambda: len(book.messages) == 96 and settled(writer), "it goes on")
        finally:
            writer.client.config_set("maxmemory", "0")
            group.stop()
            await task
    assert len(set(book.ids)) == 96


async def test_redis_killed_and_started_again_under_a_live_group() -> None:
    with PrivateRedis() as server:
        with server.client() as client:
            writer = StreamWriter(client, count=12)
            fill(writer, 3)
        book = Book()
        async with member(server, book):
            await until(lambda: len(book.messages) == 72, "all is handled")
            for round_ in range(1, 4):
                await asyncio.to_thread(server.restart)
                writer.client = server.client()
                fill(writer, 1)
                await until(lambda: len(set(book.ids)) == 72 + 24 * round_, "what came after", 30)  # noqa: B023
                writer.client.close()
        writer.client = server.client()
        assert settled(writer)
        writer.client.close()
        assert len(book.ids) == len(set(book.ids)), "what Redis forgot to have heard is not handled again"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a{1}", "x" * 65])
def test_names_that_cannot_stand_in_a_key_are_refused(name: str) -> None:
    for given in ({"name": name}, {"name": "g", "member": name}):
        with pytest.raises(SettingsError, match="is no name of a"):
            Group(**given)
