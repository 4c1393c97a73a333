"""When an entry is due (pure)."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Keeps the entries' own time, sped up. What came late never delays what follows.

    Args:
        speed: 1 as it happened, 10 ten times faster, 0 flat out.
        clock_s: a clock that nobody sets, seconds.
    """

    def __init__(self, speed: float, clock_s: Callable[[], float]) -> None:
        self._speed = speed
        self._clock_s = clock_s
        self._began: tuple[float, int] | None = None

    def wait_s(self, ms: int) -> float:
        """How long to wait for an entry of these milliseconds; the first one asked for is due at once."""
        if not self._speed:
            return 0.0
        if self._began is None:
            self._began = self._clock_s(), ms
        began_s, first_ms = self._began
        due_s = began_s + (ms - first_ms) / 1000 / self._speed
        return max(0.0, due_s - self._clock_s())
