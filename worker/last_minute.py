"""What arrived and what was lost lately, sampled once a second: what a sudden silence is judged by (pure)."""

from __future__ import annotations

from collections import deque
from typing import Final, TypedDict

MINUTE_S: Final = 60


class Received(TypedDict):
    """What `worker:ID` tells as `received`.

    A silence is measured in looks that found nothing new, not by the clock: a worker that was held up itself must
    not take that for a silence of the venue.
    """

    silent_s: int
    """For how long nothing has arrived, on any connection; a PONG is nothing."""
    seconds: int
    """How long the stretch before that is, at most a minute."""
    busy_seconds: int
    """In how many of its seconds something arrived."""
    messages: int
    """How many it brought in all."""


class LastMinute:
    """Takes counters once a second. What is usual is kept while nothing arrives."""

    def __init__(self) -> None:
        self._arrived: deque[int] = deque(maxlen=MINUTE_S)
        self._silent_s = 0
        self._messages: int | None = None
        self._gaps: deque[int] = deque([0], maxlen=MINUTE_S + 1)

    def tick(self, messages: int, gaps: int) -> None:
        """One second passed.

        Args:
            messages: of books and trades that arrived since the worker started.
            gaps: written since then, less the planned ones.
        """
        self._gaps.append(gaps)
        before, self._messages = self._messages, messages
        fresh = messages - before if before is not None else 0
        if fresh > 0:
            self._arrived.extend([0] * min(self._silent_s, MINUTE_S))
            self._arrived.append(fresh)
            self._silent_s = 0
        elif self._arrived:
            self._silent_s += 1

    @property
    def gaps(self) -> int:
        """In the last minute."""
        return self._gaps[-1] - self._gaps[0]

    @property
    def received(self) -> Received:
        """As of the last tick."""
        return {
            "silent_s": self._silent_s,
            "seconds": len(self._arrived),
            "busy_seconds": sum(count > 0 for count in self._arrived),
            "messages": sum(self._arrived),
        }
