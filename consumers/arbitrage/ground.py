"""What an engine stands on: the legs and baskets of one partition, made from the terms of its markets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from consumers.arbitrage.baskets import Basket, Formed, components, formed
from consumers.arbitrage.evaluate import Limits, Live
from consumers.arbitrage.legs import Leg
from consumers.arbitrage.terms import Terms
from marketdata.decimals import to_micros
from marketdata.market import Winner


class Change(NamedTuple):
    """What a new ground has other than the one before.

    Attributes:
        fresh: baskets that are new, or whose legs are subject to other terms.
        gone: open ones that are no basket any more.
        legs: that are gone.
    """

    fresh: list[Live]
    gone: list[Live]
    legs: list[Leg]


class Ground:
    """Legs and baskets.

    Attributes:
        legs: by token.
        pairs: both legs of a market, by condition id.
        lives: baskets by id, in that order.
    """

    def __init__(self, limits: Limits) -> None:
        self.legs: dict[str, Leg] = {}
        self.pairs: dict[str, tuple[Leg, Leg]] = {}
        self.lives: dict[str, Live] = {}
        self._limits = limits
        self._cache: dict[tuple[Terms, ...], Formed] = {}

    def form(self, terms: Iterable[Terms], ended: Mapping[str, Winner]) -> Change:
        """Makes it anew; what stays as it was keeps its state.

        Args:
            ended: how markets ended, as their streams told; believed before the terms.
        """
        now = [
            replace(one, state="resolved", winner=ended[one.condition_id], told=False)
            if one.condition_id in ended
            else one
            for one in terms
        ]
        altered, legs = self._link_legs(now)
        before, self.lives = self.lives, {}
        fresh: list[Live] = []
        for basket in self._baskets(now):
            live = Live(basket, tuple(self.legs[leg.token] for leg in basket.legs), self._limits)
            old = before.get(basket.basket_id)
            if old is not None and old.basket == basket:
                live.opening = old.opening
            if old is None or old.basket != basket or not altered.isdisjoint(live.legs):
                fresh.append(live)
            self.lives[basket.basket_id] = live
            for leg in live.legs:
                leg.baskets.append(live)
        gone = [
            old
            for name, old in before.items()
            if old.opening is not None and ((kept := self.lives.get(name)) is None or kept.opening is None)
        ]
        return Change(fresh, gone, legs)

    def legs_of(self, condition_id: str, outcome: int | None) -> tuple[Leg, ...]:
        """The leg of an outcome, or both; none for a market that is not known."""
        pair = self.pairs.get(condition_id)
        if pair is None:
            return ()
        return pair if outcome is None else (pair[outcome],)

    @staticmethod
    def reckon(leg: Leg) -> list[Live]:
        """Takes a change of a leg over into the totals of its baskets, and gives these."""
        unit, usable = leg.unit, leg.usable
        leg.reckon()
        more, missing = leg.unit - unit, usable - leg.usable
        if more or missing:
            for live in leg.baskets:
                live.total += more
                live.missing += missing
        return leg.baskets

    def _baskets(self, terms: list[Terms]) -> list[Basket]:
        cache, self._cache = self._cache, {}
        found: list[Basket] = []
        for part in components(terms):
            self._cache[part] = made = cache.get(part) or formed(part)
            found += made.baskets
        return sorted(found, key=lambda one: one.basket_id)

    def _link_legs(self, terms: Iterable[Terms]) -> tuple[set[Leg], list[Leg]]:
        """Legs that are subject to other terms now, and those that are gone."""
        legs: dict[str, Leg] = {}
        altered: set[Leg] = set()
        self.pairs = {}
        for one in terms:
            first, second = (
                self.legs.get(token) or Leg(token, one.condition_id, outcome)
                for outcome, token in enumerate(one.tokens)
            )
            self.pairs[one.condition_id] = first, second
            for leg in (first, second):
                leg.baskets = []
                legs[leg.token] = leg
                if one.refusal():
                    continue
                given = one.fee_terms(), to_micros(one.min_order_size or "0")
                if given != (leg.fees, leg.min_order_micros):
                    leg.subject_to(*given)
                    altered.add(leg)
        gone = [leg for token, leg in self.legs.items() if token not in legs]
        self.legs = legs
        return altered, gone
