"""Every profitable basket in a set of books, by definition: slow, and meant to be obviously right. Pure.

Nothing is assumed about what a basket pays: each is paid out in every world there can be. Of a price family a
world is a settlement value, one inside each open interval between strikes and one on each strike; of a neg-risk
event it is the market that wins; of a single market it is either outcome.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, pairwise
from math import ceil
from typing import Any, Final, Literal

from marketdata.market import Market

Kind = Literal["complement", "negrisk-yes", "negrisk-no", "trio", "reverse-trio", "ladder"]
Offer = tuple[int, int]
"""The best ask of a token: price and size in millionths."""

MOST_BUCKETS: Final = 3
_UNIT: Final = 1_000_000
_SIZE_STEP_MICROS: Final = 10_000
_FEE_STEP_MICROS: Final = 10


@dataclass(frozen=True, slots=True)
class Leg:
    """A purchase of one share of `market`'s outcome 0 or 1, at its best ask."""

    market: Market
    outcome: Literal[0, 1]

    @property
    def token(self) -> str:
        """The token that is bought."""
        return self.market.tokens[self.outcome]


@dataclass(frozen=True, slots=True)
class Found:
    """A basket that pays more than it costs, wherever the value settles between strikes.

    Attributes:
        legs: in the order of their tokens' ids.
        payout: dollars a share of each, the least of all open intervals.
        ties: strikes at which it pays less than that, with what it pays there.
        size_micros: shares: the smallest leg, down to 0.01.
        cost_micros, fees_micros, net_micros: of that many shares; fees are rounded up to 0.00001 a leg.
        net_a_share: dollars, without any rounding.
    """

    kind: Kind
    legs: tuple[Leg, ...]
    payout: int
    ties: tuple[tuple[Fraction, int], ...]
    size_micros: int
    cost_micros: int
    fees_micros: int
    net_micros: int
    net_a_share: Fraction

    @property
    def tokens(self) -> tuple[str, ...]:
        """What identifies the basket."""
        return tuple(leg.token for leg in self.legs)

    @property
    def strict(self) -> bool:
        """Whether it pays as much on every strike, too."""
        return not self.ties


def profitable_baskets(markets: Iterable[Market], asks: Mapping[str, Offer]) -> list[Found]:
    """All baskets with a profit after fees, of at least the minimum order; the best first.

    Args:
        markets: the catalog, events whole.
        asks: the best ask of each token that has one.
    """
    everything = list(markets)
    found = [
        basket
        for kind, legs, worlds in _candidates(everything)
        if (basket := _judged(kind, legs, worlds, asks)) is not None
    ]
    return sorted(found, key=lambda basket: (-basket.net_micros, basket.tokens))


class _Worlds:
    """All ways in which something can end, and who wins in each."""

    def __init__(
        self, inside: Sequence[Any], on_strike: Sequence[Fraction], wins: Callable[[Market, Any], bool]
    ) -> None:
        self.inside, self.on_strike, self._wins = inside, on_strike, wins

    def pays(self, legs: Iterable[Leg], world: Any) -> int:
        """Dollars that one share of each leg pays."""
        return sum(self._wins(leg.market, world) == (leg.outcome == 0) for leg in legs)


def _candidates(markets: list[Market]) -> Iterator[tuple[Kind, list[Leg], _Worlds]]:
    for market in markets:
        if market.tradable:
            either = _Worlds([0, 1], [], lambda _market, world: world == 0)
            yield "complement", [Leg(market, 0), Leg(market, 1)], either
    for event in _grouped(markets, lambda market: market.neg_risk_market_id):
        yield from _neg_risk(event)
    for family in _grouped(markets, lambda market: market.family):
        yield from _priced([market for market in family if market.tradable and not market.left_out])


def _neg_risk(event: list[Market]) -> Iterator[tuple[Kind, list[Leg], _Worlds]]:
    still_in = [market for market in event if market.winner != 1]
    complete = all(market.event_size == len(event) for market in event)
    if not complete or any(m.neg_risk_augmented or not m.tradable for m in still_in) or len(still_in) < 2:
        return
    winners = _Worlds(still_in, [], lambda market, world: market is world)
    yield "negrisk-yes", [Leg(market, 0) for market in still_in], winners
    yield "negrisk-no", [Leg(market, 1) for market in still_in], winners


def _priced(family: list[Market]) -> Iterator[tuple[Kind, list[Leg], _Worlds]]:
    above = sorted((m for m in family if m.family_kind == "threshold"), key=lambda m: Fraction(m.lower))
    buckets = [m for m in family if m.family_kind == "range"]
    values = _values(family)
    for place, low in enumerate(above):
        for high in above[place + 1 :]:
            if Fraction(low.lower) < Fraction(high.lower):
                yield "ladder", [Leg(low, 0), Leg(high, 1)], values
    for width in range(1, MOST_BUCKETS + 1):
        for some in combinations(sorted(buckets, key=_from), width):
            if not all(_touch(left, right) for left, right in pairwise(some)):
                continue
            for below in _thresholds(above, some[0].lower):
                for over in _thresholds(above, some[-1].upper):
                    if below is not None or over is not None:
                        yield from _trio(list(some), below, over, values)


def _touch(left: Market, right: Market) -> bool:
    """Whether the one ends where the other begins."""
    return bool(left.upper and right.lower) and Fraction(left.upper) == Fraction(right.lower)


def _trio(
    run: list[Market], below: Market | None, over: Market | None, values: _Worlds
) -> Iterator[tuple[Kind, list[Leg], _Worlds]]:
    """Lower Yes, upper No and the buckets' No, and the mirrors; an open side has no threshold."""
    yield (
        "trio",
        [
            *([Leg(below, 0)] if below else []),
            *([Leg(over, 1)] if over else []),
            *(Leg(bucket, 1) for bucket in run),
        ],
        values,
    )
    yield (
        "reverse-trio",
        [
            *([Leg(below, 1)] if below else []),
            *([Leg(over, 0)] if over else []),
            *(Leg(bucket, 0) for bucket in run),
        ],
        values,
    )


def _thresholds(above: list[Market], strike: str) -> list[Market] | list[None]:
    """The markets on this strike, compared as numbers; [None] where there is no strike to be above."""
    if not strike:
        return [None]
    return [market for market in above if Fraction(market.lower) == Fraction(strike)]


def _values(family: list[Market]) -> _Worlds:
    strikes = sorted({Fraction(text) for m in family for text in (m.lower, m.upper) if text})
    if not strikes:
        return _Worlds([], [], _wins_at)
    between = [(left + right) / 2 for left, right in pairwise(strikes)]
    return _Worlds([strikes[0] - 1, *between, strikes[-1] + 1], strikes, _wins_at)


def _wins_at(market: Market, value: Fraction) -> bool:
    """Source: the venue's rules: above is strictly higher; a value on a bound is in the higher bucket."""
    if market.family_kind == "threshold":
        return value > Fraction(market.lower)
    return (not market.lower or value >= Fraction(market.lower)) and (
        not market.upper or value < Fraction(market.upper)
    )


def _judged(kind: Kind, legs: list[Leg], worlds: _Worlds, asks: Mapping[str, Offer]) -> Found | None:
    if any(leg.token not in asks for leg in legs) or any(_fee_unknown(leg.market) for leg in legs):
        return None
    payout = min(worlds.pays(legs, world) for world in worlds.inside)
    ties = [(strike, worlds.pays(legs, strike)) for strike in worlds.on_strike]
    size = min(asks[leg.token][1] for leg in legs) // _SIZE_STEP_MICROS * _SIZE_STEP_MICROS
    if size <= 0 or any(size < Fraction(leg.market.min_order_size) * _UNIT for leg in legs):
        return None
    prices = [Fraction(asks[leg.token][0], _UNIT) for leg in legs]
    fees = [_fee_a_share(leg.market, price) for leg, price in zip(legs, prices, strict=True)]
    charged = sum(ceil(fee * size / _FEE_STEP_MICROS) * _FEE_STEP_MICROS for fee in fees)
    cost = ceil(sum(prices) * size)
    net = payout * size - cost - charged
    if net <= 0:
        return None
    return Found(
        kind=kind,
        legs=tuple(sorted(legs, key=lambda leg: leg.token)),
        payout=payout,
        ties=tuple((strike, pays) for strike, pays in ties if pays < payout),
        size_micros=size,
        cost_micros=cost,
        fees_micros=charged,
        net_micros=net,
        net_a_share=Fraction(payout) - sum(prices) - sum(fees),
    )


def _fee_unknown(market: Market) -> bool:
    return market.fees_enabled and (market.fees is None or Fraction(market.fees.exponent).denominator != 1)


def _fee_a_share(market: Market, price: Fraction) -> Fraction:
    """Source: the venue's fee page: rate x (p x (1 - p)) ^ exponent a share."""
    if market.fees is None:
        return Fraction(0)
    return Fraction(market.fees.rate) * (price * (1 - price)) ** int(Fraction(market.fees.exponent))


def _from(bucket: Market) -> Fraction:
    return Fraction(bucket.lower) if bucket.lower else Fraction(-1)


def _grouped(markets: Iterable[Market], key: Callable[[Market], str]) -> list[list[Market]]:
    groups: dict[str, list[Market]] = defaultdict(list)
    for market in markets:
        if name := key(market):
            groups[name].append(market)
    return list(groups.values())
