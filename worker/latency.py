"""Latencies in buckets that grow by a tenth: constant memory, percentiles good to 10 % (pure)."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

_BOUNDS_US: Final = [int(10 * 1.1**step) for step in range(170)]
"""From 10 microseconds to a good 100 seconds."""


class Latencies:
    """A histogram of microseconds."""

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS_US) + 1)
        self.count = 0

    def add(self, latency_us: int) -> None:
        self._counts[bisect_left(_BOUNDS_US, latency_us)] += 1
        self.count += 1

    def percentile_ms(self, percent: float) -> float:
        """The upper bound of the bucket that holds the percentile, milliseconds; 0 without data."""
        wanted = self.count * percent / 100
        seen = 0
        for bound, count in zip(_BOUNDS_US, self._counts, strict=False):
            seen += count
            if seen >= wanted and seen:
                return bound / 1000
        return _BOUNDS_US[-1] / 1000 if self.count else 0.0
