"""Waiting together for a Redis that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from marketdata.errors import RedisAwayError, RedisRefusedError
from marketdata.redis_url import RedisSession, wait_for_redis

AFTER_STOP_S: Final = 2.0
LOG_EVERY_S: Final = 5.0
_REFUSED_S: Final = 0.5
_PAUSE_S: Final = 0.05


class Gate:
    """One waits, all others wait with it; at a stop not for long.

    Args:
        stopping: set when the group is to stop.
        on_back: called when Redis answers again.
    """

    def __init__(
        self,
        session: RedisSession,
        *,
        stopping: asyncio.Event,
        on_back: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self._session = session
        self._stopping = stopping
        self._on_back = on_back
        self._log = log
        self._turn = asyncio.Lock()
        self._told_s = -LOG_EVERY_S
        self._stop_s: float | None = None
        """When those who wait at a stop give up (monotonic seconds): one time for all, for they take turns."""

    async def __call__(self, error: Exception) -> None:
        """Returns when Redis answers.

        Raises:
            RedisAwayError: the group stops, and Redis does not come back for that.
            RedisRefusedError: it is back and refuses this client.
        """
        # A server that starts anew may answer one command and cut the next: no spinning.
        await asyncio.sleep(_PAUSE_S)
        async with self._turn:
            waiting = asyncio.ensure_future(
                wait_for_redis(self._session.client, self._session.target, log=self._log)
            )
            stopping = asyncio.ensure_future(self._stop())
            try:
                await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    raise RedisAwayError(
                        f"Redis is away ({' '.join(str(error).split())[:120]}) and this stops; what was not"
                        " acknowledged comes again"
                    )
                waiting.result()
            finally:
                for task in (waiting, stopping):
                    task.cancel()
                await asyncio.gather(waiting, stopping, return_exceptions=True)
        self._stop_s = None
        self._on_back()

    async def refused(self, error: Exception) -> None:
        """Redis answers, and refuses for now: waits a little, and says so now and then.

        Raises:
            RedisRefusedError: the group stops.
        """
        if (now_s := time.monotonic()) - self._told_s >= LOG_EVERY_S:
            self._told_s = now_s
            self._log(
                f"Redis refuses ({' '.join(str(error).split())[:120]}); nothing is lost, it is tried again"
            )
        if self._stopping.is_set():
            raise RedisRefusedError(
                f"Redis refuses ({' '.join(str(error).split())[:120]}) and this stops; what was not acknowledged"
                " comes again"
            )
        await asyncio.sleep(_REFUSED_S)

    async def _stop(self) -> None:
        await self._stopping.wait()
        if self._stop_s is None:
            self._stop_s = time.monotonic() + AFTER_STOP_S
        await asyncio.sleep(max(self._stop_s - time.monotonic(), 0.0))
