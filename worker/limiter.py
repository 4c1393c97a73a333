"""A limiter for opening connections: one for the whole worker."""

from __future__ import annotations

import asyncio


class OpenLimiter:
    """Lets `per_s` callers through a second, evenly spread, in the order they came."""

    def __init__(self, per_s: float) -> None:
        self._every_s = 1.0 / per_s
        self._next_s = 0.0
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Returns when it is this caller's turn."""
        clock = asyncio.get_running_loop().time
        async with self._turn:
            # Looked at again after each sleep: the venue may ask for a pause meanwhile.
            while (wait_s := self._next_s - clock()) > 0:  # noqa: ASYNC110  (nobody could set an event)
                await asyncio.sleep(wait_s)
            self._next_s = clock() + self._every_s

    def hold_off(self, seconds: float) -> None:
        """Nobody is let through for so long: the venue asked for it."""
        self._next_s = max(self._next_s, asyncio.get_running_loop().time() + seconds)
