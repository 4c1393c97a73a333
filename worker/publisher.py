"""Updates to Redis, each exactly once and in order, or a gap in its place.

One connection, one batch in flight; the next one grows meanwhile. The client never retries: a batch whose reply was
lost is looked up entry by entry (ids are ours, and a batch is written whole or not at all), then counted as done or
sent again under the same ids. Where Redis turns out to have forgotten or refused entries, the stream gets a `redis`
gap, then the current tops of its tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from marketdata.backoff import Backoff
from marketdata.clock import now_us
from marketdata.entries import gap_note
from marketdata.keys import Keys
from marketdata.logs import get_logger
from worker.asking import ask, info_value, last_generated
from worker.batches import Batch, Item, build_batch
from worker.counters import Counters
from worker.ids import IdClock
from worker.latency import Latencies
from worker.packing import pack
from worker.pending import CLOCK, Pending
from worker.streams import MarketStream, Update
from worker.told import Seldom, in_one_line

BATCH_TIMEOUT_S: Final = 10.0
REFUSED_RETRY_S: Final = 5.0
TOO_SMALL: Final = "equal or smaller than the target stream top item"
AWAY: Final = (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError)


class WritesRefusedError(RedisError):
    """Redis refuses to write: out of memory, read-only, or not allowed. Nothing of the batch was written."""


class Publisher:
    """Writes updates to the streams of the partitions in `limits`."""

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
        self.limits: dict[int, int] = {}
        """Id limit of each partition that is ours, Unix milliseconds."""
        self.streams: dict[str, MarketStream] = {}
        """All streams that we write, by key."""
        self.latencies = Latencies()
        self.connected = False
        self.before_writing: Callable[[], Awaitable[None]] | None = None
        """Called after each reconnect, before anything is written: renews the leases."""
        self.on_lost: Callable[[frozenset[int]], None] = lambda partitions: None
        """Called when Redis refuses a first-time id: another worker owns the partitions now."""
        self.current_tops: Callable[[MarketStream], Iterable[Update]] = lambda stream: ()
        """The tops to publish again after a `redis` gap."""
        self._keys = keys
        self._worker_id = worker_id
        self._new_connection = new_connection
        self._counters = counters
        self._ids = ids
        self._backoff = backoff
        self._log = get_logger("publisher")
        self._pending = Pending(max_pending, self._count_conflated)
        self._in_flight: Batch | None = None
        self._said = Seldom()
        self._something = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._reconcile_wanted = False
        self._sent_before = False
        """The batch in flight was sent once already, on a connection that was lost."""
        self._run_id = ""

    # -- what others call -----------------------------------------------------------------------------------

    def offer(self, update: Update) -> None:
        """Takes an update; never waits."""
        self._pending.append(update)
        self._something.set()
        self._drained.clear()

    def limits_moved(self) -> None:
        """The id limits rose: what waited for them can go."""
        self._something.set()

    def want_reconcile(self) -> None:
        """Redis may have forgotten entries: compare before writing on."""
        self._reconcile_wanted = True
        self._something.set()

    def forget_partitions(self, lost: frozenset[int]) -> None:
        """Stops writing partitions that are no longer ours; what waits for them is dropped and counted."""
        for partition in lost:
            self.limits.pop(partition, None)
        self._counters.disowned += self._pending.drop_partitions(lost)
        self.streams = {key: stream for key, stream in self.streams.items() if stream.partition not in lost}
        self._note_drained()

    @property
    def pending(self) -> int:
        """Updates that are not acknowledged yet."""
        return len(self._pending) + (len(self._in_flight.items) if self._in_flight else 0)

    async def drained(self) -> None:
        """Waits until everything offered so far is acknowledged."""
        await self._drained.wait()

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
        await self._reconcile(connection)
        self.connected = True
        while True:
            if self._in_flight is None:
                await self._something.wait()
                self._something.clear()
                if self._reconcile_wanted:
                    await self._reconcile(connection)
                if not self._take_batch():
                    continue
            batch = self._in_flight
            assert batch is not None, "a batch was just taken"
            replies = await self._exchange(connection, batch)
            self._backoff.reset()
            self._back()
            if self._sent_before and any(_is_too_small(reply) for reply in replies):
                # The first sending arrived after all, later than our question about it: ask again.
                await self._reconcile(connection)
                continue
            self._in_flight = None
            self._settle(batch, replies)
            self._note_drained()
            if self._pending or self._reconcile_wanted:
                self._something.set()

    def _take_batch(self) -> bool:
        built = build_batch(self._pending, self._ids, self.limits, self._keys.wake)
        self._counters.disowned += built.disowned
        if not built.batch.items:
            self._note_drained()
            return False
        self._in_flight = built.batch
        self._sent_before = False
        return True

    async def _exchange(self, connection: AbstractConnection, batch: Batch) -> list[Any]:
        refusal: ResponseError | None = None
        async with asyncio.timeout(BATCH_TIMEOUT_S):
            await connection.send_packed_command(batch.commands(), check_health=False)
            for _ in range(batch.replies):
                try:
                    await connection.read_response(disconnect_on_error=False)
                except ResponseError as error:
                    refusal = refusal or error
            try:
                replies = await connection.read_response(disconnect_on_error=False)
            except ResponseError as error:
                raise WritesRefusedError(str(refusal or error)) from None
        self._counters.batches += 1
        assert isinstance(replies, list), "EXEC answers with a list"
        return replies

    # -- what Redis answered --------------------------------------------------------------------------------

    def _settle(self, batch: Batch, replies: list[Any]) -> None:
        acked_us = now_us()
        lost: set[int] = set()
        for item, reply in zip(batch.items, replies, strict=False):
            stream = item.update.stream
            if isinstance(reply, bytes):
                self._done(item, acked_us)
            elif reply is None:
                self._lost(item.update, item.update.recv_us)
                self._reconcile_wanted = True
            elif _is_too_small(reply):
                lost.add(stream.partition)
            else:
                self._refused(item, str(reply))
        if lost:
            self.forget_partitions(frozenset(lost))
            self.on_lost(frozenset(lost))

    def _done(self, item: Item, acked_us: int) -> None:
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
            for top in self.current_tops(stream):
                self.offer(top)

    def _refused(self, item: Item, error: str) -> None:
        """Redis will not have this entry (its key holds something else, say)."""
        self._counters.refused += 1
        stream = item.update.stream
        if not stream.forgotten_us:
            self._log.error(f"Redis refused an entry of {stream.key} ({error}); a gap will stand for it")
            self._redis_forgot(stream, item.update.recv_us)
        elif _is_redis_gap(item.update):
            asyncio.get_running_loop().call_later(REFUSED_RETRY_S, self._owe_gap, stream)
        if item.update.kind == "resolved":
            asyncio.get_running_loop().call_later(REFUSED_RETRY_S, self._offer_if_ours, item.update)

    def _lost(self, update: Update, since_us: int) -> None:
        """An update that cannot get into Redis under its id: a gap stands for it, an end is told anew."""
        self._redis_forgot(update.stream, since_us)
        if update.kind == "resolved":
            self._offer_if_ours(update)

    def _offer_if_ours(self, update: Update) -> None:
        if update.stream.partition in self.limits:
            self.offer(update)

    def _redis_forgot(self, stream: MarketStream, since_us: int) -> None:
        """Entries of this stream are lost or were refused: a gap comes first, before anything else."""
        stream.exists = False
        if stream.condition_id == "" or stream.forgotten_us:
            return
        stream.forgotten_us = max(since_us, 1)
        self._counters.redis_holes += 1
        self._counters.gap("redis")
        self._owe_gap(stream)

    def _owe_gap(self, stream: MarketStream) -> None:
        if self.streams.get(stream.key) is not stream:
            return
        note = gap_note("redis", stream.forgotten_us, self._worker_id)
        self._pending.push_front(Update(stream, "gap", None, recv_us=now_us(), note=note))
        self._something.set()
        self._drained.clear()

    # -- after a reconnect ----------------------------------------------------------------------------------

    async def _reconcile(self, connection: AbstractConnection) -> None:
        """Does Redis still hold what it acknowledged? Was the batch in flight written?"""
        self._reconcile_wanted = False
        async with asyncio.timeout(BATCH_TIMEOUT_S):
            await self._check_server(connection)
            known = [stream for stream in self.streams.values() if stream.exists]
            newest = await ask(connection, [pack("XINFO", "STREAM", stream.key) for stream in known])
            for stream, info in zip(known, newest, strict=True):
                if isinstance(info, Exception):
                    if "no such key" not in str(info) and "WRONGTYPE" not in str(info):
                        raise info
                    self._redis_forgot(stream, stream.last_id.ms * 1000)
                elif (newest_id := last_generated(info)) < stream.last_id:
                    self._redis_forgot(stream, newest_id.ms * 1000)
                    # What is left of the stream exists; only its end is gone.
                    stream.exists = True
            await self._look_up_in_flight(connection)
        self._something.set()

    async def _check_server(self, connection: AbstractConnection) -> None:
        (server,) = await ask(connection, [pack("INFO", "server")])
        (role,) = await ask(connection, [pack("ROLE")])
        run_id = info_value(server, b"run_id:")
        if isinstance(role, list) and role and role[0] != b"master":
            raise WritesRefusedError(f"the server is a {role[0].decode()}, not a master")
        if self._run_id and run_id != self._run_id:
            self._log.warning("redis is another process than before", run_id=run_id, before=self._run_id)
        self._run_id = run_id

    async def _look_up_in_flight(self, connection: AbstractConnection) -> None:
        batch = self._in_flight
        if batch is None:
            return
        items = batch.items
        found = await ask(
            connection, [pack("XRANGE", i.update.stream.key, str(i.id), str(i.id)) for i in items]
        )
        ends = await ask(connection, [pack("XINFO", "STREAM", i.update.stream.key) for i in items])
        left: list[Item] = []
        acked_us = now_us()
        for item, entries, info in zip(items, found, ends, strict=True):
            stream = item.update.stream
            if isinstance(entries, list) and entries:
                self._done(item, acked_us)
            elif stream.partition not in self.limits:
                self._counters.disowned += 1
            elif stream.forgotten_us and item.update.kind != "gap":
                self._lost(item.update, stream.forgotten_us)
            elif not isinstance(info, Exception) and last_generated(info) >= item.id:
                # A later id is there and this one is not: it can never be written.
                if _is_redis_gap(item.update):
                    self._owe_gap(stream)
                else:
                    self._lost(item.update, item.update.recv_us)
            else:
                left.append(item)
        batch.items = left
        self._sent_before = True
        if not left:
            self._in_flight = None
            self._note_drained()

    # -- small steps ----------------------------------------------------------------------------------------

    def _away(self, what: str) -> None:
        self._counters.redis_away += 1
        if self._said.says():
            self._log.warning(f"{what}; {self.pending} updates wait, nothing is lost")

    def _back(self) -> None:
        if self._said.begun:
            self._said.end()
            self._log.info(f"Redis takes writes again; {len(self._pending)} more updates go out now")

    def _count_conflated(self, count: int) -> None:
        self._counters.conflated += count

    def _note_drained(self) -> None:
        if not self._pending and self._in_flight is None:
            self._drained.set()


def _is_too_small(reply: Any) -> bool:
    return isinstance(reply, Exception) and TOO_SMALL in str(reply)


def _is_redis_gap(update: Update) -> bool:
    return update.kind == "gap" and update.note.startswith("redis ")
