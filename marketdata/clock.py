"""The wall clock, read in one place, and never seen to go back.

Deadlines (a held top, an awaited PONG) are times of this clock. If someone sets the machine's clock back by an hour,
they would all wait for an hour; so ours then goes on at half speed until the machine's has caught up.
"""

import time
from collections.abc import Callable


class SteadyClock:
    """Unix time that never falls and never stops.

    Args:
        wall_ns: the machine's idea of Unix time, nanoseconds.
        steady_ns: a clock that nobody sets.
    """

    __slots__ = ("_last_ns", "_steady_at_ns", "_steady_ns", "_wall_ns")

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        steady_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._steady_ns = steady_ns
        self._last_ns = wall_ns()
        self._steady_at_ns = steady_ns()

    def now_ns(self) -> int:
        """Unix nanoseconds."""
        steady_ns = self._steady_ns()
        least_ns = self._last_ns + (steady_ns - self._steady_at_ns) // 2
        self._steady_at_ns = steady_ns
        self._last_ns = now_ns = max(self._wall_ns(), least_ns)
        return now_ns


_clock = SteadyClock()


def now_us() -> int:
    """Unix microseconds."""
    return _clock.now_ns() // 1_000


def now_ms() -> int:
    """Unix milliseconds."""
    return _clock.now_ns() // 1_000_000
