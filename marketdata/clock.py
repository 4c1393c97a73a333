"""The wall clock, read in one place."""

import time


def now_us() -> int:
    """Unix microseconds."""
    return time.time_ns() // 1_000


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000
