"""A publisher at work, and the exact entries that its streams must hold in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from redis.asyncio.connection import AbstractConnection

from marketdata.backoff import Backoff
from marketdata.clock import now_us
from marketdata.keys import Keys
from marketdata.proof import ProofChecker
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.integration.worker.rig import Row, Streams
from worker.counters import Counters
from worker.ids import IdClock
from worker.publisher import Publisher
from worker.streams import MarketStream, Update

HOUR_MS = 3_600_000


class Desk:
    """Streams over a few partitions, and updates that carry a running number as their price."""

    def __init__(self, publisher: Publisher, streams: int, partitions: int) -> None:
        self.publisher = publisher
        self.counters = publisher._counters
        self.offered = 0
        keys = Keys()
        self.streams = [
            MarketStream(
                f"0x{number:064x}", keys.book(number % partitions, f"0x{number:064x}"), number % partitions
            )
            for number in range(streams)
        ]
        self.told: dict[str, list[tuple[str, int | None, str]]] = {one.key: [] for one in self.streams}
        self.newest: dict[tuple[str, int], str] = {}
        for stream in self.streams:
            publisher.streams[stream.key] = stream
        publisher.limits.update({one: now_us() // 1000 + HOUR_MS for one in range(partitions)})
        publisher.current_tops = self.current_tops

    def offer(self, count: int, streams: list[MarketStream] | None = None) -> None:
        """Offers updates round robin: mostly tops, some trades."""
        chosen = streams or self.streams
        for _ in range(count):
            self.offered += 1
            number = self.offered
            stream, outcome = chosen[number % len(chosen)], number // len(chosen) % 2
            kind = "trade" if number % 7 == 0 else "top"
            update = Update(stream, "trade" if kind == "trade" else "top", outcome, recv_us=now_us())
            update.bid, update.bid_size = str(number), "1"
            if kind == "top":
                update.ask, update.ask_size = str(number + 1), "2"
                self.newest[stream.key, outcome] = update.bid
            self.told[stream.key].append((kind, outcome, update.bid))
            self.publisher.offer(update)

    def current_tops(self, stream: MarketStream) -> Iterable[Update]:
        for outcome in (0, 1):
            if (bid := self.newest.get((stream.key, outcome))) is not None:
                yield Update(
                    stream,
                    "top",
                    outcome,
                    recv_us=now_us(),
                    bid=bid,
                    bid_size="1",
                    ask=str(int(bid) + 1),
                    ask_size="2",
                )

    async def drained(self, bound_s: float = 20.0) -> None:
        async with asyncio.timeout(bound_s):
            await self.publisher.drained()

    def assert_exact(self, streams: Streams) -> None:
        """All that was offered, once, in order, and nothing else."""
        for stream in self.streams:
            rows = streams.rows(stream.key)
            assert [told(row) for row in rows] == self.told[stream.key]
        assert_proven(streams)

    def assert_current(self, streams: Streams) -> None:
        """The newest top of each token is the newest one offered."""
        for stream in self.streams:
            found = {
                row.entry.outcome: row.entry.bid
                for row in streams.rows(stream.key)
                if row.entry.kind == "top"
            }
            assert found == {outcome: bid for (key, outcome), bid in self.newest.items() if key == stream.key}


def told(row: Row) -> tuple[str, int | None, str]:
    return row.entry.kind, row.entry.outcome, row.entry.bid


def assert_proven(streams: Streams) -> None:
    """Each stream proves itself, and all ids are one rising counter's."""
    for key in streams.names():
        checker = ProofChecker(key)
        holes = [hole for row in streams.rows(key) if (hole := checker.feed(row.id, row.entry)) is not None]
        assert not holes, [str(hole) for hole in holes[:3]]
    ids = [row.id for row in streams.all_rows()]
    assert len(ids) == len(set(ids))


@asynccontextmanager
async def publishing(
    socket_path: Path, *, streams: int = 20, partitions: int = 4, max_pending: int = 100_000
) -> AsyncIterator[Desk]:
    """Runs a publisher against a server's (or a proxy's) unix socket."""
    client = open_redis(RedisTarget.parse(f"unix://{socket_path}"), client_name="test")

    def new_connection() -> AbstractConnection:
        connection: AbstractConnection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
        connection.socket_timeout = None
        return connection

    publisher = Publisher(
        keys=Keys(),
        worker_id="w1",
        new_connection=new_connection,
        max_pending=max_pending,
        counters=Counters(),
        ids=IdClock(),
        backoff=Backoff(0.001, 0.05, Random(1)),
    )
    task = asyncio.create_task(publisher.run())
    try:
        yield Desk(publisher, streams, partitions)
        assert not task.done(), f"the publisher ended: {task}"
    finally:
        task.cancel()
        await asyncio.wait({task})
        await client.aclose()
    if not task.cancelled():
        task.result()
