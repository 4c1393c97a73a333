"""Which opportunities are open, and which were closed lately (pure)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from consumers.dashboard.found import Found

CLOSED_KEPT: Final = 200


@dataclass(slots=True)
class Opportunity:
    """One opportunity.

    Attributes:
        opened_ms: time of the entry that opened it.
        newest: its last entry.
        last_priced: its last entry that tells what it is worth: a close may not.
    """

    opened_ms: int
    newest: Found
    last_priced: Found

    @property
    def key(self) -> str:
        """Of the row."""
        return f"{self.newest.basket}@{self.opened_ms}"

    @property
    def lasted_ms(self) -> int:
        """From open to close, or to the newest entry."""
        if self.newest.duration_ms is not None:
            return self.newest.duration_ms
        return max(self.newest.id.ms - self.opened_ms, 0)


class Opportunities:
    """Follows open, update and close of each basket."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, str], Opportunity] = {}
        self._closed: deque[Opportunity] = deque(maxlen=CLOSED_KEPT)
        self.seen = 0

    def take(self, found: Iterable[Found]) -> None:
        """Takes new entries, in order."""
        for one in found:
            self.seen += 1
            key = (one.partition, one.basket)
            if one.action == "close":
                opened_ms = one.id.ms - (one.duration_ms or 0)
                before = self._open.pop(key, None) or Opportunity(opened_ms, one, one)
                before.newest = one
                if one.legs:
                    before.last_priced = one
                self._closed.append(before)
            elif key in self._open:
                self._open[key].newest = self._open[key].last_priced = one
            else:
                opened_ms = one.id.ms if one.opened_ms is None else one.opened_ms
                self._open[key] = Opportunity(opened_ms, one, one)

    @property
    def open(self) -> list[Opportunity]:
        """Newest first."""
        return sorted(self._open.values(), key=lambda one: (-one.opened_ms, one.newest.basket))

    @property
    def closed(self) -> list[Opportunity]:
        """Closed last first."""
        return list(reversed(self._closed))
