"""No entry is lost, and none overtakes another, however often a member is killed or frozen."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from marketdata.groups import Group, Message, Notice
from tests.acceptance.group_kills import run
from tests.integration.group_members import by_partition, forked, journal_lines, written
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter

KILLS = 60


@pytest.mark.timeout(240)
def test_members_killed_at_every_stage_lose_nothing() -> None:
    outcome = run(kills=KILLS, seed=secrets.randbits(32))
    print("\n".join(outcome.lines()))
    assert outcome.mistakes == []
    assert sum(outcome.stages.values()) == KILLS
    assert outcome.entries == KILLS * 60


def _slow_member(url: str, journal: Path, name: str) -> None:
    async def live() -> None:
        file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

        def handle(item: Message | Notice) -> None:
            if isinstance(item, Message):
                os.write(file, f"{name} {item.id} {item.stream} .\n".encode())
                time.sleep(0.002)

        async with Group("g", redis_url=url, member=name, lease_ttl_s=1) as group:
            await group.run(handle)

    asyncio.run(live())


async def test_a_member_that_was_frozen_while_its_partitions_were_taken(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    children: list[int] = []

    def lines() -> list[tuple[str, Any, str]]:
        return journal_lines(journal)

    with PrivateRedis(appendonly=False) as server, server.client() as client:
        writer = StreamWriter(client, count=12)

        def write(rounds: int) -> None:
            for _ in range(rounds):
                for market in writer.markets:
                    writer.top(market, 0)

        def handled_up_to() -> dict[bytes, Any]:
            return {
                key: client.hget(key, "handled")
                for key in client.scan_iter("lease:*:g")
                if client.hexists(key, "handled")
            }

        try:
            write(20)
            children.append(forked(lambda: _slow_member(server.url, journal, "a")))
            await until(lambda: len(lines()) >= 30, "a is in the middle of its work")
            os.kill(children[0], signal.SIGSTOP)
            write(20)
            children.append(forked(lambda: _slow_member(server.url, journal, "b")))
            due = written(client, writer)
            await until(lambda: {row[1:] for row in lines()} == due, "b handled all that a had not", 30)
            before, stood = lines(), handled_up_to()
            os.kill(children[0], signal.SIGCONT)
            write(20)
            due = written(client, writer)
            await until(lambda: {row[1:] for row in lines()} == due, "both go on together", 30)
            await until(
                lambda: all(int(client.hlen(key)) for key in stood) and _shares(client) == [32, 32],
                "they share again",
                30,
            )
            write(5)
            due = written(client, writer)
            await until(lambda: {row[1:] for row in lines()} == due, "and read what is new", 30)
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
                await asyncio.to_thread(os.waitpid, child, 0)
        old = {row[1:] for row in before}
        late = [row for row in lines()[len(before) :] if row[1:] in old]
        assert len(late) <= 1, "only the call that was under way may repeat, never what follows it"
        for partition, found in by_partition(list(dict.fromkeys(row[1:] for row in lines()))).items():
            assert found == sorted(found), f"partition {partition} was handled out of order"
        for key, handled in handled_up_to().items():
            assert _id(handled) >= _id(stood[key])
        assert max(Counter(row[1:] for row in lines()).values()) <= 2


def _shares(client: Any) -> list[int]:
    owners = Counter(client.hget(key, "owner") for key in client.scan_iter("lease:*:g"))
    return [owners[b"a"], owners[b"b"]]


def _id(text: bytes) -> tuple[int, int]:
    ms, n = text.split(b"-")
    return int(ms), int(n)
