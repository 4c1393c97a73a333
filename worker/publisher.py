"""Updates to Redis, each exactly once and in order, or a gap in its place.

One connection, one batch in flight; the next one grows meanwhile. The client never retries: a batch whose reply was
lost is looked up entry by entry (ids are ours, and a batch is written whole or not at all), then counted as done or
sent again under the same ids. Where Redis turns out to have forgotten or refused entries, the stream gets a `redis`
gap, then the current tops of its tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from marketdata.backoff import Backoff
from marketdata.keys import Keys
from marketdata.logs import get_logger
from worker.counters import Counters
from worker.ids import IdClock
from worker.outbox import Outbox
from worker.reconciling import Reconciling
from worker.sending import BATCH_TIMEOUT_S, WritesRefusedError, send
from worker.settling import Settling, is_too_small
from worker.streams import MarketStream, Update
from worker.told import Seldom, in_one_line

AWAY: Final = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)


class Publisher:
    """Writes updates to the streams of the partitions in `limits`.

    Attributes:
        limits, streams: see `Outbox`.
        latencies: from a frame's arrival to Redis' acknowledgement.
        connected: whether Redis is there for us.
    """

    def __init__(
        self,
        *,
        keys: Keys,
        worker_id: str,
        new_connection: Callable[[], AbstractConnection],
        max_pending: int,
        counters: Counters,
        ids: IdClock,
        backoff: Backoff,
    ) -> None:
        self.connected = False
        self.before_writing: Callable[[], Awaitable[None]] | None = None
        """Called after each reconnect, before anything is written: renews the leases."""
        self.on_lost: Callable[[frozenset[int]], None] = lambda partitions: None
        """Called when Redis refuses a first-time id: another worker owns the partitions now."""
        self.current_tops: Callable[[MarketStream], Iterable[Update]] = lambda stream: ()
        """The tops to publish again after a `redis` gap."""
        self._outbox = outbox = Outbox(max_pending, counters)
        self._settling = Settling(
            outbox,
            worker_id=worker_id,
            counters=counters,
            current_tops=self._tops_of,
            on_lost=self._lose,
        )
        self._reconciling = Reconciling(outbox, self._settling, counters)
        self.limits = outbox.limits
        self.streams = outbox.streams
        self.latencies = self._settling.latencies
        self._keys = keys
        self._new_connection = new_connection
        self._counters = counters
        self._ids = ids
        self._backoff = backoff
        self._said = Seldom()
        self._log = get_logger("publisher")

    # -- what others call -----------------------------------------------------------------------------------

    def offer(self, update: Update) -> None:
        """Takes an update; never waits."""
        self._outbox.offer(update)

    def limits_moved(self) -> None:
        """The id limits rose: what waited for them can go."""
        self._outbox.something.set()

    def want_reconcile(self) -> None:
        """Redis may have forgotten entries: compare before writing on."""
        self._outbox.want_reconcile()

    def forget_partitions(self, lost: frozenset[int]) -> None:
        """Stops writing partitions that are no longer ours; what waits for them is dropped and counted."""
        self._outbox.forget_partitions(lost)

    @property
    def pending(self) -> int:
        """Updates that are not acknowledged yet."""
        return self._outbox.unacknowledged

    async def drained(self) -> None:
        """Waits until everything offered so far is acknowledged."""
        await self._outbox.drained()

    async def run(self) -> None:
        """Writes until cancelled. Redis away: waits with backoff, and says so once a try."""
        while True:
            connection = self._new_connection()
            try:
                await self._session(connection)
            except AWAY as error:
                self._away(f"Redis is away ({in_one_line(error)})")
            except WritesRefusedError as error:
                self._away(f"Redis refuses to write ({in_one_line(error)})")
            except RedisError as error:
                self._away(f"Redis refuses ({in_one_line(error)})")
            finally:
                self.connected = False
                await connection.disconnect(nowait=True)
            await asyncio.sleep(self._backoff.next_delay_s())

    # -- one connection -------------------------------------------------------------------------------------

    async def _session(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(BATCH_TIMEOUT_S):
            await connection.connect()  # type: ignore[no-untyped-call]
        if self.before_writing is not None:
            await self.before_writing()
        await self._reconciling.reconcile(connection)
        self.connected = True
        outbox = self._outbox
        while True:
            if outbox.in_flight is None:
                await outbox.something.wait()
                outbox.something.clear()
                if outbox.reconcile_wanted:
                    await self._reconciling.reconcile(connection)
                if not outbox.take_batch(self._ids, self._keys.wake):
                    continue
            batch = outbox.in_flight
            assert batch is not None, "a batch was just taken"
            replies = await send(connection, batch)
            self._counters.batches += 1
            self._backoff.reset()
            self._back()
            if outbox.sent_before and any(is_too_small(reply) for reply in replies):
                # The first sending arrived after all, later than our question about it: ask again.
                await self._reconciling.reconcile(connection)
                continue
            outbox.in_flight = None
            self._settling.settle(batch, replies)
            outbox.note_drained()
            if outbox.waiting or outbox.reconcile_wanted:
                outbox.something.set()

    # Both are given by parts that are made after this one.

    def _tops_of(self, stream: MarketStream) -> Iterable[Update]:
        return self.current_tops(stream)

    def _lose(self, partitions: frozenset[int]) -> None:
        self.on_lost(partitions)

    def _away(self, what: str) -> None:
        self._counters.redis_away += 1
        if self._said.says():
            self._log.warning(f"{what}; {self.pending} updates wait, nothing is lost")

    def _back(self) -> None:
        if self._said.begun:
            self._said.end()
            self._log.info(f"Redis takes writes again; {self._outbox.waiting} more updates go out now")
