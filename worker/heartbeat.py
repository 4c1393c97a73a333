"""Once a second: connections see the time, partitions get their clock entry, some books are checked."""

from __future__ import annotations

from marketdata.clock import now_us
from marketdata.keys import Keys
from worker.feeds import TokenState
from worker.following import Following
from worker.ownership import Ownership
from worker.pending import CLOCK
from worker.publisher import Publisher
from worker.streams import MarketStream, Update


class Heartbeat:
    """What happens every second. Purely local: Redis away or slow delays nothing here."""

    def __init__(
        self,
        *,
        keys: Keys,
        worker_id: str,
        following: Following,
        ownership: Ownership,
        publisher: Publisher,
        hash_checks_per_s: float,
    ) -> None:
        self._keys = keys
        self._worker_id = worker_id
        self._following = following
        self._ownership = ownership
        self._publisher = publisher
        self._checks_per_s = hash_checks_per_s
        self._clocks: dict[int, MarketStream] = {}
        self._next_check = 0

    def beat(self) -> None:
        """One second passed."""
        for connection in list(self._following.connections.values()):
            connection.tick()
        self._check_hashes()
        self._write_clocks()

    def _write_clocks(self) -> None:
        live: dict[int, int] = {}
        stale: dict[int, int] = {}
        for market in self._following.feeds():
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

    def _check_hashes(self) -> None:
        """The next tokens in turn have their hash checked, at the end of their step."""
        left = int(self._checks_per_s)
        connections = list(self._following.connections.values())
        total = sum(len(connection.protocol.books.tokens) for connection in connections)
        if left < 1 or not total:
            return
        at_us = now_us()
        first, self._next_check = self._next_check % total, (self._next_check + left) % total
        before = 0
        for connection in connections:
            protocol = connection.protocol
            feeds = [
                feed
                for place, feed in enumerate(protocol.books.tokens.values(), before)
                if (place - first) % total < left
            ]
            before += len(protocol.books.tokens)
            protocol.books.verify(feeds, at_us)
            protocol.resync(at_us)
            connection.flush()
