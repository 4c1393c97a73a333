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
from marketdata.errors import BookstreamError, GroupError
from marketdata.groups.batch import AWAY, Batch, Tools
from marketdata.groups.directory import Directory
from marketdata.groups.messages import SILENT_AFTER_S, Silent
from marketdata.groups.reading import PartitionReading
from marketdata.groups.unpacking import Unpacked, Unpacker
from marketdata.groups.wire import pack

BATCH: Final = 500
"""Entries at most between two acknowledgements."""

LOOK_EVERY_S: Final = 1.0
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
        self._log = log
        self._woken = asyncio.Event()
        self._leaving = False
        self._unpacker = Unpacker(
            partition,
            clock_key=tools.keys.clock(partition),
            directory=directory,
            gone=reading.gone,
            clocks=clocks,
            log=log,
        )
        self._requeue_key = tools.keys.requeue(partition, tools.group)
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
            lost = self._reading.lost.copy()
            self._reading.lost.clear()
            raws = [due.popleft() for _ in range(min(len(due), BATCH))]
            unpacked = self._unpacker.unpack(lost, raws)
            if unpacked.items or unpacked.raws:
                await self._give(handle, self._batch(unpacked))

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

    def _batch(self, unpacked: Unpacked) -> Batch:
        return Batch(
            self.partition,
            unpacked.items,
            unpacked.raws,
            unpacked.dead,
            self._directory.revision,
            self._tools,
            self._reading.done,
        )

    async def _tell_silence(self, handle: BatchHandler) -> None:
        unpacker = self._unpacker
        quiet = time.monotonic() - unpacker.heard_s >= SILENT_AFTER_S
        if unpacker.is_silent or not quiet or not self._reading.has_markets:
            return
        unpacker.is_silent = True
        silent = Silent(self.partition, unpacker.heard_id)
        await self._give(handle, self._batch(Unpacked([silent], [], [])))

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
        letters = [(EntryId.parse(letter_id), fields) for letter_id, fields in rows]
        await self._give(handle, self._batch(self._unpacker.unpack_requeued(letters, self._requeue_key)))
