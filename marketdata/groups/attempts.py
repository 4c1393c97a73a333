"""Calls a handler for each entry: again where it fails, and not for ever."""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from redis.exceptions import RedisError

from marketdata.errors import LeaseLostError
from marketdata.groups.batch import Batch
from marketdata.groups.dead import one_line
from marketdata.groups.handlers import Handler, check_result, checked_handler
from marketdata.groups.messages import Clock, Message, Notice

ATTEMPTS: Final = 5
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 2.0
WAIT_TOLD_S: Final = 3.0
TAKE_BACK_S: Final = 1.0
_BREATHE_S: Final = 0.05
_NEVER_ENDED: Final = "{} calls began and were not acknowledged"
_BEFORE: Final = "{} calls before began and were not acknowledged"
_REASON: Final = 200


class EntryByEntry:
    """Handles batches by a handler of single entries.

    An entry whose handler failed five times becomes a dead letter, and the rest goes on. So does one that came
    again and of which five calls were begun and none was acknowledged, because each took its process with it. A call
    that returned when its partition was lost already, or was cancelled, is not counted. Between two calls it
    waits, and with it all that follows in its partition, so that the order is kept; other partitions go on.

    Entries of which a call is counted already are called one at a time over all partitions, until the call failed or
    is acknowledged: if it ends the process, no other one is blamed. So a long call for one of them holds up
    the partitions that have come to such an entry, too; its pauses do not.

    Args:
        log: gets a line for each dead letter, and where one of these waits for long.
        stopping: set when the group is to stop: then nothing is tried again.

    Raises:
        SettingsError: the handler is none.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        log: Callable[[str], None],
        stopping: asyncio.Event,
        rng: random.Random | None = None,
    ) -> None:
        self._handler = checked_handler(handler)
        self._log = log
        self._stopping = stopping
        self._random = rng or random.Random()
        self._breathed_s = time.monotonic()
        self._suspects = asyncio.Lock()
        self._suspect: Message | Notice | None = None
        self._told_s = -WAIT_TOLD_S
        self.handled = 0
        self.dead = 0

    async def __call__(self, batch: Batch) -> None:
        """Handles a batch and commits it.

        Raises:
            LeaseLostError: another member reads the partition now.
        """
        try:
            await self._all(batch)
        except (LeaseLostError, asyncio.CancelledError) as error:
            if batch.in_doubt is not None:
                await self._take_back(batch, error)
            raise

    async def _all(self, batch: Batch) -> None:
        for at, item in enumerate(batch.items):
            if isinstance(item, Clock):
                continue
            # A plain handler gives nobody else a turn, and the leases must be renewed.
            if (now_s := time.monotonic()) - self._breathed_s > _BREATHE_S:
                self._breathed_s = now_s
                await asyncio.sleep(0)
            error, comes_again = None, isinstance(item, Message) and item.again
            if not comes_again and (error := await self._tried(batch, item)) is None:
                continue
            if not await self._persisted(batch, at, item, error, comes_again=comes_again):
                batch.is_abandoned = True
                return
        await batch.commit()

    async def _persisted(
        self, batch: Batch, at: int, item: Message | Notice, error: BaseException | None, *, comes_again: bool
    ) -> bool:
        """Calls until it is handled or given up; false: the group stops before that.

        Args:
            error: what the first call ended with, if there was one.
        """
        failed = 0 if error is None else 1
        while True:
            attempts = max(failed, await batch.calls_begun(at)) if comes_again else failed
            if attempts >= ATTEMPTS:
                self._give_up(batch, at, item, _reason(error, attempts - failed), attempts)
                return True
            if failed:
                # What was handled so far need not wait for this one.
                await batch.commit(upto=at)
                if await self._paused(attempts):
                    return False
            if not comes_again:
                error = await self._tried(batch, item)
            elif attempts:
                async with self._alone(item):
                    error = await self._counted(batch, at, item)
                    if error is None:
                        await batch.commit(upto=at + 1)
            else:
                error = await self._counted(batch, at, item)
            if error is None:
                return True
            failed += 1

    async def _counted(self, batch: Batch, at: int, item: Message | Notice) -> BaseException | None:
        await batch.begin(at)
        error = await self._tried(batch, item)
        if error is not None:
            batch.failed()
        return error

    async def _tried(self, batch: Batch, item: Message | Notice) -> BaseException | None:
        """One call; what it failed with."""
        if not batch.is_surely_ours():
            await batch.still_ours()
        try:
            result = self._handler(item)
            if result is not None:
                if inspect.isawaitable(result):
                    result = await result
                check_result(result)
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            # Something that the handler waited for was cancelled, not this.
            return error
        except Exception as error:  # noqa: BLE001  (a stranger's code may raise anything)
            return error
        self.handled += isinstance(item, Message)
        return None

    @asynccontextmanager
    async def _alone(self, item: Message | Notice) -> AsyncIterator[None]:
        """One at a time over all partitions: calls under way elsewhere would be blamed, too, and are innocent."""
        telling = asyncio.get_running_loop().call_later(WAIT_TOLD_S, self._tell_wait, item)
        try:
            await self._suspects.acquire()
        finally:
            telling.cancel()
        self._suspect = item
        try:
            yield
        finally:
            self._suspects.release()

    def _tell_wait(self, item: Message | Notice) -> None:
        if (now_s := time.monotonic()) - self._told_s < WAIT_TOLD_S:
            return
        self._told_s = now_s
        self._log(
            f"{_name(item)} waits for {_name(self._suspect)}: entries of which a call was not acknowledged are"
            " handled one at a time"
        )

    async def _take_back(self, batch: Batch, error: BaseException) -> None:
        entry_id = batch.in_doubt
        taking = asyncio.create_task(self._taken_back(batch), name="take back")
        while not taking.done():
            try:
                await asyncio.wait([taking])
            except asyncio.CancelledError:
                # Whoever ends this asks again and again, and has its end in a second.
                continue
        if isinstance(error, LeaseLostError):
            self._log(
                f"{entry_id} in partition {batch.partition} cannot be acknowledged, it is handled once more: the"
                " partition was lost during its call; does the handler give nobody else a turn for long?"
            )

    async def _taken_back(self, batch: Batch) -> None:
        try:
            async with asyncio.timeout(TAKE_BACK_S):
                await batch.take_back()
        except (RedisError, OSError) as error:
            self._log(
                f"a call for {batch.in_doubt} in partition {batch.partition} stays counted as one that did not end"
                f" ({one_line(str(error))[:120] or type(error).__name__})"
            )

    def _give_up(self, batch: Batch, at: int, item: Message | Notice, reason: str, attempts: int) -> None:
        if isinstance(item, Message):
            self.dead += 1
            batch.bury(at, reason, attempts)
            what = f"{_name(item)} is a dead letter"
        else:
            what = f"a notice ({item}) was not handled"
        self._log(f"{what} after {attempts} calls ({one_line(reason)[:200]}); the rest goes on")

    async def _paused(self, attempts: int) -> bool:
        """Waits before the next call; true if the group stops meanwhile."""
        delay_s = min(FIRST_DELAY_S * 2 ** (attempts - 1), LONGEST_DELAY_S)
        try:
            async with asyncio.timeout(delay_s / 2 + self._random.random() * delay_s / 2):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True


def _reason(error: BaseException | None, earlier: int) -> str:
    if error is None:
        return _NEVER_ENDED.format(earlier)
    reason = f"{type(error).__name__}: {error}"
    return f"{one_line(reason)[:_REASON]}; {_BEFORE.format(earlier)}" if earlier else reason


def _name(item: Message | Notice | None) -> str:
    return f"{item.id} of {item.stream}" if isinstance(item, Message) else str(item)
