"""Members of a group killed at every stage of their work, and what came of the entries.

python -m tests.acceptance.group_kills --kills 1000 --out docs/proofs/groups.txt
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import redis

from marketdata.entries import EntryId
from marketdata.groups import Batch, Group, Message, Notice
from marketdata.groups.reading import PartitionReading
from tests.integration.group_members import by_partition, forked, journal_lines, pending, written
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter

STAGES: Final = ("read", "handle", "before", "after")
"""After a read, inside the handler, after it but before the acknowledgement, after the acknowledgement."""

ENTRIES_A_LIFE: Final = 60

MOST_BEFORE: Final = {"read": 4, "handle": ENTRIES_A_LIFE // 2, "before": 8, "after": 8}
"""A life ends at the n-th time, n by chance up to this: five running at one entry would look as if that one killed."""
LIFE_BOUND_S: Final = 60.0


@dataclass
class Outcome:
    """What a run showed.

    Attributes:
        twice: entries that were handled more than once, always under the same id.
        dead: entries given up because five calls running were cut short by a kill.
        longest_s: the longest life from fork to death: the lease was there at once.
    """

    seed: int
    kills: int
    entries: int = 0
    twice: int = 0
    dead: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    longest_s: float = 0.0
    seconds: float = 0.0
    mistakes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"date       {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"machine    {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            f"run        seed {self.seed}, {self.seconds:.0f} s",
            f"killed     {self.kills} times: "
            + ", ".join(f"{count} at {stage}" for stage, count in sorted(self.stages.items())),
            f"lives      the longest {self.longest_s:.2f} s from its start to its death",
            f"entries    {self.entries} written, {self.twice} handled twice under the same id,"
            f" {self.dead} given up after five calls that a kill cut short",
            f"result     {'nothing lost, nothing out of order' if not self.mistakes else 'FAULTS'}",
            *self.mistakes[:20],
        ]


def run(*, kills: int, seed: int) -> Outcome:
    """Writes, kills, and counts."""
    rng = random.Random(seed)
    outcome = Outcome(seed, kills)
    began_s = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        PrivateRedis(appendonly=False) as server,
        server.client() as client,
    ):
        journal = Path(folder) / "journal"
        writer = StreamWriter(client, count=12)
        for number in range(kills):
            for _ in range(ENTRIES_A_LIFE):
                writer.top(rng.choice(writer.markets), rng.randrange(2))
            stage = rng.choice(STAGES)
            at = rng.randint(1, MOST_BEFORE[stage])
            _one_life(server.url, journal, stage, at, number, outcome)
        last = forked(lambda: _live(server.url, journal, "", 0, once=True))
        if _ended(last, LIFE_BOUND_S) != 0:
            outcome.mistakes.append("the last member did not end well")
        _compare(journal, written(client, writer), _buried(client, outcome), outcome)
        if begun := list(client.scan_iter("begun:*")):
            outcome.mistakes.append(f"{len(begun)} partitions still count calls")
        if left := pending(client, writer):
            outcome.mistakes.append(f"{left} entries are still pending")
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _one_life(url: str, journal: Path, stage: str, at: int, number: int, outcome: Outcome) -> None:
    began_s = time.monotonic()
    status = _ended(forked(lambda: _live(url, journal, stage, at, once=False)), LIFE_BOUND_S)
    outcome.longest_s = max(outcome.longest_s, time.monotonic() - began_s)
    outcome.stages[stage] += 1
    if status != -signal.SIGKILL:
        outcome.mistakes.append(f"life {number} was to be killed at {stage} {at} and ended with {status}")


def _buried(client: redis.Redis, outcome: Outcome) -> set[tuple[EntryId, str]]:
    rows: Any = client.xrange("dead:g")
    if fewer := [fields for _, fields in rows if fields[b"attempts"] != b"5"]:
        outcome.mistakes.append(f"given up before its time: {fewer[0]}")
    return {(EntryId.parse(fields[b"id"]), fields[b"stream"].decode()) for _, fields in rows}


def _compare(
    journal: Path, due: set[tuple[EntryId, str]], dead: set[tuple[EntryId, str]], outcome: Outcome
) -> None:
    rows = [(entry_id, key) for _, entry_id, key in journal_lines(journal)]
    counts = Counter(rows)
    outcome.entries = len(due)
    outcome.twice = sum(count > 1 for count in counts.values())
    outcome.dead = len(dead)
    if lost := due - counts.keys() - dead:
        outcome.mistakes.append(f"{len(lost)} entries lost, first {min(lost)}")
    if strange := counts.keys() - due:
        outcome.mistakes.append(f"{len(strange)} entries that nobody wrote, first {min(strange)}")
    for partition, found in by_partition(list(dict.fromkeys(rows))).items():
        if found != sorted(found):
            outcome.mistakes.append(f"partition {partition} was handled out of order")


def _live(url: str, journal: Path, stage: str, at: int, *, once: bool) -> None:
    """A member's life, in a child of its own."""
    asyncio.run(_member(url, journal, stage, at, once=once))


async def _member(url: str, journal: Path, stage: str, at: int, *, once: bool) -> None:
    die_at = _deaths(stage, at)
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def handle(item: Message | Notice) -> None:
        die_at("handle")
        if isinstance(item, Message):
            os.write(file, f"m {item.id} {item.stream} .\n".encode())

    read, commit = PartitionReading.read, Batch.commit

    async def reads(self: PartitionReading) -> bool:
        more = await read(self)
        if self.backlog.due:
            die_at("read")
        return more

    async def commits(self: Batch, *given: Any, **named: Any) -> None:
        die_at("before")
        await commit(self, *given, **named)
        die_at("after")

    PartitionReading.read = reads  # type: ignore[method-assign]
    Batch.commit = commits  # type: ignore[method-assign]
    async with Group("g", redis_url=url, member="m") as group:
        await group.run(handle, once=once)


def _deaths(stage: str, at: int) -> Callable[[str], None]:
    left = at

    def die_at(here: str) -> None:
        nonlocal left
        if here == stage:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return die_at


def _ended(pid: int, bound_s: float) -> int:
    """The exit code of a child, negative for a signal; one that outlives the bound is killed, and 255."""
    deadline_s = time.monotonic() + bound_s
    while time.monotonic() < deadline_s:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return 255


def main() -> int:
    """The proof at full size, as a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    outcome = run(kills=given.kills, seed=seed)
    text = "\n".join(outcome.lines()) + "\n"
    print(text, end="")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")
    return 1 if outcome.mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
