"""A worker inside the test's own event loop, and what its streams hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from consumers.streams import scan_streams
from consumers.verify.check import verify
from consumers.verify.report import Report
from marketdata.entries import FIELDS, Entry, EntryId
from marketdata.keys import Keys
from marketdata.redis_url import redis_session
from worker import service
from worker.settings import WorkerSettings

BOUND_S = 20.0
NOWHERE = "http://127.0.0.1:9"
"""Port 9 is closed: whoever asks there is refused at once."""


async def until(look: Callable[[], Any], what: str, bound_s: float = BOUND_S) -> Any:
    """Looks again and again until the answer, awaited where it can be, is true; at most for `bound_s`."""
    try:
        async with asyncio.timeout(bound_s):
            while True:
                answer = look()
                if isinstance(answer, Awaitable):
                    answer = await answer
                if answer:
                    return answer
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"after {bound_s:g} s still not: {what}") from None


def worker_settings(redis_url: str, **given: Any) -> WorkerSettings:
    """Settings of a worker that finds nothing outside of the test."""
    places = {"venue_ws_url": f"ws{NOWHERE[4:]}", "gamma_url": NOWHERE, "clob_url": NOWHERE}
    return WorkerSettings(redis_url=redis_url, **{**places, **given})


@asynccontextmanager
async def working(settings: WorkerSettings) -> AsyncIterator[asyncio.Task[int]]:
    """Runs a worker; at the end it is stopped in good order, and must say so."""
    stop = asyncio.Event()
    task = asyncio.create_task(service.run(settings, stop))
    try:
        yield task
        assert not task.done(), f"the worker ended early: {task}"
    finally:
        stop.set()
        async with asyncio.timeout(10):
            code = await task
    assert code == 0


@dataclass(frozen=True)
class Row:
    """One entry as it stands in Redis."""

    id: EntryId
    names: tuple[str, ...]
    entry: Entry

    @property
    def quote(self) -> tuple[str, str, str, str]:
        entry = self.entry
        return entry.bid, entry.bid_size, entry.ask, entry.ask_size


class Streams:
    """Reads what a worker wrote, with a client of its own."""

    def __init__(self, client: redis.Redis, prefix: str = "") -> None:
        self.client = client
        self.keys = Keys(prefix)

    def names(self) -> list[str]:
        """Keys of all market streams, sorted."""
        pattern = f"{self.keys.prefix}book:*"
        return sorted(key.decode() for key in self.client.scan_iter(match=pattern, _type="stream"))

    def rows(self, key: str) -> list[Row]:
        """The entries of one stream."""
        return [_row(*row) for row in raw(self, key)]

    def by_market(self) -> dict[str, list[Row]]:
        """All entries by condition id."""
        return {key.rsplit(":", 1)[1]: self.rows(key) for key in self.names()}

    def all_rows(self) -> list[Row]:
        """All entries of all streams in the total order."""
        found = [(row.id, key, row) for key in self.names() for row in self.rows(key)]
        return [row for *_, row in sorted(found, key=lambda one: one[:2])]

    def status(self, worker_id: str) -> dict[str, Any]:
        """What the worker says of itself; empty if it says nothing."""
        record: Any = self.client.get(self.keys.worker(worker_id))
        found: dict[str, Any] = orjson.loads(record) if record else {}
        return found


def raw(streams: Streams, key: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """A stream as the client reads it."""
    found: Any = streams.client.xrange(key)
    return list(found)


def add(streams: Streams, key: str, entry_id: str | bytes, fields: Any) -> None:
    """Writes an entry by another hand than the worker's."""
    streams.client.xadd(key, fields, id=entry_id)


def _row(entry_id: bytes, fields: dict[bytes, bytes]) -> Row:
    names = tuple(name.decode() for name in fields)
    assert names == FIELDS, f"{entry_id!r} has other fields: {names}"
    return Row(EntryId.parse(entry_id), names, Entry.from_fields(fields))


def causes(rows: list[Row]) -> list[str]:
    """The causes of all gaps, in order."""
    return [row.entry.gap_cause for row in rows if row.entry.kind == "gap"]


async def verified(redis_url: str, prefix: str = "") -> Report:
    """What `bookstream verify` finds in all streams; fails the test if it is not clean."""
    async with redis_session(redis_url, client_name="test", log=print) as session:
        streams = await scan_streams(session.client, Keys(prefix))
        report = await verify(session.client, streams)
    assert report.ok, report.lines()
    return report
