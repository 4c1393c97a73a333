"""Planted arbitrage: now and then all legs of a basket are offered below their fair values. Pure.

There is no `complement` among them. A market's two tokens are two views of one book, so Yes and No can cost
less than 1 together only where bid and ask of that book cross, and an exchange matches those. Who sees one has
a wrong book; a venue that lies about its books is a fault, not an edge.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from marketdata.decimals import MICROS
from simulator.synthetic.groups import BasketShape, Group
from simulator.synthetic.listing import Edge, EdgeKind, EdgeLeg, Quote, Side, Withdrawn, WorldEvent
from simulator.synthetic.pricing import LegTerms, Priced, priced_basket
from simulator.synthetic.stage import Stage

KINDS: Final[tuple[EdgeKind, ...]] = ("trio", "negrisk-yes", "ladder", "negrisk-no", "reverse-trio")

MOST_PER_MINUTE: Final = 6_000
LIFE_MS: Final = (500, 10_000)
PROFIT_BPS: Final = (20, 200)
SIZE_SHARES: Final = (20, 400)
KEPT: Final = 5_000
"""Edges that are remembered."""

_RETRY_MS: Final = 200
_LATE_MS: Final = 60_000
_SIZE_STEP_MICROS: Final = 10_000
_GROUPS_TRIED: Final = 8
_BASKETS_TRIED: Final = 8


class Planter:
    """Plants edges, one a group at a time, of the kind that was planted longest ago if it can be had.

    While an edge lives its group's fair values stand still, so that nothing but the edge's own end changes it.

    Args:
        stage: where the groups are.
        per_minute: how many; 0: none. Each needs a group to itself: with fewer groups they live shorter, and
            below the shortest life they come later than planned.

    Raises:
        ValueError: a negative number, or more than MOST_PER_MINUTE.
    """

    def __init__(self, stage: Stage, per_minute: float) -> None:
        if not 0 <= per_minute <= MOST_PER_MINUTE:
            raise ValueError(f"edges per minute must be 0 to {MOST_PER_MINUTE}, not {per_minute}")
        self._stage = stage
        self._random = stage.random("edges")
        self._per_ms = per_minute / 60_000
        self._planned_ms = float(stage.start_ms)
        self._kinds = list(KINDS)
        self._edges: deque[Edge] = deque(maxlen=KEPT)
        self._serial = 0
        if per_minute:
            self._schedule(stage.start_ms)

    def edges(self) -> list[Edge]:
        """Live ones and the latest of the others, in the order of their beginning."""
        return list(self._edges)

    def _schedule(self, now_ms: int) -> None:
        planned_ms = self._planned_ms + self._random.expovariate(self._per_ms)
        self._planned_ms = max(planned_ms, now_ms - _LATE_MS)
        self._stage.agenda.at(max(round(self._planned_ms), now_ms + 1), self._plant)

    def _plant(self, now_ms: int) -> list[WorldEvent]:
        groups = [group for group in self._stage.groups.values() if group.kinds]
        free = [group for group in groups if self._stage.frozen_until_ms(group.key) < now_ms]
        until_ms = now_ms + self._life_ms(len(groups))
        for kind in self._kinds:
            if found := self._found(kind, free, until_ms):
                group, shape, legs, priced = found
                self._kinds.remove(kind)
                self._kinds.append(kind)
                self._schedule(now_ms)
                return self._begin(group, shape, legs, priced, now_ms, until_ms)
        self._stage.agenda.at(now_ms + _RETRY_MS, self._plant)
        return []

    def _life_ms(self, groups: int) -> int:
        """As long as leaves about half of the groups free."""
        shortest, longest = LIFE_MS
        return round(self._random.uniform(shortest, min(max(groups / self._per_ms, shortest), longest)))

    def _found(
        self, kind: EdgeKind, free: list[Group], until_ms: int
    ) -> tuple[Group, BasketShape, list[LegTerms], Priced] | None:
        able = [group for group in free if kind in group.kinds and until_ms < group.busy_from_ms]
        for group in self._random.sample(able, min(len(able), _GROUPS_TRIED)):
            shapes = group.baskets(kind)
            for shape in self._random.sample(shapes, min(len(shapes), _BASKETS_TRIED)):
                legs = self._terms(shape)
                least_bps = self._random.randint(*PROFIT_BPS)
                if priced := priced_basket(legs, shape.payout, least_bps, self._random):
                    return group, shape, legs, priced
        return None

    def _terms(self, shape: BasketShape) -> list[LegTerms]:
        shares = round(self._random.uniform(*SIZE_SHARES))
        terms = []
        for condition_id, outcome in shape.legs:
            listing, fair = self._stage.listing(condition_id), self._stage.fairs[condition_id]
            size = round(shares * self._random.uniform(1.0, 1.6) * MICROS)
            terms.append(
                LegTerms(
                    fair_micros=MICROS - fair if outcome else fair,
                    tick_micros=listing.tick_micros,
                    size_micros=size // _SIZE_STEP_MICROS * _SIZE_STEP_MICROS,
                    fee_rate=listing.fee_rate,
                    fee_exponent=listing.fee_exponent,
                )
            )
        return terms

    def _begin(
        self,
        group: Group,
        shape: BasketShape,
        terms: list[LegTerms],
        priced: Priced,
        now_ms: int,
        until_ms: int,
    ) -> list[WorldEvent]:
        self._serial += 1
        legs = [
            EdgeLeg(
                condition_id,
                self._stage.listing(condition_id).tokens[outcome],
                outcome,
                price,
                term.size_micros,
            )
            for (condition_id, outcome), price, term in zip(
                shape.legs, priced.prices_micros, terms, strict=True
            )
        ]
        edge = Edge(
            edge_id=self._serial,
            kind=shape.kind,
            group=group.key,
            legs=tuple(sorted(legs, key=lambda leg: leg.token)),
            from_ms=now_ms,
            until_ms=until_ms,
            size_micros=priced.size_micros,
            payout_micros=shape.payout * MICROS,
            cost_micros=priced.cost_micros,
            fees_micros=priced.fees_micros,
            net_micros=priced.net_micros,
        )
        self._edges.append(edge)
        self._stage.freeze(group.key, until_ms)
        self._stage.agenda.at(until_ms, lambda _due_ms: _withdrawn(edge))
        return [
            Quote(edge.edge_id, leg.condition_id, *_as_quoted(leg), leg.size_micros, until_ms)
            for leg in edge.legs
        ]


def _withdrawn(edge: Edge) -> Iterable[WorldEvent]:
    return [Withdrawn(edge.edge_id, leg.condition_id, *_as_quoted(leg)) for leg in edge.legs]


def _as_quoted(leg: EdgeLeg) -> tuple[Side, int]:
    """Side and price in terms of outcome 0: an ask on outcome 1 is a bid there."""
    return ("BUY", MICROS - leg.price_micros) if leg.outcome else ("SELL", leg.price_micros)
