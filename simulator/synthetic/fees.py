"""What a taker pays. Pure.

Source: the venue's fee page: shares x rate x (p x (1 - p)) ^ exponent, rounded to 0.00001. Here rounded up, so
that nobody is charged more than expected.
"""

from __future__ import annotations

from typing import Final

from marketdata.decimals import MICROS, to_micros

_UNIT_MICROS: Final = 10


def taker_fee_micros(size_micros: int, price_micros: int, rate: str, exponent: str) -> int:
    """The fee of one purchase in millionths of a dollar.

    Args:
        size_micros, price_micros: shares and price.
        rate, exponent: decimal spelling; the exponent a whole number.
    """
    power = int(exponent)
    above: int = size_micros * to_micros(rate) * (price_micros * (MICROS - price_micros)) ** power
    below: int = MICROS * MICROS ** (2 * power) * _UNIT_MICROS
    return -(-above // below) * _UNIT_MICROS
