"""Once a second: connections see the time, partitions get their clock entry, some books are checked."""

from __future__ import annotations

from itertools import islice

from marketdata.clock import now_us
from marketdata.keys import Keys
from worker.connection import Connection
from worker.feeds import TokenFeed, TokenState
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
        for partition in self._ownership.owned:
            stream = self._clocks.get(partition)
            if stream is None:
                stream = self._clocks[partition] = MarketStream("", self._keys.clock(partition), partition)
            epoch = self._ownership.epochs[partition]
            note = f"{self._worker_id} {epoch} {live.get(partition, 0)} {stale.get(partition, 0)}"
            self._publisher.offer(Update(stream, CLOCK, None, recv_us=at_us, note=note))

    def _check_hashes(self) -> None:
        """The next tokens in turn have their hash checked, at the end of their step."""
        tokens: list[tuple[Connection, TokenFeed]] = [
            (connection, feed)
            for connection in self._following.connections.values()
            for feed in connection.protocol.tokens.values()
        ]
        if not tokens or self._checks_per_s < 1:
            return
        at_us = now_us()
        count = min(len(tokens), int(self._checks_per_s))
        start = self._next_check % len(tokens)
        turn = [*islice(tokens, start, start + count), *islice(tokens, max(0, start + count - len(tokens)))]
        self._next_check = (start + count) % len(tokens)
        for connection, feed in turn:
            connection.protocol.verify_now(feed, at_us)
        for connection in self._following.connections.values():
            connection.flush()
