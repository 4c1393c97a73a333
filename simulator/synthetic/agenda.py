"""What happens when: actions in the order of their time, however time is cut into calls. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Final

from simulator.synthetic.listing import WorldEvent

Action = Callable[[int], Iterable[WorldEvent]]
"""Gets the time it was due at, Unix milliseconds; its events are what the exchange is told."""

NEVER: Final = 1 << 62


class Agenda:
    """Actions by due time; those of one time in the order in which they were put down."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action]] = []
        self._serial = 0

    def at(self, due_ms: int, action: Action) -> None:
        """Puts an action down. One that is due in the past comes next."""
        self._serial += 1
        heapq.heappush(self._heap, (due_ms, self._serial, action))

    def next_ms(self) -> int:
        """When the next action is due; `NEVER` where there is none."""
        return self._heap[0][0] if self._heap else NEVER

    def run(self, now_ms: int) -> list[WorldEvent]:
        """Runs what is due up to and including `now_ms`, also what is put down meanwhile."""
        events: list[WorldEvent] = []
        while self._heap and self._heap[0][0] <= now_ms:
            due_ms, _, action = heapq.heappop(self._heap)
            events.extend(action(due_ms))
        return events
