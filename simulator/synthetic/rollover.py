"""Short up-or-down markets: each is listed a period ahead, runs, and resolves while the next one runs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Final, Literal

from simulator.synthetic.binary import SETTLING_MS
from simulator.synthetic.categories import CRYPTO
from simulator.synthetic.listing import WorldEvent
from simulator.synthetic.moving import Moving
from simulator.synthetic.shares import grained, normal_cdf
from simulator.synthetic.stage import Stage
from simulator.synthetic.walks import Walk
from simulator.synthetic.words import clock, day

TICK_MICROS: Final = 10_000
LISTED_AT_ONCE: Final = 2
"""The running market and the next one."""

_RULES: Final = (
    'This market will resolve to "Up" if the {name} price at the end of the time range specified in the title '
    "is greater than or equal to the price at the beginning of that range. Otherwise, it will resolve to "
    '"Down".\nThe resolution source for this market is information from Chainlink, specifically the {feed} '
    "data stream."
)


class UpDown(Moving):
    """One market of a series.

    Args:
        walk: the asset's price.
        starts_ms, period_ms: the time range; starts are multiples of the period.
        opens_ms: when it is listed.
    """

    def __init__(
        self, stage: Stage, walk: Walk, weight: float, starts_ms: int, period_ms: int, opens_ms: int
    ) -> None:
        words = period_words(period_ms)
        super().__init__(stage, f"updown:{walk.asset.symbol}:{words}:{starts_ms}", weight)
        self._walk, self._period_ms = walk, period_ms
        self._starts_ms, self._ends_ms = starts_ms, starts_ms + period_ms
        self._first_cents = 0
        symbol, name = walk.asset.symbol, walk.asset.name
        title = f"{name} Up or Down - {day(starts_ms)}, {clock(starts_ms)}-{clock(self._ends_ms)} ET"
        slug = f"{symbol.lower()}-updown-{words}-{starts_ms // 1000}"
        event = stage.event(
            slug,
            title,
            _RULES.format(name=name, feed=f"{symbol}/USD"),
            CRYPTO,
            opens_ms=opens_ms,
            ends_ms=self._ends_ms,
            resolution_source=f"https://data.chain.link/streams/{symbol.lower()}-usd",
            tags=(("102127", "Up or Down", "up-or-down"),),
            series=(f"{symbol.lower()}-up-or-down-{words}", words),
            starts_ms=starts_ms,
        )
        self._market = stage.market(
            event, self.key, title, slug, weight=weight, tick_micros=TICK_MICROS, outcomes=("Up", "Down")
        )
        self._id = self._market.listing.condition_id

    @property
    def busy_from_ms(self) -> int:
        return self._ends_ms

    def enter(self, now_ms: int) -> list[WorldEvent]:
        """Opens its market."""
        self.begin(now_ms)
        if now_ms >= self._starts_ms:
            self._first_cents = self._walk.cents
        else:
            self.stage.agenda.at(self._starts_ms, self._start)
        self.stage.agenda.at(self._ends_ms, self._finish)
        return self.stage.open([self._market], {self._id: 500_000})

    def fairs(self, now_ms: int) -> Mapping[str, int]:
        if now_ms < self._starts_ms:
            return {self._id: 500_000}
        left_ms = self._ends_ms - now_ms
        if left_ms <= 0:
            return {self._id: 1_000_000 if self._is_up() else 0}
        lead = log(self._walk.cents / self._first_cents)
        return {self._id: grained(normal_cdf(lead / self._walk.spread(left_ms)))}

    def _start(self, at_ms: int) -> list[WorldEvent]:
        self._first_cents = self._walk.cents
        following = UpDown(
            self.stage,
            self._walk,
            self.weight,
            self._ends_ms,
            self._period_ms,
            at_ms,
        )
        return following.enter(at_ms)

    def _finish(self, at_ms: int) -> list[WorldEvent]:
        winner: Literal[0, 1] = 0 if self._is_up() else 1
        certain = self.stage.move(self.key, {self._id: 1_000_000 * (1 - winner)})
        self.end()
        self.stage.agenda.at(at_ms + SETTLING_MS, lambda due_ms: self.stage.resolve(self._id, winner, due_ms))
        return certain

    def _is_up(self) -> bool:
        return self._walk.cents >= self._first_cents


def period_words(period_ms: int) -> str:
    """ "5m", "4h", "90s": as in the slugs of the venue."""
    seconds = period_ms // 1000
    for length, unit in ((3600, "h"), (60, "m")):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
