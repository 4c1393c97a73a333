"""Markets that stand alone: open questions without an end, and games that are over soon. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Final, Literal

from simulator.synthetic.listing import WorldEvent
from simulator.synthetic.moving import Moving
from simulator.synthetic.records import MarketRecord
from simulator.synthetic.shares import grained, logistic, normal_cdf
from simulator.synthetic.stage import Stage
from simulator.synthetic.words import match, yes_or_no

DAY_MS: Final = 86_400_000
SETTLING_MS: Final = 4_000
"""Between a market's end, from which its fair value is certain, and its resolution."""

LEAST_FAIR_MICROS: Final = 5_000


class Question(Moving):
    """A binary market whose log-odds wander, and are drawn back towards where they began."""

    def __init__(self, stage: Stage, key: str, weight: float) -> None:
        super().__init__(stage, key, weight)
        self._home = self.random.gauss(0.0, 1.6)
        self._odds = self._home
        self._market = self._listed()
        self._id = self._market.listing.condition_id

    def enter(self, now_ms: int) -> list[WorldEvent]:
        """Opens its market."""
        self.begin(now_ms)
        return self.stage.open([self._market], {self._id: self._fair()})

    def fairs(self, now_ms: int) -> Mapping[str, int]:
        self._odds += 0.02 * (self._home - self._odds) + self.random.gauss(0.0, 0.08)
        return {self._id: self._fair()}

    def _fair(self) -> int:
        return grained(logistic(self._odds), LEAST_FAIR_MICROS)

    def _listed(self) -> MarketRecord:
        ends_ms = self.stage.start_ms + self.random.randint(20, 400) * DAY_MS
        told = yes_or_no(self.random, ends_ms)
        opens_ms = self.stage.start_ms - self.random.randint(1, 90) * DAY_MS
        event = self.stage.event(
            told.slug, told.title, told.description, told.category, opens_ms=opens_ms, ends_ms=ends_ms
        )
        tick_micros = 1_000 if self.random.random() < 0.3 else 10_000
        return self.stage.market(
            event, self.key, told.title, told.slug, weight=self.weight, tick_micros=tick_micros
        )


class Game(Moving):
    """A binary market on who is ahead at the end; the next game is listed when it is over.

    The lead is a random walk, so the fair value is a martingale that ends at 0 or 1.
    """

    def __init__(self, stage: Stage, key: str, weight: float, opens_ms: int, number: int = 0) -> None:
        super().__init__(stage, f"{key}:{number}", weight)
        self._series, self._number = key, number
        self._ends_ms = opens_ms + self.random.randint(4 * 60, 25 * 60) * 1000
        self._lead = 0.0
        self._seen_ms = opens_ms
        told = match(self.random, self._ends_ms)
        event = stage.event(
            told.slug,
            told.title,
            told.description,
            told.category,
            opens_ms=opens_ms,
            ends_ms=self._ends_ms,
            starts_ms=opens_ms,
        )
        self._market = stage.market(event, self.key, told.title, told.slug, weight=weight, tick_micros=10_000)
        self._id = self._market.listing.condition_id

    @property
    def busy_from_ms(self) -> int:
        return self._ends_ms

    def enter(self, now_ms: int) -> list[WorldEvent]:
        """Opens its market."""
        self.begin(now_ms)
        self.stage.agenda.at(self._ends_ms, self._finish)
        return self.stage.open([self._market], {self._id: 500_000})

    def fairs(self, now_ms: int) -> Mapping[str, int]:
        now_ms = min(now_ms, self._ends_ms)
        passed_ms, self._seen_ms = now_ms - self._seen_ms, now_ms
        self._lead += self.random.gauss(0.0, sqrt(passed_ms))
        left_ms = self._ends_ms - now_ms
        if left_ms <= 0:
            return {self._id: 1_000_000 if self._lead > 0 else 0}
        return {self._id: grained(normal_cdf(self._lead / sqrt(left_ms)))}

    def _finish(self, at_ms: int) -> list[WorldEvent]:
        certain = self.stage.move(self.key, self.fairs(at_ms))
        self.end()
        self.stage.agenda.at(at_ms + SETTLING_MS, self._resolve)
        return certain

    def _resolve(self, at_ms: int) -> list[WorldEvent]:
        winner: Literal[0, 1] = 0 if self._lead > 0 else 1
        following = Game(self.stage, self._series, self.weight, at_ms, self._number + 1)
        return [*self.stage.resolve(self._id, winner, at_ms), *following.enter(at_ms)]
