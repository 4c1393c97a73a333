"""Once a second: connections see the time, partitions get their clock entry, some books are checked."""

from __future__ import annotations

import asyncio
from typing import Final

from marketdata.clock import now_us
from marketdata.keys import Keys
from worker.connection import Connection
from worker.feeds import TokenFeed, TokenState
from worker.moves import Moves
from worker.ownership import Ownership
from worker.pending import CLOCK
from worker.publisher import Publisher
from worker.shards import Shards
from worker.streams import MarketStream, Update

CHECKED_AT_ONCE: Final = 50
"""Hashes between which no quote passes: about a millisecond."""


class Heartbeat:
    """What happens every second. Purely local: Redis away or slow delays nothing here."""

    def __init__(
        self,
        *,
        keys: Keys,
        worker_id: str,
        shards: Shards,
        moves: Moves,
        ownership: Ownership,
        publisher: Publisher,
        hash_checks_per_s: float,
    ) -> None:
        self._keys = keys
        self._worker_id = worker_id
        self._shards = shards
        self._moves = moves
        self._ownership = ownership
        self._publisher = publisher
        self._checks_per_s = hash_checks_per_s
        self._clocks: dict[int, MarketStream] = {}
        self._next_check = 0

    async def beat(self) -> None:
        """One second passed. Quotes go first: other work is let in between two connections."""
        for connection in list(self._shards.connections.values()):
            connection.tick()
            await asyncio.sleep(0)
        self._moves.rotate()
        for connection, feeds in self._to_check():
            for start in range(0, len(feeds), CHECKED_AT_ONCE):
                self._check_hashes(connection, feeds[start : start + CHECKED_AT_ONCE])
                await asyncio.sleep(0)
        self._write_clocks()

    def _write_clocks(self) -> None:
        live: dict[int, int] = {}
        stale: dict[int, int] = {}
        for market in self._shards.feeds():
            partition = market.stream.partition
            for feed in market.tokens:
                counts = live if feed.state is TokenState.LIVE else stale
                counts[partition] = counts.get(partition, 0) + 1
        at_us = now_us()
        for partition in self._ownership.marked:
            stream = self._clocks.get(partition)
            if stream is None:
                stream = self._clocks[partition] = MarketStream("", self._keys.clock(partition), partition)
            epoch = self._ownership.epochs[partition]
            note = f"{self._worker_id} {epoch} {live.get(partition, 0)} {stale.get(partition, 0)}"
            self._publisher.offer(Update(stream, CLOCK, None, recv_us=at_us, note=note))

    def _to_check(self) -> list[tuple[Connection, list[TokenFeed]]]:
        """The next tokens in turn, and those whose last step was to be checked but no message closed it."""
        connections = list(self._shards.connections.values())
        total = sum(len(connection.protocol.books.tokens) for connection in connections)
        if not total:
            return []
        left = min(int(self._checks_per_s), total)
        first, self._next_check = self._next_check % total, (self._next_check + left) % total
        before = 0
        checks = []
        for connection in connections:
            tokens = connection.protocol.books.tokens
            feeds = [
                feed
                for place, feed in enumerate(tokens.values(), before)
                if feed.check_due or (place - first) % total < left
            ]
            before += len(tokens)
            if feeds:
                checks.append((connection, feeds))
        return checks

    @staticmethod
    def _check_hashes(connection: Connection, feeds: list[TokenFeed]) -> None:
        at_us = now_us()
        protocol = connection.protocol
        # Markets may have been let go since they were chosen.
        protocol.books.verify([one for one in feeds if protocol.books.tokens.get(one.token) is one], at_us)
        protocol.rescues.resync(at_us)
        connection.flush()
