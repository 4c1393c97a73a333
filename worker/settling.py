"""What becomes of entries: acknowledged ones are counted; where Redis refused or forgot some, a `redis` gap is owed.

The gap stands before anything else of its stream, and the current tops of its tokens follow it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from marketdata.clock import now_us
from marketdata.entries import gap_note
from marketdata.logs import get_logger
from worker.batches import Batch, Item
from worker.counters import Counters
from worker.latency import Latencies
from worker.outbox import Outbox
from worker.pending import CLOCK
from worker.streams import MarketStream, Update

REFUSED_RETRY_S: Final = 5.0
TOO_SMALL: Final = "equal or smaller than the target stream top item"


class Settling:
    """Takes Redis' answers to heart.

    Args:
        current_tops: the tops to publish again after a `redis` gap.
        on_lost: told when Redis refuses a first-time id: another worker owns the partitions now.
    """

    def __init__(
        self,
        outbox: Outbox,
        *,
        worker_id: str,
        counters: Counters,
        current_tops: Callable[[MarketStream], Iterable[Update]],
        on_lost: Callable[[frozenset[int]], None],
    ) -> None:
        self.latencies = Latencies()
        self._outbox = outbox
        self._worker_id = worker_id
        self._counters = counters
        self._current_tops = current_tops
        self._on_lost = on_lost
        self._log = get_logger("publisher")

    def settle(self, batch: Batch, replies: list[Any]) -> None:
        """Each entry of a batch has its answer."""
        acked_us = now_us()
        lost: set[int] = set()
        for item, reply in zip(batch.items, replies, strict=False):
            if isinstance(reply, bytes):
                self.done(item, acked_us)
            elif reply is None:
                self.lost(item.update, item.update.recv_us)
                self._outbox.reconcile_wanted = True
            elif is_too_small(reply):
                lost.add(item.update.stream.partition)
            else:
                self._refused(item, str(reply))
        if lost:
            self._outbox.forget_partitions(frozenset(lost))
            self._on_lost(frozenset(lost))

    def done(self, item: Item, acked_us: int) -> None:
        """Redis has this entry."""
        update = item.update
        stream = update.stream
        stream.last_id = item.id
        stream.exists = True
        if update.kind == CLOCK:
            return
        self._counters.entries += 1
        stream.entries += 1
        self.latencies.add(acked_us - update.recv_us)
        if stream.forgotten_us and update.kind == "gap" and update.outcome is None:
            stream.forgotten_us = 0
            for top in self._current_tops(stream):
                self._outbox.offer(top)

    def lost(self, update: Update, since_us: int) -> None:
        """An update that cannot get into Redis under its id: a gap stands for it, an end is told anew."""
        self.forgot(update.stream, since_us)
        if update.kind == "resolved":
            self._offer_if_ours(update)

    def forgot(self, stream: MarketStream, since_us: int) -> None:
        """Entries of this stream are lost or were refused: a gap comes first, before anything else."""
        stream.exists = False
        if stream.condition_id == "" or stream.forgotten_us:
            return
        stream.forgotten_us = max(since_us, 1)
        self._counters.redis_holes += 1
        self._counters.gap("redis")
        self.owe_gap(stream)

    def owe_gap(self, stream: MarketStream) -> None:
        """The stream's `redis` gap goes out next."""
        if self._outbox.streams.get(stream.key) is not stream:
            return
        note = gap_note("redis", stream.forgotten_us, self._worker_id)
        self._outbox.offer_first(Update(stream, "gap", None, recv_us=now_us(), note=note))

    def _refused(self, item: Item, error: str) -> None:
        """Redis will not have this entry (its key holds something else, say)."""
        self._counters.refused += 1
        stream = item.update.stream
        if not stream.forgotten_us:
            self._log.error(f"Redis refused an entry of {stream.key} ({error}); a gap will stand for it")
            self.forgot(stream, item.update.recv_us)
        elif is_redis_gap(item.update):
            asyncio.get_running_loop().call_later(REFUSED_RETRY_S, self.owe_gap, stream)
        if item.update.kind == "resolved":
            asyncio.get_running_loop().call_later(REFUSED_RETRY_S, self._offer_if_ours, item.update)

    def _offer_if_ours(self, update: Update) -> None:
        if update.stream.partition in self._outbox.limits:
            self._outbox.offer(update)


def is_too_small(reply: Any) -> bool:
    """Whether Redis holds a later id of the stream."""
    return isinstance(reply, Exception) and TOO_SMALL in str(reply)


def is_redis_gap(update: Update) -> bool:
    """Whether it is itself the gap that stands for what Redis lost."""
    return update.kind == "gap" and update.note.startswith("redis ")
