"""At which prices a basket becomes an edge of a wanted size. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from marketdata.decimals import MICROS
from simulator.synthetic.fees import taker_fee_micros


@dataclass(frozen=True, slots=True)
class LegTerms:
    """What one leg of a basket is subject to.

    Attributes:
        fair_micros: of the token that is bought.
        tick_micros: its price is a multiple of this.
        size_micros: shares that will be offered.
        fee_rate, fee_exponent: see `taker_fee_micros`.
    """

    fair_micros: int
    tick_micros: int
    size_micros: int
    fee_rate: str
    fee_exponent: str


@dataclass(frozen=True, slots=True)
class Priced:
    """A basket with its prices; sums are of `size_micros` shares of each leg, in millionths of a dollar."""

    prices_micros: tuple[int, ...]
    size_micros: int
    cost_micros: int
    fees_micros: int
    net_micros: int


def priced_basket(legs: Sequence[LegTerms], payout: int, least_bps: int, random: Random) -> Priced | None:
    """Prices strictly below the fair values that leave at least so much.

    Args:
        legs: one a token.
        payout: dollars a share of each.
        least_bps: net profit in hundredths of a percent of cost and fees.
        random: which leg becomes cheaper next, the dear ones more often.

    Returns:
        None where a leg cannot be offered below its fair value, or the whole not cheaply enough.
    """
    prices = [(leg.fair_micros - 1) // leg.tick_micros * leg.tick_micros for leg in legs]
    if any(price < leg.tick_micros for price, leg in zip(prices, legs, strict=True)):
        return None
    size = min(leg.size_micros for leg in legs)
    fees = [_fee(leg, price, size) for leg, price in zip(legs, prices, strict=True)]
    while True:
        cost = size * sum(prices) // MICROS
        net = size * payout - cost - sum(fees)
        if net * 10_000 >= least_bps * (cost + sum(fees)):
            return Priced(tuple(prices), size, cost, sum(fees), net)
        spare = [price - leg.tick_micros for price, leg in zip(prices, legs, strict=True)]
        if not any(spare):
            return None
        place = random.choices(range(len(legs)), weights=spare)[0]
        prices[place] -= legs[place].tick_micros
        fees[place] = _fee(legs[place], prices[place], size)


def _fee(leg: LegTerms, price_micros: int, size_micros: int) -> int:
    return taker_fee_micros(size_micros, price_micros, leg.fee_rate, leg.fee_exponent)
