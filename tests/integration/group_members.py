"""Members of a group for tests: inside the test's loop, or as forked processes that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis

from marketdata.entries import EntryId
from marketdata.groups import Group, Lost, Message, Notice, Silent
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter


class Book:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lost: list[Lost] = []
        self.silent: list[Silent] = []

    def __call__(self, item: Message | Notice) -> None:
        match item:
            case Message():
                self.messages.append(item)
            case Lost():
                self.lost.append(item)
            case Silent():
                self.silent.append(item)

    @property
    def ids(self) -> list[EntryId]:
        """In the order of handling."""
        return [one.id for one in self.messages]

    def disorder(self) -> list[str]:
        """Where a partition's entries did not come in the total order."""
        last: dict[int, tuple[EntryId, str]] = {}
        found = []
        for one in self.messages:
            at = one.id, one.stream
            if at < last.get(one.partition, at):
                found.append(f"{at} after {last[one.partition]}")
            last[one.partition] = at
        return found


@asynccontextmanager
async def member(
    server: PrivateRedis, handler: Callable[[Any], Any], name: str = "a", group: str = "g", **given: Any
) -> AsyncIterator[Group]:
    """A member that reads until the block ends, and then stops in good order."""
    log: list[str] = []
    async with Group(group, redis_url=server.url, member=name, log=log.append, **given) as one:
        task = asyncio.create_task(one.run(handler))
        try:
            yield one
            assert one.is_stopping or not task.done(), f"{name} ended early: {task} {log}"
        finally:
            one.stop()
            async with asyncio.timeout(15):
                await task


def forked(run: Callable[[], Any]) -> int:
    """Runs this in a child that inherits all imports; says its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            # The parent's loop is not the child's.
            asyncio.set_event_loop(None)
            asyncio.events._set_running_loop(None)
            signal.set_wakeup_fd(-1)
            run()
            code = 0
        except BaseException:  # noqa: BLE001  (a child must never return into the test's code)
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def journal_lines(path: Path) -> list[tuple[str, EntryId, str]]:
    """Member, id and stream of each line that was written whole."""
    if not path.exists():
        return []
    rows = [line.split(" ") for line in path.read_text().splitlines() if line.endswith(".")]
    return [(row[0], EntryId.parse(row[1]), row[2]) for row in rows]


def written(client: redis.Redis, writer: StreamWriter) -> set[tuple[EntryId, str]]:
    """All entries of all markets' streams."""
    found = set()
    for market in writer.markets:
        key = writer.key(market)
        rows: Any = client.xrange(key)
        found |= {(EntryId.parse(entry_id), key) for entry_id, _ in rows}
    return found


def pending(client: redis.Redis, writer: StreamWriter, group: str = "g") -> int:
    """Entries delivered and not acknowledged."""
    count = 0
    for market in writer.markets:
        reply: Any = client.xpending(writer.key(market), group)
        count += reply["pending"]
    return count


def by_partition(found: Sequence[tuple[EntryId, str]]) -> dict[str, list[tuple[EntryId, str]]]:
    """Entries of each partition in the order given; a partition stands between braces in the key."""
    rows: dict[str, list[tuple[EntryId, str]]] = defaultdict(list)
    for entry_id, key in found:
        rows[key[key.index("{") : key.index("}")]].append((entry_id, key))
    return rows
