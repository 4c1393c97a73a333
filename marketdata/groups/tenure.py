"""One member's time with one partition: from taking its lease to giving it back, or losing it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from marketdata.entries import EntryId
from marketdata.errors import BookstreamError, EntryError, GroupError
from marketdata.groups.backlog import Raw
from marketdata.groups.batch import AWAY, Batch, Item, Tools
from marketdata.groups.dead import DeadLetter
from marketdata.groups.directory import Directory
from marketdata.groups.messages import Lost, Message, Silent, after, before, clock_of, entry_of
from marketdata.groups.reading import PartitionReading
from marketdata.groups.sequence import Sequence
from marketdata.groups.wire import pack

BATCH: Final = 500
"""Entries at most between two acknowledgements."""

LOOK_EVERY_S: Final = 1.0
SILENT_AFTER_S: Final = 5.0
ATTEMPTS: Final = 5
AGAIN_S: Final = 0.05
_REQUEUED: Final = 100

BatchHandler = Callable[[Batch], Awaitable[None]]
"""Handles a batch; what it does not commit is committed after it returned."""


@dataclass(frozen=True, slots=True)
class Partition:
    """What an opener of partitions is told.

    Attributes:
        number: which one.
        handled: the last id that the group handled and committed here; None: never any.
        directory: its streams and markets.
    """

    number: int
    handled: EntryId | None
    directory: Directory


class Tenure:
    """Reads a partition until it is told to leave.

    Args:
        tools: fence, names, patience.
        clocks: whether clock entries are handed on.

    Attributes:
        caught_up: whether all that was there has been handled.
        last: id of the last entry that was handled.
    """

    def __init__(
        self,
        partition: int,
        *,
        reading: PartitionReading,
        tools: Tools,
        directory: Directory,
        clocks: bool,
        log: Callable[[str], None],
    ) -> None:
        self.partition = partition
        self.caught_up = asyncio.Event()
        self.last: EntryId | None = reading.handled
        self._reading = reading
        self._tools = tools
        self._directory = directory
        self._clocks = clocks
        self._log = log
        self._woken = asyncio.Event()
        self._leaving = False
        self._sequence = Sequence()
        self._clock_key = tools.keys.clock(partition)
        self._requeue_key = tools.keys.requeue(partition, tools.group)
        self._clock_id: EntryId | None = None
        self._clock_s = time.monotonic()
        self._is_silent = False
        self._looked_s = 0.0
        self._random = random.Random(partition)

    @property
    def is_leaving(self) -> bool:
        """Whether it was told to leave."""
        return self._leaving

    @property
    def held(self) -> int:
        """Entries in memory that are not handled yet."""
        return len(self._reading.backlog)

    @property
    def behind_ms(self) -> int:
        """How far the newest entry at hand is ahead of the last one handled."""
        due = self._reading.backlog.due
        return max(due[-1].id.ms - self.last.ms, 0) if due and self.last is not None else 0

    def wake(self) -> None:
        """Something was written."""
        self._woken.set()

    def leave(self) -> None:
        """Finish the batch, then end."""
        self._leaving = True
        self._woken.set()

    async def run(self, handle: BatchHandler) -> None:
        """Reads and handles until it is told to leave.

        Raises:
            LeaseLostError: another member reads the partition now.
            GroupError: the handler of batches failed again and again.
        """
        while not self._leaving:
            self._woken.clear()
            try:
                more = await self._reading.read()
            except AWAY as error:
                await self._tell_silence(handle)
                await self._tools.patience(error)
                continue
            except BookstreamError:
                raise
            except RedisError as error:
                await self._tools.refused(error)
                continue
            await self._handle_all(handle)
            await self._tell_silence(handle)
            await self._handle_requeued(handle)
            if not more:
                self.caught_up.set()
                # Partitions that are looked at all at once would make each other wait.
                await self._wait(LOOK_EVERY_S * (0.5 + 0.5 * self._random.random()))

    async def _wait(self, bound_s: float) -> None:
        try:
            async with asyncio.timeout(bound_s):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _handle_all(self, handle: BatchHandler) -> None:
        due = self._reading.backlog.due
        while (due or self._reading.lost) and not self._leaving:
            raws = [due.popleft() for _ in range(min(len(due), BATCH))]
            batch = self._batch(raws)
            if batch is not None:
                await self._give(handle, batch)

    async def _give(self, handle: BatchHandler, batch: Batch) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                # Also where all of it is dead letters: who keeps a state keeps how far the group has come.
                await handle(batch)
                break
            except (BookstreamError, RedisError, BrokenPipeError):
                raise
            except Exception as error:
                if attempt == ATTEMPTS:
                    raise GroupError(
                        f"the handler of partition {self.partition} failed {attempt} times"
                        f" ({type(error).__name__}: {error}); nothing of the batch was acknowledged"
                    ) from error
                self._log(f"the handler of partition {self.partition} failed, again: {error!r}")
                await asyncio.sleep(AGAIN_S * 2**attempt)
        if batch.is_abandoned:
            self._leaving = True
        elif not batch.is_done:
            await batch.commit()
        if batch.last_done is not None and batch.last_done.key != self._requeue_key:
            self.last = batch.last_done.id

    def _batch(self, raws: list[Raw]) -> Batch | None:
        items: list[Item] = [*self._reading.lost]
        self._reading.lost.clear()
        dead: list[tuple[int, DeadLetter]] = []
        places: list[tuple[int, Raw]] = []
        for raw in raws:
            place = len(items)
            if raw.fields is None:
                self._went_away(items, raw)
            elif raw.fields:
                try:
                    self._decode(items, raw)
                    # A notice may have come before it: it is done when its own item is.
                    place = max(len(items) - 1, place)
                except EntryError as error:
                    self._log(f"{raw.id} of {raw.key} is a dead letter, it cannot be read: {error}")
                    letter = DeadLetter(raw.key, raw.id, f"EntryError: {error}", 0, raw.fields)
                    dead.append((place, letter))
            places.append((place, raw))
        return self._made(items, places, dead) if items or places else None

    def _made(
        self, items: list[Item], places: list[tuple[int, Raw]], dead: list[tuple[int, DeadLetter]]
    ) -> Batch:
        on_done = self._reading.done
        return Batch(self.partition, items, places, dead, self._directory.revision, self._tools, on_done)

    def _decode(self, items: list[Item], raw: Raw) -> None:
        assert raw.fields is not None, "what went away is told elsewhere"
        if raw.key == self._clock_key:
            clock = clock_of(raw.id, raw.key, self.partition, raw.fields)
            self._clock_s, self._clock_id = time.monotonic(), raw.id
            if self._is_silent:
                self._is_silent = False
                items.append(Silent(self.partition, raw.id, over=True))
            if self._clocks:
                items.append(clock)
            return
        entry = entry_of(raw.fields)
        market = self._directory.market(self._reading.condition_ids.get(raw.key, ""))
        missing = self._sequence.follow(raw.key, raw.id, entry)
        if missing is not None and not missing < self._reading.gone.get(raw.key, missing) < raw.id:
            items.append(Lost(raw.key, self.partition, market, after(missing), before(raw.id)))
        items.append(Message(raw.id, raw.key, self.partition, entry, market, raw.again))

    def _went_away(self, items: list[Item], raw: Raw) -> None:
        market = self._directory.market(self._reading.condition_ids.get(raw.key, ""))
        before_it = items[-1] if items else None
        if raw.key == self._clock_key:
            return
        self._reading.gone[raw.key] = raw.id
        if isinstance(before_it, Lost) and before_it.stream == raw.key:
            items[-1] = before_it._replace(last=raw.id)
        else:
            items.append(Lost(raw.key, self.partition, market, raw.id, raw.id))

    async def _tell_silence(self, handle: BatchHandler) -> None:
        quiet = time.monotonic() - self._clock_s >= SILENT_AFTER_S
        if self._is_silent or not quiet or not self._reading.has_markets:
            return
        self._is_silent = True
        await self._give(handle, self._made([Silent(self.partition, self._clock_id)], [], []))

    async def _handle_requeued(self, handle: BatchHandler) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S or self._leaving:
            return
        self._looked_s = now_s
        command = pack(("XRANGE", self._requeue_key, "-", "+", "COUNT", _REQUEUED))
        try:
            (rows,) = await self._tools.fence.ask([command])
        except AWAY:
            # The next read says so, and waits.
            return
        if not rows or isinstance(rows, Exception):
            return
        items: list[Item] = []
        places: list[tuple[int, Raw]] = []
        dead: list[tuple[int, DeadLetter]] = []
        for letter_id, fields in rows:
            letter = DeadLetter.of(fields)
            places.append((len(items), Raw(EntryId.parse(letter_id), self._requeue_key, fields, True)))
            market = self._directory.market(letter.stream.rpartition(":")[2])
            try:
                entry = entry_of(letter.fields)
            except EntryError as error:
                dead.append((len(items), DeadLetter(letter.stream, letter.id, str(error), 0, letter.fields)))
                continue
            items.append(Message(letter.id, letter.stream, self.partition, entry, market, True))
        await self._give(handle, self._made(items, places, dead))
