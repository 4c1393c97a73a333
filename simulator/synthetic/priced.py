"""Price families: a ladder and a range of one asset and one noon, worth what one distribution says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final, Literal, get_args

from simulator.synthetic.binary import DAY_MS, SETTLING_MS
from simulator.synthetic.categories import CRYPTO
from simulator.synthetic.groups import BasketShape
from simulator.synthetic.listing import EdgeKind, WorldEvent
from simulator.synthetic.moving import Moving
from simulator.synthetic.noon import noon_ms
from simulator.synthetic.records import EventRecord, MarketRecord
from simulator.synthetic.shares import apportioned
from simulator.synthetic.stage import Stage
from simulator.synthetic.strikes import Wording, above, bucket, ladder
from simulator.synthetic.walks import Walk
from simulator.synthetic.weights import contested, split_weight
from simulator.synthetic.words import day, day_slug, slug_of

TICK_MICROS: Final = 1_000
MARKETS: Final = 22
LONGEST_RUN: Final = 3
"""Adjacent buckets in a trio."""

_RULES: Final = (
    'This market will resolve to "Yes" if the Binance 1 minute candle for {pair} 12:00 in the ET timezone '
    '(noon) on the date specified in the title has a final "Close" price {what}. Otherwise, this market will '
    'resolve to "No".\n\nThe resolution source for this market is Binance, specifically the {pair} "Close" '
    'prices with "1m" and "Candles" selected on the top bar.{tie}'
)
_TIE: Final = (
    "\n\nIf the reported value falls exactly between two brackets, then this market will resolve to the "
    "higher range bracket."
)

Bounds = tuple[int | None, int | None]


class PriceFamily(Moving):
    """One asset at one noon. When it has settled, a family of a later noon takes its place.

    Args:
        walk: the asset's price.
        days: which noon, see `noon_ms`.
        ahead: which noon of then its successor settles at: one that no family of its asset has yet.
    """

    def __init__(
        self,
        stage: Stage,
        walk: Walk,
        weight: float,
        *,
        now_ms: int,
        days: int,
        ahead: int,
    ) -> None:
        self._ends_ms = noon_ms(now_ms, days)
        super().__init__(stage, f"price:{walk.asset.symbol}:{self._ends_ms}", weight)
        self._walk, self._ahead = walk, ahead
        # On every fourth day the strikes do not line up with the buckets.
        aligned = (self._ends_ms // DAY_MS + len(walk.asset.symbol)) % 4 != 0 or days == 0
        shape = ladder(walk.cents, walk.spread(self._ends_ms - now_ms), aligned)
        self._buckets: list[Bounds] = [
            (None, shape.bounds[0]),
            *pairwise(shape.bounds),
            (shape.bounds[-1], None),
        ]
        self._strikes = shape.strikes
        self._cuts = sorted({*shape.strikes, *shape.bounds})
        opens_ms = now_ms if now_ms > stage.start_ms else now_ms - 3 * DAY_MS
        worth = self._priced(now_ms)
        strike_weights, bucket_weights = self._weights(worth)
        self._above = dict(zip(shape.strikes, self._list_above(opens_ms, strike_weights), strict=True))
        self._range = dict(zip(self._buckets, self._list_range(opens_ms, bucket_weights), strict=True))

    @property
    def kinds(self) -> frozenset[EdgeKind]:
        return frozenset(get_args(EdgeKind))

    @property
    def busy_from_ms(self) -> int:
        return self._ends_ms

    def enter(self, now_ms: int) -> list[WorldEvent]:
        """Opens its markets."""
        self.begin(now_ms)
        self.stage.agenda.at(self._ends_ms, self._settle)
        return self.stage.open(
            [*self._above.values(), *self._range.values()], self._named(self._priced(now_ms))
        )

    def fairs(self, now_ms: int) -> Mapping[str, int]:
        return self._named(self._priced(now_ms))

    def baskets(self, kind: EdgeKind) -> list[BasketShape]:
        ids = [market.listing.condition_id for market in self._range.values()]
        if kind == "negrisk-yes":
            return [BasketShape(kind, tuple((one, 0) for one in ids), 1)]
        if kind == "negrisk-no":
            return [BasketShape(kind, tuple((one, 1) for one in ids), len(ids) - 1)]
        if kind == "ladder":
            return [
                BasketShape(kind, ((self._id(low), 0), (self._id(high), 1)), 1)
                for low, high in pairwise(self._strikes)
            ]
        return list(self._trios(kind))

    def _trios(self, kind: EdgeKind) -> Iterable[BasketShape]:
        """Lower Yes, upper No, and the No of each bucket between; or all their mirrors.

        An open side has no threshold: "above nothing" is certain and costs nothing, its mirror never pays.
        """
        mirrored = int(kind == "reverse-trio")
        for length in range(1, LONGEST_RUN + 1):
            for first in range(len(self._buckets) - length + 1):
                run = self._buckets[first : first + length]
                low, high = run[0][0], run[-1][1]
                if not {low, high} - {None} <= self._above.keys():
                    continue
                legs = [(self._range[one].listing.condition_id, 1 ^ mirrored) for one in run]
                if low is not None:
                    legs.append((self._id(low), 0 ^ mirrored))
                if high is not None:
                    legs.append((self._id(high), 1 ^ mirrored))
                certain = (low is None) + (high is None)
                yield BasketShape(kind, tuple(legs), 1 if mirrored else length + 1 - certain)

    def _id(self, strike: int) -> str:
        return self._above[strike].listing.condition_id

    def _priced(self, now_ms: int) -> list[int]:
        """What each interval between two cuts is worth, the lowest first; millionths that sum to one."""
        left_ms = self._ends_ms - now_ms
        below = [0.0, *(self._walk.below(cut * 100, left_ms) for cut in self._cuts), 1.0]
        return apportioned([max(high - low, 0.0) for low, high in pairwise(below)])

    def _worth_of(self, bounds: Bounds, priced: list[int]) -> int:
        low, high = bounds
        first = 0 if low is None else self._cuts.index(low) + 1
        last = len(self._cuts) if high is None else self._cuts.index(high)
        return sum(priced[first : last + 1])

    def _named(self, priced: list[int]) -> dict[str, int]:
        markets = [
            *(((strike, None), market) for strike, market in self._above.items()),
            *self._range.items(),
        ]
        return {market.listing.condition_id: self._worth_of(bounds, priced) for bounds, market in markets}

    def _weights(self, priced: list[int]) -> tuple[list[float], list[float]]:
        shapes: list[Bounds] = [*((strike, None) for strike in self._strikes), *self._buckets]
        parts = split_weight(self.weight, [contested(self._worth_of(one, priced)) for one in shapes])
        return parts[: len(self._strikes)], parts[len(self._strikes) :]

    def _settle(self, at_ms: int) -> list[WorldEvent]:
        cents = self._walk.cents
        won = {market.listing.condition_id: cents > strike * 100 for strike, market in self._above.items()}
        for (low, high), market in self._range.items():
            won[market.listing.condition_id] = (low is None or low * 100 <= cents) and (
                high is None or cents < high * 100
            )
        self.end()
        self.stage.agenda.at(at_ms + SETTLING_MS, lambda due_ms: self._resolve(won, due_ms))
        return self.stage.move(self.key, {one: 1_000_000 * yes for one, yes in won.items()})

    def _resolve(self, won: Mapping[str, bool], at_ms: int) -> list[WorldEvent]:
        events: list[WorldEvent] = []
        for condition_id, yes in won.items():
            winner: Literal[0, 1] = 0 if yes else 1
            events += self.stage.resolve(condition_id, winner, at_ms)
        following = PriceFamily(
            self.stage, self._walk, self.weight, now_ms=at_ms, days=self._ahead, ahead=self._ahead
        )
        return [*events, *following.enter(at_ms)]

    def _list_above(self, opens_ms: int, weights: list[float]) -> list[MarketRecord]:
        asset = self._walk.asset.name
        event = self._event(opens_ms, f"{asset} above ___ on {day(self._ends_ms)}?", "above", neg_risk=False)
        rules = self._rules("higher than the price specified in the title")
        event.description = rules
        return [
            self._market(event, above(asset, strike), weight, rules)
            for strike, weight in zip(self._strikes, weights, strict=True)
        ]

    def _list_range(self, opens_ms: int, weights: list[float]) -> list[MarketRecord]:
        asset = self._walk.asset.name
        event = self._event(opens_ms, f"{asset} price on {day(self._ends_ms)}?", "price", neg_risk=True)
        rules = self._rules("within the range specified in the title", _TIE)
        event.description = rules
        return [
            self._market(event, bucket(asset, *bounds), weight, rules)
            for bounds, weight in zip(self._buckets, weights, strict=True)
        ]

    def _rules(self, what: str, tie: str = "") -> str:
        return _RULES.format(pair=self._walk.asset.pair, what=what, tie=tie)

    def _event(self, opens_ms: int, title: str, word: str, *, neg_risk: bool) -> EventRecord:
        asset = self._walk.asset
        return self.stage.event(
            f"{slug_of(asset.name)}-{word}-on-{day_slug(self._ends_ms)}",
            title,
            "",
            CRYPTO,
            opens_ms=opens_ms,
            ends_ms=self._ends_ms,
            neg_risk=neg_risk,
            resolution_source=f"https://www.binance.com/en/trade/{asset.pair.replace('/', '_')}",
            tags=(("235", asset.name, slug_of(asset.name)),),
        )

    def _market(self, event: EventRecord, wording: Wording, weight: float, rules: str) -> MarketRecord:
        return self.stage.market(
            event,
            self.key,
            f"Will the price of {self._walk.asset.name} be {wording.asked} on {day(self._ends_ms)}?",
            f"{wording.slug}-on-{day_slug(self._ends_ms)}",
            weight=weight,
            tick_micros=TICK_MICROS,
            label=wording.label,
            description=rules,
        )
