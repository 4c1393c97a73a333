"""One basket at the prices of the moment. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple, Self

from consumers.arbitrage.baskets import Basket
from consumers.arbitrage.fees import CHARGE_STEP_MICROS, UNIT
from consumers.arbitrage.legs import Leg
from consumers.arbitrage.opportunity import Figures
from marketdata.decimals import MICROS

SIZE_STEP_MICROS: Final = 10_000
_ONE: Final = 10_000 * MICROS


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as an opportunity.

    Attributes:
        min_bps_micros: net profit in millionths of ten-thousandths of cost and fees.
        min_net_micros: net profit in millionths of a dollar; zero or less is never one.
        cooldown_ms: after a close it is not opened again for so long, by the entries' time.
        max_leg_age_ms: a leg that nothing has vouched for since takes no part.
        max_top_age_ms: a leg whose own top is older takes no part; 0: however old.
    """

    min_bps_micros: int
    min_net_micros: int
    cooldown_ms: int
    max_leg_age_ms: int
    max_top_age_ms: int = 0

    @classmethod
    def of(
        cls,
        min_bps: Decimal,
        min_abs: Decimal,
        cooldown_ms: int,
        max_leg_age_ms: int,
        max_top_age_ms: int = 0,
    ) -> Self:
        """From the settings' units: ten-thousandths and dollars."""
        return cls(int(min_bps * MICROS), int(min_abs * MICROS), cooldown_ms, max_leg_age_ms, max_top_age_ms)


class Opening(NamedTuple):
    """An opportunity that is open.

    Attributes:
        opened: id of the entry that told it first.
        since_ms: of what caused it.
        told_ms: of what caused that it was told last.
        told: as it was told last.
        best_net, best_bps_hundredths: so far.
    """

    opened: str
    since_ms: int
    told_ms: int
    told: Figures
    best_net: int
    best_bps_hundredths: int

    def with_figures(self, figures: Figures, now_ms: int) -> Opening:
        """The same after it was told anew."""
        return self._replace(
            told_ms=now_ms,
            told=figures,
            best_net=max(self.best_net, figures.net),
            best_bps_hundredths=max(self.best_bps_hundredths, figures.bps_hundredths),
        )


class Live:
    """A basket and its legs.

    Attributes:
        missing: legs that are not usable.
        total: unit costs of the others.
        limit: above this total it cannot be profitable enough at any size.
        opening: None while it is closed.
    """

    __slots__ = ("basket", "legs", "limit", "min_size", "missing", "opening", "total")

    def __init__(self, basket: Basket, legs: tuple[Leg, ...], limits: Limits) -> None:
        self.basket = basket
        self.legs = legs
        self.missing = sum(not leg.usable for leg in legs)
        self.total = sum(leg.unit for leg in legs)
        self.limit = basket.payout * UNIT * _ONE // (_ONE + limits.min_bps_micros)
        self.min_size = max(SIZE_STEP_MICROS, *(leg.min_order_micros for leg in legs))
        self.opening: Opening | None = None

    @property
    def oldest_top_ms(self) -> int:
        """When the oldest of its legs' tops was received."""
        return min(leg.top_at.ms for leg in self.legs)

    @property
    def size_micros(self) -> int:
        """The smallest leg, down to 0.01."""
        return min(leg.size for leg in self.legs) // SIZE_STEP_MICROS * SIZE_STEP_MICROS


def figures_of(live: Live, limits: Limits) -> Figures | None:
    """What the basket is worth now; None if that is no opportunity. All legs must be usable."""
    legs = live.legs
    # One loop a question and no generators: this runs for every basket that might be worth something.
    size = legs[0].size
    price = 0
    for leg in legs:
        price += leg.price
        if leg.size < size:
            size = leg.size
    size -= size % SIZE_STEP_MICROS
    if size < live.min_size:
        return None
    steps = 0
    for leg in legs:
        steps -= -size * leg.fee_above // leg.fee_below
    fees = steps * CHARGE_STEP_MICROS
    cost = -(-size * price // MICROS)
    net = live.basket.payout * size - cost - fees
    if net <= 0 or net < limits.min_net_micros or net * _ONE < limits.min_bps_micros * (cost + fees):
        return None
    return Figures(size, cost, fees, net, tuple([leg.price for leg in legs]))
