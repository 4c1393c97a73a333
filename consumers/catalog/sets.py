"""What the catalog's markets form, family by family (pure)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from consumers.arbitrage.baskets import KINDS, Basket, Formed, Note, components, formed
from consumers.arbitrage.terms import Terms
from consumers.catalog.overrides import Overrides
from marketdata.decimals import to_micros
from marketdata.market import Market


@dataclass(frozen=True, slots=True)
class FamilySet:
    """One family and what its markets form.

    Attributes:
        key: the family's.
        markets: in the order of their strikes, then of their slugs.
        formed: baskets and why others are not.
    """

    key: str
    markets: tuple[Market, ...]
    formed: Formed

    @property
    def events(self) -> list[str]:
        """Slugs of its events."""
        return sorted({one.event_slug for one in self.markets if one.event_slug})

    @property
    def has_left_out(self) -> bool:
        """Whether a market or a set was left out."""
        return bool(self.formed.notes) or any(one.left_out for one in self.markets)

    def kinds(self) -> dict[str, int]:
        """How many baskets of each kind; kinds without any are left out."""
        counts = self.formed.kinds()
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    def why_not(self, market: Market) -> str:
        """Why a market takes no part or less than it could; empty if it does."""
        said = [note.why for note in self.formed.notes if note.group == market.condition_id]
        state = "" if market.tradable else market.state
        return "; ".join(filter(None, (state, market.left_out, *said)))

    def set_notes(self) -> list[Note]:
        """Why sets are not formed; what is said of single markets is in `why_not`."""
        ids = {one.condition_id for one in self.markets}
        return [note for note in self.formed.notes if note.group not in ids]

    def to_dict(self) -> dict[str, Any]:
        """For a line of JSON."""
        first = self.markets[0]
        return {
            "family": self.key,
            "events": self.events,
            "partition": first.partition,
            "asset": first.asset,
            "settlement_source": first.settlement_source,
            "settlement_time": first.settlement_time,
            "baskets": self.kinds(),
            "not_formed": [note.why for note in self.set_notes()],
            "markets": [
                {
                    "market": one.condition_id,
                    "slug": one.slug,
                    "question": one.question,
                    "event": one.event_slug,
                    "kind": one.family_kind,
                    "lower": one.lower,
                    "upper": one.upper,
                    "outcomes": one.outcomes,
                    "tokens": one.tokens,
                    "state": one.state,
                    "left_out": self.why_not(one),
                }
                for one in self.markets
            ],
        }


def terms_in_force(markets: Iterable[Market], overrides: Overrides) -> list[Terms]:
    """The terms of the catalog's records, corrected; those that the file excludes are paused for good."""
    found = []
    for market in overrides.apply(markets):
        terms = Terms.of(market)
        if overrides.excluded(market):
            terms = terms.excluded()
        found.append(terms)
    return sorted(found, key=lambda one: one.condition_id)


def family_sets(markets: Sequence[Market], overrides: Overrides) -> list[FamilySet]:
    """All families, corrected, the largest first. What they form is formed as the engine forms it.

    A basket never reaches beyond one partition. One that reaches over several families (an override has moved a market
    of an event) stands with the family that most of its markets, or else the first of them, belong to.
    """
    corrected = overrides.apply(markets)
    by_family: dict[tuple[str, int], list[Market]] = defaultdict(list)
    family_of: dict[str, tuple[str, int]] = {}
    for market in corrected:
        key = family_of[market.condition_id] = market.family, market.partition
        by_family[key].append(market)
    terms: dict[int, list[Terms]] = defaultdict(list)
    for one in terms_in_force(markets, overrides):
        terms[family_of[one.condition_id][1]].append(one)
    baskets: dict[tuple[str, int], list[Basket]] = defaultdict(list)
    notes: dict[tuple[str, int], list[Note]] = defaultdict(list)
    for partition in sorted(terms):
        for part in components(terms[partition]):
            made = formed(part)
            for basket in made.baskets:
                baskets[_most(family_of[leg.condition_id] for leg in basket.legs)].append(basket)
            for note in made.notes:
                named = [
                    family_of[one.condition_id]
                    for one in part
                    if note.group in (one.condition_id, one.neg_risk_market_id, one.family)
                ]
                notes[_most(named)].append(note)
    sets = [
        FamilySet(
            key[0],
            tuple(sorted(some, key=_place)),
            Formed(tuple(baskets.get(key, ())), tuple(notes.get(key, ()))),
        )
        for key, some in by_family.items()
    ]
    return sorted(sets, key=lambda one: (-len(one.markets), one.key))


def _most(families: Iterable[tuple[str, int]]) -> tuple[str, int]:
    counts = Counter(families)
    return min(counts, key=lambda one: (-counts[one], one))


def _place(market: Market) -> tuple[str, int, int, str]:
    low = to_micros(market.lower) if market.lower else -1
    high = to_micros(market.upper) if market.upper else 0
    return market.family_kind, low, high, market.slug
