"""The worker's connections, by shard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from marketdata.clock import now_us
from worker.connection import Connection
from worker.feeds import MarketFeed

NewConnection = Callable[[str], Connection]

CLOSED_WITHIN_S: Final = 2.0
"""A good end takes a second at most."""


class Shards:
    """Opens and closes connections, and knows which of them tells of a market."""

    def __init__(self, new_connection: NewConnection) -> None:
        self.connections: dict[int, Connection] = {}
        self._new_connection = new_connection
        self._tasks: dict[int, asyncio.Task[None]] = {}

    # -- who tells of what ----------------------------------------------------------------------------------

    def feeds(self) -> Iterator[MarketFeed]:
        """All followed markets, each once: a market that changes connections counts where it is written from."""
        for connection in self.connections.values():
            for feed in connection.protocol.books.markets.values():
                if not feed.muted:
                    yield feed

    def feed(self, condition_id: str) -> tuple[Connection, MarketFeed] | None:
        """The connection and feed of a followed market."""
        for connection in self.connections.values():
            feed = connection.protocol.books.markets.get(condition_id)
            if feed is not None and not feed.muted:
                return connection, feed
        return None

    def placement(self) -> dict[int, list[str]]:
        """Condition ids by shard."""
        return {
            shard: [one for one, feed in connection.protocol.books.markets.items() if not feed.muted]
            for shard, connection in self.connections.items()
        }

    def arriving(self) -> Mapping[int, int]:
        """How many markets are on their way to a shard."""
        counts = {
            shard: sum(feed.muted for feed in connection.protocol.books.markets.values())
            for shard, connection in self.connections.items()
        }
        return {shard: count for shard, count in counts.items() if count}

    # -- their lives ----------------------------------------------------------------------------------------

    def add(self, shard: int, feeds: Sequence[MarketFeed]) -> Connection:
        """Puts markets on a shard; opens its connection if there is none."""
        connection = self.connections.get(shard)
        if connection is not None:
            connection.protocol.add(feeds, now_us())
            connection.flush()
            return connection
        connection = self.connections[shard] = self._new_connection(f"c{shard}")
        connection.protocol.add(feeds, now_us())
        self._tasks[shard] = asyncio.create_task(connection.run(), name=connection.name)
        return connection

    def next_shard(self) -> int:
        """An id above all others."""
        return max(self.connections, default=-1) + 1

    def retire(self) -> None:
        """The worker stops: others mark the end of what the connections told."""
        for connection in self.connections.values():
            connection.protocol.retired = True

    async def close(self, shards: Iterable[int]) -> None:
        """Closes connections with 1000."""
        tasks: set[asyncio.Task[None]] = set()
        for shard in shards:
            # Out of sight before it is awaited: nobody may put a market on a connection that closes.
            self.connections.pop(shard, None)
            task = self._tasks.pop(shard, None)
            if task is not None:
                task.cancel()
                tasks.add(task)
        while tasks:
            _, tasks = await asyncio.wait(tasks, timeout=CLOSED_WITHIN_S)
            for task in tasks:
                # A socket that does not end, or a cancellation that got lost: nobody may wait for it for ever.
                task.cancel()

    def failed(self) -> BaseException | None:
        """What ended a connection's task, if anything did; none should ever end by itself."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                return error
        return None
