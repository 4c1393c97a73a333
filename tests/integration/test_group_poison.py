"""An entry that ends the process of whoever handles it is given up in the end, and the rest goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from marketdata.entries import EntryId
from marketdata.groups import Group, Message, Notice, attempts
from marketdata.groups.dead import DeadLetter, dead_letters, requeue
from tests.integration.group_members import forked, journal_lines, pending, written
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter

LIFE_BOUND_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client, count=12)


def fill(writer: StreamWriter, rounds: int) -> None:
    for _ in range(rounds):
        for market in writer.markets:
            writer.top(market, 0)


def clock(writer: StreamWriter, partition: int) -> None:
    """An entry that handlers are not given, in front of one that they are."""
    writer.ms += 1
    fields: Any = {"worker": "w1", "epoch": "1", "live": "2", "stale": "0"}
    writer.client.xadd(writer.keys.clock(partition), fields, id=f"{writer.ms}-0")


def killed_by(poison: set[EntryId]) -> Callable[[EntryId], None]:
    def call(entry_id: EntryId) -> None:
        if entry_id in poison:
            os.kill(os.getpid(), signal.SIGKILL)

    return call


def life(server: PrivateRedis, journal: Path, call: Callable[[EntryId], None], takes_s: float = 0.0) -> int:
    """One member in a process of its own; what `call` leaves alive is noted. Its exit code, or minus the signal."""

    async def live() -> None:
        file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

        async def handle(item: Message | Notice) -> None:
            if isinstance(item, Message):
                if takes_s:
                    await asyncio.sleep(takes_s)
                call(item.id)
                os.write(file, f"m {item.id} {item.stream} .\n".encode())

        async with Group("g", redis_url=server.url, member="m") as group, asyncio.timeout(LIFE_BOUND_S):
            await group.run(handle, once=True)

    _, status = os.waitpid(forked(lambda: asyncio.run(live())), 0)
    return os.waitstatus_to_exitcode(status)


async def letters(server: PrivateRedis) -> list[DeadLetter]:
    async with Group("g", redis_url=server.url) as group:
        return [one async for _, one in dead_letters(group.client, group.keys, "g")]


def counted(writer: StreamWriter) -> dict[bytes, dict[bytes, bytes]]:
    """What is kept of begun calls, by key."""
    client: Any = writer.client
    return {key: client.hgetall(key) for key in client.scan_iter("begun:*")}


async def test_an_entry_that_kills_its_process_is_given_up_after_five_counted_calls(
    server: PrivateRedis, writer: StreamWriter, tmp_path: Path
) -> None:
    fill(writer, 20)
    poison = writer.top(writer.markets[4])
    fill(writer, 20)
    journal = tmp_path / "journal"
    for lives in range(6):
        assert life(server, journal, killed_by({poison})) == -signal.SIGKILL
        counts = {field: count for one in counted(writer).values() for field, count in one.items()}
        assert counts.get(f"{writer.key(writer.markets[4])} {poison}".encode(), b"0") == b"%d" % lives
    assert life(server, journal, killed_by({poison})) == 0
    (letter,) = await letters(server)
    assert (letter.id, letter.stream, letter.attempts) == (poison, writer.key(writer.markets[4]), 5)
    assert letter.reason == "5 calls began and were not acknowledged"
    handled = [row[1:] for row in journal_lines(journal)]
    due = written(writer.client, writer) - {(poison, writer.key(writer.markets[4]))}
    assert set(handled) == due
    assert pending(writer.client, writer) == 0
    assert counted(writer) == {}


async def test_two_that_kill_are_given_up_and_their_neighbours_are_not(
    server: PrivateRedis, writer: StreamWriter, tmp_path: Path
) -> None:
    market = writer.markets[0]
    ids = []
    for _ in range(6):
        clock(writer, market.partition)
        ids.append(writer.top(market))
    poison = {ids[1], ids[2]}
    journal = tmp_path / "journal"
    deaths = 0
    while (code := life(server, journal, killed_by(poison))) != 0:
        assert code == -signal.SIGKILL
        deaths += 1
        fields = [field for one in counted(writer).values() for field in one]
        assert len(fields) <= 1, "one entry at a time"
        assert all(field.decode().split()[0] == writer.key(market) for field in fields)
    assert deaths == 11, "the first call of all, uncounted, and five of each"
    assert [one.id for one in await letters(server)] == [ids[1], ids[2]]
    assert {row[1] for row in journal_lines(journal)} == set(ids) - poison
    assert counted(writer) == {}


async def test_calls_under_way_in_other_partitions_are_not_blamed(
    server: PrivateRedis, writer: StreamWriter, tmp_path: Path
) -> None:
    fill(writer, 1)
    poison = writer.top(writer.markets[0])
    fill(writer, 5)
    journal = tmp_path / "journal"
    # All partitions are in the middle of a call whenever the process ends.
    while (code := life(server, journal, killed_by({poison}), takes_s=0.02)) != 0:
        assert code == -signal.SIGKILL
    assert [one.id for one in await letters(server)] == [poison]
    due = written(writer.client, writer) - {(poison, writer.key(writer.markets[0]))}
    assert {row[1:] for row in journal_lines(journal)} == due
    assert counted(writer) == {}


async def test_kills_and_failures_count_together(
    server: PrivateRedis, writer: StreamWriter, tmp_path: Path
) -> None:
    poison = writer.top(writer.markets[0])
    journal = tmp_path / "journal"
    for _ in range(3):
        assert life(server, journal, killed_by({poison})) == -signal.SIGKILL
    calls = tmp_path / "calls"

    def fails(entry_id: EntryId) -> None:
        with calls.open("a") as file:
            file.write(f"{entry_id}\n")
        raise ValueError("I do not like it")

    assert life(server, journal, fails) == 0
    assert calls.read_text().split() == [str(poison)] * 3
    (letter,) = await letters(server)
    assert letter.attempts == attempts.ATTEMPTS
    assert letter.reason == "ValueError: I do not like it; 2 calls before began and were not acknowledged"
    assert counted(writer) == {}


async def test_a_failed_call_behind_a_notice_acknowledges_nothing_of_its_entry(
    server: PrivateRedis, writer: StreamWriter, tmp_path: Path
) -> None:
    market = writer.markets[0]
    first, second = writer.top(market), writer.top(market, lost=3)
    journal = tmp_path / "journal"
    calls = 0

    def fails_then_kills(entry_id: EntryId) -> None:
        nonlocal calls
        calls += entry_id == second
        if calls == 1:
            raise ValueError("not yet")
        killed_by({second})(entry_id)

    assert life(server, journal, fails_then_kills) == -signal.SIGKILL
    assert [row[1] for row in journal_lines(journal)] == [first]
    assert life(server, journal, killed_by(set())) == 0
    assert [row[1] for row in journal_lines(journal)] == [first, second]


async def test_what_was_counted_goes_when_it_is_handled_or_trimmed(
    server: PrivateRedis, writer: StreamWriter, tmp_path: Path
) -> None:
    market = writer.markets[0]
    first, second = writer.top(market), writer.top(market)
    journal = tmp_path / "journal"
    for _ in range(2):
        assert life(server, journal, killed_by({second})) == -signal.SIGKILL
    key = f"begun:{{{market.partition:02d}}}:g".encode()
    assert counted(writer) == {key: {f"{writer.key(market)} {second}".encode(): b"1"}}
    writer.client.xtrim(writer.key(market), maxlen=0, approximate=False)
    assert life(server, journal, killed_by(set())) == 0
    assert counted(writer) == {}
    third = writer.top(market)
    for _ in range(4):
        assert life(server, journal, killed_by({third})) == -signal.SIGKILL
    assert counted(writer) == {key: {f"{writer.key(market)} {third}".encode(): b"3"}}
    assert life(server, journal, killed_by(set())) == 0
    assert counted(writer) == {}
    assert [row[1] for row in journal_lines(journal)] == [first, first, third], "first came again"
    assert await letters(server) == []


async def test_a_dead_letter_that_kills_when_it_is_handed_back_dies_again(
    server: PrivateRedis, writer: StreamWriter, tmp_path: Path
) -> None:
    poison = writer.top(writer.markets[0])
    journal = tmp_path / "journal"
    while life(server, journal, killed_by({poison})) != 0:
        pass
    async with Group("g", redis_url=server.url) as group:
        assert await requeue(group.client, group.keys, "g", None) == 1
    for _ in range(5):
        fill(writer, 2)
        assert life(server, journal, killed_by({poison})) == -signal.SIGKILL
    assert await letters(server) == []
    assert life(server, journal, killed_by({poison})) == 0
    assert [one.id for one in await letters(server)] == [poison]
    assert counted(writer) == {}
    assert set(journal_lines_of(journal)) == written(writer.client, writer) - {
        (poison, writer.key(writer.markets[0]))
    }


def journal_lines_of(journal: Path) -> list[tuple[EntryId, str]]:
    return [row[1:] for row in journal_lines(journal)]
