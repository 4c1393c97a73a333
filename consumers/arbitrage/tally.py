"""What one run of the engine handled, told, and how soon."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

from consumers.arbitrage.judge import Found

WRITES_KEPT: Final = 1_000


class Tally:
    """What this run handled.

    Attributes:
        entries, opened: how many.
    """

    def __init__(self) -> None:
        self.entries = 0
        self.opened = 0
        self._write_us: deque[int] = deque(maxlen=WRITES_KEPT)

    def add(self, entries: int, found: Sequence[Found], received_us: Iterable[int]) -> None:
        """Counts a batch that was committed now.

        Args:
            received_us: of each entry that made the engine tell something, Unix microseconds.
        """
        self.entries += entries
        self.opened += sum(one.opportunity.action == "open" for one in found)
        now_us = time.time_ns() // 1_000
        self._write_us += [now_us - one for one in received_us]

    def facts(self) -> dict[str, Any]:
        """What the member's record says besides: counts, and `write_ms` of the last opportunities."""
        taken = sorted(self._write_us)
        write_ms = {
            name: round(taken[len(taken) * percent // 100] / 1000, 2)
            for name, percent in (("p50", 50), ("p99", 99))
            if taken
        }
        return {"handled": self.entries, "opened": self.opened, "write_ms": write_ms}
