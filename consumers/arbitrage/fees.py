"""What a taker pays, exact in integers. Pure.

Source: the venue's fee page: shares x rate x (price x (1 - price)) ^ exponent, rounded to 0.00001; here always
up, so that nobody is charged more than was counted on.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from marketdata.decimals import MICROS, to_micros
from marketdata.errors import DecimalError
from marketdata.market import FeeSchedule

EXPONENTS: Final = ("1", "2")
"""Of the schedules that the venue has used."""

CHARGE_STEP_MICROS: Final = 10
UNIT: Final = 10**12
"""One dollar in the unit in which legs are summed."""

_PER_PRICE: Final = UNIT // MICROS
_PER_UNIT: Final = {exponent: MICROS ** (2 * exponent + 1) // UNIT for exponent in (1, 2)}


class Fees(NamedTuple):
    """A schedule in integers; a market without fees has the rate 0.

    Attributes:
        rate_micros: millionths.
        exponent: 1 or 2.
    """

    rate_micros: int
    exponent: int


FREE: Final = Fees(0, 1)


def fees_of(enabled: bool, schedule: FeeSchedule | None) -> Fees | str:
    """The schedule, or in words why it cannot be used."""
    if not enabled:
        return FREE
    if schedule is None:
        return "takers pay a fee, and its schedule is not known"
    exponent = schedule.exponent.rstrip("0").rstrip(".") if "." in schedule.exponent else schedule.exponent
    if exponent not in EXPONENTS:
        return f"its fee has the exponent {schedule.exponent[:20]}, and only 1 and 2 are known"
    try:
        return Fees(to_micros(schedule.rate), int(exponent))
    except DecimalError as error:
        return f"its fee rate cannot be read ({error})"


def fee_numerator(price_micros: int, fees: Fees) -> int:
    """The exact fee of a share in dollars, times MICROS ** (2 * exponent + 1)."""
    numerator: int = fees.rate_micros * (price_micros * (MICROS - price_micros)) ** fees.exponent
    return numerator


def unit_cost(price_micros: int, fees: Fees) -> int:
    """What a share costs with its fee, in dollars / UNIT, rounded down: never more than it really costs."""
    fee: int = fee_numerator(price_micros, fees) // _PER_UNIT[fees.exponent]
    return price_micros * _PER_PRICE + fee


@lru_cache(maxsize=20_000)
def share_cost(price_micros: int, fees: Fees) -> tuple[int, int]:
    """`fee_numerator` and `unit_cost`: the same few prices come again and again."""
    return fee_numerator(price_micros, fees), unit_cost(price_micros, fees)


def charged_micros(size_micros: int, price_micros: int, fees: Fees) -> int:
    """The fee of one purchase in millionths of a dollar, rounded up to 0.00001."""
    above = size_micros * fee_numerator(price_micros, fees)
    below: int = MICROS ** (2 * fees.exponent + 1) * CHARGE_STEP_MICROS
    return -(-above // below) * CHARGE_STEP_MICROS
