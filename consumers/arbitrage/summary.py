"""What all opportunities of a time come to: kinds, durations, sizes, profit (pure)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from consumers.arbitrage.baskets import KINDS
from consumers.arbitrage.opportunity import Opportunity, hundredths
from marketdata.decimals import from_micros
from marketdata.entries import EntryId

KEPT: Final = 1_000_000
"""Closed opportunities of a kind whose durations and sizes are kept; what comes later is counted and summed."""


@dataclass(slots=True)
class OfKind:
    """What is known of one kind.

    Attributes:
        opened, updated, closed: how many.
        reasons: of closes.
        durations_ms, sizes_micros: of those that closed.
        best_net_micros: the sum over opportunities of the most that each offered.
        most_bps_hundredths: of any.
        strict: how many of the opened pay in ties, too.
    """

    opened: int = 0
    updated: int = 0
    closed: int = 0
    strict: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    durations_ms: list[int] = field(default_factory=list)
    sizes_micros: list[int] = field(default_factory=list)
    best_net_micros: int = 0
    most_bps_hundredths: int = 0


class Summary:
    """Takes opportunities in the order of their ids, partition by partition."""

    def __init__(self) -> None:
        self.first: EntryId | None = None
        self.last: EntryId | None = None
        self.kinds: defaultdict[str, OfKind] = defaultdict(OfKind)
        self._open: dict[str, tuple[str, int]] = {}

    def add(self, at: EntryId, found: Opportunity) -> None:
        """Takes one."""
        self.first = min(self.first or at, at)
        self.last = max(self.last or at, at)
        kind = self.kinds[found.kind]
        if found.action == "close":
            self._open.pop(found.basket_id, None)
            kind.closed += 1
            kind.reasons[found.reason] += 1
            kind.best_net_micros += found.best_net_micros or 0
            if len(kind.durations_ms) < KEPT:
                kind.durations_ms.append(found.duration_ms or 0)
                kind.sizes_micros.append(found.size_micros)
            return
        kind.most_bps_hundredths = max(kind.most_bps_hundredths, found.bps_hundredths)
        if found.action == "open":
            kind.opened += 1
            kind.strict += not found.ties
        else:
            kind.updated += 1
        best = self._open.get(found.basket_id, ("", 0))[1] if found.action == "update" else 0
        self._open[found.basket_id] = found.kind, max(best, found.net_micros)

    @property
    def still_open(self) -> int:
        """Opportunities that have not closed."""
        return len(self._open)

    @property
    def opened(self) -> int:
        """Opportunities in all."""
        return sum(kind.opened for kind in self.kinds.values())

    def net_micros(self, name: str) -> int:
        """Of a kind: the best net profit of each opportunity, summed, open ones included."""
        open_now = sum(best for kind, best in self._open.values() if kind == name)
        return self.kinds[name].best_net_micros + open_now

    def to_dict(self) -> dict[str, Any]:
        """The whole as one JSON object; money, sizes and bps are decimal strings."""
        return {
            "from": str(self.first) if self.first else None,
            "to": str(self.last) if self.last else None,
            "opened": self.opened,
            "still_open": self.still_open,
            "net": from_micros(sum(self.net_micros(name) for name in list(self.kinds))),
            "kinds": {name: self._row(name) for name in KINDS if name in self.kinds},
        }

    def _row(self, name: str) -> Mapping[str, Any]:
        kind = self.kinds[name]
        sizes = quantiles(kind.sizes_micros)
        return {
            "opened": kind.opened,
            "strict": kind.strict,
            "updated": kind.updated,
            "closed": kind.closed,
            "closed_by": dict(sorted(kind.reasons.items())),
            "duration_ms": quantiles(kind.durations_ms),
            "size": {name: from_micros(size) for name, size in sizes.items()},
            "most_bps": hundredths(kind.most_bps_hundredths),
            "net": from_micros(self.net_micros(name)),
        }


def quantiles(values: Sequence[int]) -> dict[str, int]:
    """Median, 95th percentile and maximum; empty where there are no values."""
    if not values:
        return {}
    ordered = sorted(values)
    at = {"p50": len(ordered) // 2, "p95": len(ordered) * 95 // 100, "max": len(ordered) - 1}
    return {name: ordered[place] for name, place in at.items()}
