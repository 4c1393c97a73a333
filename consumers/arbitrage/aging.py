"""When a leg of what is open has a top that is too old. Pure."""

from __future__ import annotations

import heapq
from typing import Final

NOT_SOON_MS: Final = 2**63


class Aging:
    """Names, each with a time before which it need not be looked at again.

    A top that is replaced only makes its basket younger, so a time that is known is right or too early, never too
    late, and one a name is enough.

    Args:
        max_top_age_ms: 0: no top is too old.

    Attributes:
        next_ms: behind this time one of them may have a top that is too old, not before.
    """

    def __init__(self, max_top_age_ms: int) -> None:
        self.next_ms = NOT_SOON_MS
        self._max_top_age_ms = max_top_age_ms
        self._watched: set[str] = set()
        self._heap: list[tuple[int, str]] = []

    def watch(self, name: str, oldest_top_ms: int) -> None:
        """Until `due` gives it."""
        if self._max_top_age_ms and name not in self._watched:
            self._watched.add(name)
            heapq.heappush(self._heap, (oldest_top_ms + self._max_top_age_ms, name))
            self.next_ms = self._heap[0][0]

    def due(self, now_ms: int) -> list[str]:
        """Those whose time has come, in the order of their names."""
        found: list[str] = []
        while self._heap and self._heap[0][0] < now_ms:
            found.append(heapq.heappop(self._heap)[1])
        self._watched.difference_update(found)
        self.next_ms = self._heap[0][0] if self._heap else NOT_SOON_MS
        # A restart knows later times than a life without one; the order of those that close now must not depend on it.
        return sorted(found)
