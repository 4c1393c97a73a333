"""Calls a handler for each entry: again where it fails, and not for ever."""

from __future__ import annotations

import asyncio
import inspect
import random
import time
from collections.abc import Callable
from typing import Final

from marketdata.groups.batch import Batch
from marketdata.groups.dead import one_line
from marketdata.groups.handlers import Handler as Handler
from marketdata.groups.handlers import checked_handler
from marketdata.groups.messages import Clock, Message, Notice

ATTEMPTS: Final = 5
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 2.0
_BREATHE_S: Final = 0.05
_CUT_SHORT: Final = (
    "{} calls were begun and the last never ended: its process was killed, crashed or ran out of memory"
)
_BEFORE: Final = "{} calls in processes before this one did not end well"
_REASON: Final = 200


class EntryByEntry:
    """Handles batches by a handler of single entries.

    An entry whose handler failed five times becomes a dead letter, and the rest goes on. So does one that came
    again and of which five calls were begun and none ended, because each took its process with it. Between two calls it
    waits, and with it all that follows in its partition, so that the order is kept; other partitions go on.

    Args:
        log: gets a line for each dead letter.
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
        self.handled = 0
        self.dead = 0

    async def __call__(self, batch: Batch) -> None:
        """Handles a batch and commits it.

        Raises:
            LeaseLostError: another member reads the partition now.
        """
        for at, item in enumerate(batch.items):
            if isinstance(item, Clock):
                continue
            # A plain handler gives nobody else a turn, and the leases must be renewed.
            if (now_s := time.monotonic()) - self._breathed_s > _BREATHE_S:
                self._breathed_s = now_s
                await asyncio.sleep(0)
            if not await (self._alone if _is_suspect(batch, at, item) else self._handled)(batch, at, item):
                batch.is_abandoned = True
                return
        await batch.commit()

    async def _alone(self, batch: Batch, at: int, item: Message | Notice) -> bool:
        """As `_handled`, one at a time over all partitions: calls under way elsewhere die with it, and are innocent."""
        async with self._suspects:
            is_handled = await self._handled(batch, at, item)
            if is_handled:
                await batch.commit(upto=at + 1)
        return is_handled

    async def _handled(self, batch: Batch, at: int, item: Message | Notice) -> bool:
        comes_again = isinstance(item, Message) and item.again
        attempts = earlier = batch.calls_begun(at) if comes_again else 0
        if attempts >= ATTEMPTS:
            self._give_up(batch, at, item, _CUT_SHORT.format(attempts), attempts)
            return True
        while True:
            if comes_again:
                await batch.begin(at)
            elif not batch.is_surely_ours():
                await batch.still_ours()
            try:
                result = self._handler(item)
                if result is not None and inspect.isawaitable(result):
                    await result
            except Exception as error:  # noqa: BLE001  (a stranger's code may raise anything)
                attempts += 1
                reason = f"{type(error).__name__}: {error}"
                if earlier:
                    reason = f"{one_line(reason)[:_REASON]}; {_BEFORE.format(earlier)}"
            else:
                self.handled += isinstance(item, Message)
                return True
            if attempts >= ATTEMPTS:
                self._give_up(batch, at, item, reason, attempts)
                return True
            # What was handled so far need not wait for this one.
            await batch.commit(upto=at)
            if await self._paused(attempts):
                return False

    def _give_up(self, batch: Batch, at: int, item: Message | Notice, reason: str, attempts: int) -> None:
        if isinstance(item, Message):
            self.dead += 1
            batch.bury(at, reason, attempts)
            what = f"{item.id} of {item.stream} is a dead letter"
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


def _is_suspect(batch: Batch, at: int, item: Message | Notice) -> bool:
    """Whether a call for it was under way when a process ended."""
    return isinstance(item, Message) and item.again and batch.calls_begun(at) > 0
