"""A limiter for opening connections: one for the whole worker."""

from __future__ import annotations

import asyncio


class OpenLimiter:
    """Lets `per_s` callers through a second, evenly spread, in the order they came."""

    def __init__(self, per_s: float) -> None:
        self._every_s = 1.0 / per_s
        self._next_s = 0.0

    async def wait(self) -> None:
        """Returns when it is this caller's turn."""
        now_s = asyncio.get_running_loop().time()
        turn_s = max(now_s, self._next_s)
        self._next_s = turn_s + self._every_s
        if turn_s > now_s:
            await asyncio.sleep(turn_s - now_s)

    def hold_off(self, seconds: float) -> None:
        """Nobody is let through for so long: the venue asked for it."""
        self._next_s = max(self._next_s, asyncio.get_running_loop().time() + seconds)
