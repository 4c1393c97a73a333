"""What waits to be written: updates in their order, the streams and partitions that are ours, the batch in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from worker.batches import Batch, build_batch
from worker.counters import Counters
from worker.ids import IdClock
from worker.pending import Pending
from worker.streams import MarketStream, Update


class Outbox:
    """Filled by the parts that know something, emptied by the publisher; nothing here waits for Redis.

    Attributes:
        limits: id limit of each partition that is ours, Unix milliseconds.
        streams: all streams that we write, by key.
        in_flight: the batch that Redis has not answered yet.
        sent_before: it was sent once already, on a connection that was lost.
        reconcile_wanted: Redis may have forgotten entries: it is asked before anything more is written.
        something: set when there may be something to do.
    """

    def __init__(self, max_pending: int, counters: Counters) -> None:
        self.limits: dict[int, int] = {}
        self.streams: dict[str, MarketStream] = {}
        self.in_flight: Batch | None = None
        self.sent_before = False
        self.reconcile_wanted = False
        self.something = asyncio.Event()
        self._counters = counters
        self._pending = Pending(max_pending, self._count_conflated)
        self._drained = asyncio.Event()
        self._drained.set()

    def offer(self, update: Update) -> None:
        """Takes an update; never waits."""
        self._pending.append(update)
        self.something.set()
        self._drained.clear()

    def offer_first(self, update: Update) -> None:
        """Takes an update that goes before all others."""
        self._pending.push_front(update)
        self.something.set()
        self._drained.clear()

    def want_reconcile(self) -> None:
        """Redis may have forgotten entries."""
        self.reconcile_wanted = True
        self.something.set()

    def forget_partitions(self, lost: frozenset[int]) -> None:
        """Stops writing partitions that are no longer ours; what waits for them is dropped and counted."""
        for partition in lost:
            self.limits.pop(partition, None)
        self._counters.disowned += self._pending.drop_partitions(lost)
        for key in [key for key, stream in self.streams.items() if stream.partition in lost]:
            del self.streams[key]
        self.note_drained()

    def take_batch(self, ids: IdClock, wake_channel: Callable[[int], str]) -> bool:
        """Makes the next batch the one in flight; False where nothing can go out now."""
        built = build_batch(self._pending, ids, self.limits, wake_channel)
        self._counters.disowned += built.disowned
        if not built.batch.items:
            self.note_drained()
            return False
        self.in_flight = built.batch
        self.sent_before = False
        return True

    @property
    def waiting(self) -> int:
        """Updates that are in no batch yet."""
        return len(self._pending)

    @property
    def unacknowledged(self) -> int:
        """Updates that Redis has not acknowledged yet."""
        return len(self._pending) + (len(self.in_flight.items) if self.in_flight else 0)

    def note_drained(self) -> None:
        """Whoever waits for it hears if nothing is left."""
        if not self._pending and self.in_flight is None:
            self._drained.set()

    async def drained(self) -> None:
        """Waits until everything offered so far is acknowledged."""
        await self._drained.wait()

    def _count_conflated(self, count: int) -> None:
        self._counters.conflated += count
