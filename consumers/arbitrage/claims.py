"""What was told, held against the gaps that came later. Pure.

A gap says that from its start on updates of a token may be missing. What was told between that start and the gap's own
entry stood on a top that nobody should have trusted, though no reader could know it then.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from consumers.arbitrage.judge import IDS_A_TRIGGER
from consumers.arbitrage.opportunity import Opportunity
from marketdata.decimals import from_micros
from marketdata.entries import EntryId

NOT_KEPT: Final = "not kept"
"""The cause where the close tells of the doubt and the gap itself was trimmed since."""

Leg = tuple[str, int]
"""Condition id and outcome."""


@dataclass(slots=True, eq=False)
class Claim:
    """One opportunity, from its opening to its close.

    Attributes:
        legs: what it buys.
        opened, told: the entries that caused its opening, and that it was told last before its close.
        is_whole: whether `told` is known: not if only the close is kept.
        best_net_micros: the most that it offered.
        cause: of the first gap that disproved it; empty if none did.
    """

    legs: tuple[Leg, ...]
    opened: EntryId
    told: EntryId
    is_whole: bool
    best_net_micros: int
    cause: str = ""


class Claims:
    """The opportunities of one partition.

    Attributes:
        all: in the order in which they were told first.
    """

    def __init__(self) -> None:
        self.all: list[Claim] = []
        self._open: dict[str, Claim] = {}
        self._legs: dict[tuple[Leg, ...], tuple[Leg, ...]] = {}
        self._by_leg: dict[Leg, list[tuple[EntryId, Claim]]] = {}

    def add(self, at: EntryId, found: Opportunity) -> None:
        """Takes one entry, in the order of their ids."""
        claim = self._open.get(found.basket_id)
        if claim is None:
            claim = self._begun(at, found)
            self.all.append(claim)
        if found.action == "close":
            self._open.pop(found.basket_id, None)
            claim.best_net_micros = found.best_net_micros or 0
            if found.doubted_since_ms is not None:
                claim.cause = NOT_KEPT
            return
        self._open[found.basket_id] = claim
        claim.told = _trigger(at)
        claim.best_net_micros = max(claim.best_net_micros, found.net_micros)

    def _begun(self, at: EntryId, found: Opportunity) -> Claim:
        legs = tuple((leg.market, leg.outcome) for leg in found.legs)
        opened = _trigger(EntryId.parse(found.opened) if found.opened else at)
        # Most baskets open again and again.
        return Claim(self._legs.setdefault(legs, legs), opened, opened, found.action != "close", 0)

    def since(self) -> dict[str, EntryId]:
        """The markets of all legs, and from which entry on their gaps matter."""
        found: dict[str, EntryId] = {}
        for claim in self.all:
            for market, _ in claim.legs:
                found[market] = min(found.get(market, claim.opened), claim.opened)
        return found

    def gap(self, at: EntryId, market: str, outcome: int | None, start_ms: int, cause: str) -> None:
        """Takes a gap of a leg's stream, in the order of their ids; all opportunities are known by then.

        Args:
            start_ms: since when updates may be missing, Unix milliseconds.
        """
        for leg in [(market, one) for one in (0, 1) if outcome in (None, one)]:
            moments = self._moments(leg)
            first = bisect_right(moments, start_ms, key=_ms)
            for _, claim in moments[first : bisect_left(moments, at, key=itemgetter(0))]:
                if claim.cause in ("", NOT_KEPT):
                    claim.cause = cause

    def _moments(self, leg: Leg) -> Sequence[tuple[EntryId, Claim]]:
        """At which its quote was told, in their order."""
        if not self._by_leg:
            by_leg: defaultdict[Leg, list[tuple[EntryId, Claim]]] = defaultdict(list)
            for claim in self.all:
                for one in claim.legs:
                    by_leg[one] += [(at, claim) for at in {claim.opened, claim.told}]
            for moments in by_leg.values():
                moments.sort(key=itemgetter(0))
            self._by_leg = by_leg
        return self._by_leg.get(leg, ())


@dataclass(slots=True)
class Sum:
    """How many opportunities, and what they offered at best in millionths of a dollar."""

    opened: int = 0
    net_micros: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON; money as a decimal string."""
        return {"opened": self.opened, "net": from_micros(self.net_micros)}


@dataclass(slots=True)
class Verdict:
    """What has become of opportunities.

    Attributes:
        disproved: a gap that came later began before they were told.
        unknown: none of the gaps that are kept did, but some may have been trimmed.
        standing: none did.
        causes: of gaps that disproved some.
    """

    disproved: Sum = field(default_factory=Sum)
    unknown: Sum = field(default_factory=Sum)
    standing: Sum = field(default_factory=Sum)
    causes: Counter[str] = field(default_factory=Counter)

    def add(self, claims: Iterable[Claim], kept_from: Mapping[str, EntryId]) -> None:
        """Takes those of a partition, after all gaps that are kept.

        Args:
            kept_from: the first entry that each market's stream still holds; a market without one has no stream.
        """
        for claim in claims:
            sum_of = self.standing
            if claim.cause:
                self.causes[claim.cause] += 1
                sum_of = self.disproved
            elif not claim.is_whole or not all(
                market in kept_from and kept_from[market] <= claim.opened for market, _ in claim.legs
            ):
                sum_of = self.unknown
            sum_of.opened += 1
            sum_of.net_micros += claim.best_net_micros

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "disproved": self.disproved.to_dict() | {"by_cause": dict(sorted(self.causes.items()))},
            "cannot_be_known": self.unknown.to_dict(),
            "standing": self.standing.to_dict(),
        }


def _trigger(at: EntryId) -> EntryId:
    """The entry that caused this one of `opportunities:{P}`."""
    return EntryId(at.ms, at.n // IDS_A_TRIGGER)


def _ms(moment: tuple[EntryId, Claim]) -> int:
    return moment[0].ms
