"""Latencies of about the last minute, in buckets that grow by a tenth: constant memory, good to 10 % (pure)."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

_BOUNDS_US: Final = [int(10 * 1.1**step) for step in range(170)]
"""From 10 microseconds to a good 100 seconds."""

WINDOW_S: Final = 30.0
"""Two windows are kept, the one that fills and the one before: what is told is of the last 30 to 60 seconds."""


class Latencies:
    """A histogram of microseconds.

    Attributes:
        count: since the beginning.

    Args:
        clock: seconds, monotonic.
    """

    __slots__ = ("_before", "_began_s", "_clock", "_counts", "count")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._counts = _empty()
        self._before = _empty()
        self.count = 0

    def add(self, latency_us: int) -> None:
        """Counts one of now."""
        if self._clock() - self._began_s >= WINDOW_S:
            self._turn()
        self._counts[bisect_left(_BOUNDS_US, latency_us)] += 1
        self.count += 1

    def percentile_ms(self, percent: float) -> float:
        """The upper bound of the bucket that holds the percentile, milliseconds; 0 without data."""
        self._turn()
        counts = [old + new for old, new in zip(self._before, self._counts, strict=True)]
        kept = sum(counts)
        wanted = kept * percent / 100
        seen = 0
        for bound, count in zip(_BOUNDS_US, counts, strict=False):
            seen += count
            if seen >= wanted and seen:
                return bound / 1000
        return _BOUNDS_US[-1] / 1000 if kept else 0.0

    def _turn(self) -> None:
        windows = int((self._clock() - self._began_s) / WINDOW_S)
        if windows:
            self._before = self._counts if windows == 1 else _empty()
            self._counts = _empty()
            self._began_s += windows * WINDOW_S


def _empty() -> list[int]:
    return [0] * (len(_BOUNDS_US) + 1)
