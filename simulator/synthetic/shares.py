"""Probabilities as whole millionths that sum to exactly one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import erf, exp, floor, sqrt
from typing import Final

from marketdata.decimals import MICROS

GRAIN_MICROS: Final = 100
"""Fair values are multiples of this, so that noise below a tenth of the finest common tick moves nobody."""


def apportioned(weights: Sequence[float], least_micros: int = 0) -> list[int]:
    """Millionths in proportion to the weights, that sum to exactly 1,000,000.

    Args:
        weights: none negative, one positive.
        least_micros: what each gets at least; a multiple of GRAIN_MICROS.

    Raises:
        ValueError: the least of each is more than there is.
    """
    grains = (MICROS - least_micros * len(weights)) // GRAIN_MICROS
    if grains < 0:
        raise ValueError(f"{len(weights)} shares of at least {least_micros} millionths are more than one")
    total = sum(weights)
    exact = [weight / total * grains for weight in weights]
    whole = [floor(share) for share in exact]
    by_rest = sorted(range(len(weights)), key=lambda place: (whole[place] - exact[place], place))
    for place in by_rest[: grains - sum(whole)]:
        whole[place] += 1
    return [least_micros + share * GRAIN_MICROS for share in whole]


def grained(probability: float, least_micros: int = 0) -> int:
    """One probability in millionths, at least `least_micros` away from both ends."""
    micros = round(probability * MICROS / GRAIN_MICROS) * GRAIN_MICROS
    return min(max(micros, least_micros), MICROS - least_micros)


def normal_cdf(x: float) -> float:
    """How likely a standard normal value is below x."""
    return 0.5 * (1.0 + erf(x / sqrt(2.0)))


def logistic(x: float) -> float:
    """The probability whose log-odds are x."""
    return 1.0 / (1.0 + exp(-x))
