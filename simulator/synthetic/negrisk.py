"""Neg-risk events: many outcomes of which exactly one wins. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Final

from simulator.synthetic.binary import DAY_MS, SETTLING_MS
from simulator.synthetic.groups import BasketShape
from simulator.synthetic.listing import EdgeKind, WorldEvent
from simulator.synthetic.moving import Moving
from simulator.synthetic.records import MarketRecord
from simulator.synthetic.shares import apportioned
from simulator.synthetic.stage import Stage
from simulator.synthetic.weights import contested, split_weight
from simulator.synthetic.words import CITIES, contest, slug_of

OTHER: Final = "Other"
UNNAMED: Final = ("Contender A", "Contender B", OTHER)
"""Of augmented events: placeholders and the rest, the last markets of the event."""

LEAST_TICKS: Final = 4
"""No outcome's fair value is below so many ticks, so that every Yes can be offered below it."""


class Contest(Moving):
    """A neg-risk event. Its outcomes' fair values sum to exactly one at every moment.

    Args:
        outcomes: 3 to 30; of an augmented event with its placeholders and Other.
        knockout_s: mean seconds until an outcome is out and resolves No; when three are left, one of them
            wins, and another contest begins. None: nothing is ever decided.
        augmented: outcomes may still be named, as the venue says; then it has placeholders and an Other.
    """

    def __init__(
        self,
        stage: Stage,
        key: str,
        weight: float,
        outcomes: int,
        *,
        opens_ms: int | None = None,
        knockout_s: float | None = None,
        augmented: bool = False,
        number: int = 0,
    ) -> None:
        super().__init__(stage, f"{key}:{number}", weight)
        self._series, self._number, self._outcomes = key, number, outcomes
        self._knockout_s = knockout_s
        self._augmented = augmented
        self._tick_micros = 10_000 if outcomes <= 4 else 1_000
        opens_ms = stage.start_ms - self.random.randint(1, 60) * DAY_MS if opens_ms is None else opens_ms
        unnamed = len(UNNAMED) if augmented else 0
        self._odds = [
            *(self.random.gauss(0.0, 1.2) for _ in range(outcomes - unnamed)),
            *(self.random.gauss(-3.0, 0.3) for _ in range(unnamed)),
        ]
        self._markets = self._listed(opens_ms)
        self._settling = False

    def enter(self, now_ms: int) -> list[WorldEvent]:
        """Opens its markets."""
        self.begin(now_ms)
        if self._knockout_s:
            self._next_knockout(now_ms)
        return self.stage.open(self._markets, self._worth())

    def fairs(self, now_ms: int) -> Mapping[str, int]:
        for place in self.random.sample(range(len(self._odds)), min(3, len(self._odds))):
            self._odds[place] = 0.99 * self._odds[place] + self.random.gauss(0.0, 0.1)
        return self._worth()

    @property
    def kinds(self) -> frozenset[EdgeKind]:
        return frozenset() if self._augmented else frozenset(("negrisk-yes", "negrisk-no"))

    def baskets(self, kind: EdgeKind) -> list[BasketShape]:
        ids = [market.listing.condition_id for market in self._markets]
        # A market that is out and still open belongs to the set until it resolves.
        if self._augmented or self._settling:
            return []
        if kind == "negrisk-yes":
            return [BasketShape(kind, tuple((one, 0) for one in ids), 1)]
        if kind == "negrisk-no":
            return [BasketShape(kind, tuple((one, 1) for one in ids), len(ids) - 1)]
        return []

    def _worth(self) -> dict[str, int]:
        fairs = apportioned([exp(one) for one in self._odds], LEAST_TICKS * self._tick_micros)
        return {market.listing.condition_id: fair for market, fair in zip(self._markets, fairs, strict=True)}

    def _next_knockout(self, now_ms: int) -> None:
        wait_s = self.random.expovariate(1 / self._knockout_s) if self._knockout_s else 0.0
        self.stage.agenda.at(now_ms + 1000 + round(1000 * wait_s), self._knock_out)

    def _knock_out(self, at_ms: int) -> list[WorldEvent]:
        if self.is_frozen(at_ms):
            self.stage.agenda.at(self.stage.frozen_until_ms(self.key) + 1, self._knock_out)
            return []
        if len(self._markets) <= 3:
            return self._decide(at_ms)
        weakest = min(range(len(self._odds)), key=lambda place: (self._odds[place], place))
        out = self._markets.pop(weakest)
        self._odds.pop(weakest)
        out_id = out.listing.condition_id
        self._settling = True
        self.stage.agenda.at(at_ms + SETTLING_MS, lambda due_ms: self._resolve_no(out_id, due_ms))
        return self.stage.move(self.key, {out_id: 0, **self._worth()})

    def _resolve_no(self, condition_id: str, at_ms: int) -> list[WorldEvent]:
        self._settling = False
        self._next_knockout(at_ms)
        return self.stage.resolve(condition_id, 1, at_ms)

    def _decide(self, at_ms: int) -> list[WorldEvent]:
        worth = self._worth()
        winner = self.random.choices(list(worth), weights=list(worth.values()))[0]
        self.end()
        self.stage.agenda.at(at_ms + SETTLING_MS, lambda due_ms: self._resolve(winner, due_ms))
        return self.stage.move(self.key, {one: 1_000_000 * (one == winner) for one in worth})

    def _resolve(self, winner: str, at_ms: int) -> list[WorldEvent]:
        over = [market.listing.condition_id for market in self._markets]
        events = [
            event for one in over for event in self.stage.resolve(one, 0 if one == winner else 1, at_ms)
        ]
        following = Contest(
            self.stage,
            self._series,
            self.weight,
            self._outcomes,
            opens_ms=at_ms,
            knockout_s=self._knockout_s,
            augmented=self._augmented,
            number=self._number + 1,
        )
        return [*events, *following.enter(at_ms)]

    def _listed(self, opens_ms: int) -> list[MarketRecord]:
        told, deed = contest(self.random)
        event = self.stage.event(
            told.slug,
            told.title,
            told.description,
            told.category,
            opens_ms=opens_ms,
            ends_ms=None,
            neg_risk=True,
            augmented=self._augmented,
        )
        unnamed = UNNAMED if self._augmented else ()
        names = [*self.random.sample(CITIES, self._outcomes - len(unnamed)), *unnamed]
        fairs = apportioned([exp(one) for one in self._odds])
        parts = split_weight(self.weight, [contested(fair) for fair in fairs])
        return [
            self.stage.market(
                event,
                self.key,
                f"Will {'another contender' if name == OTHER else name} {deed}?",
                slug_of(f"will {name} {deed}"),
                weight=part,
                tick_micros=self._tick_micros,
                label=name,
                other=name == OTHER,
            )
            for name, part in zip(names, parts, strict=True)
        ]
