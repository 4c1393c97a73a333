"""Which strikes a price family has, and how they read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STRIKES: Final = 11
BOUNDS: Final = 10
"""Eleven buckets, the outer two open."""

_NICE: Final = tuple(step * 10**power for power in range(6) for step in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Ladder:
    """The strikes of a family, in dollars, rising.

    Attributes:
        strikes: of the "above" markets.
        bounds: of the buckets.
    """

    strikes: tuple[int, ...]
    bounds: tuple[int, ...]


def ladder(spot_cents: int, deviation: float, aligned: bool) -> Ladder:
    """Strikes around the price of today.

    Args:
        spot_cents: that price.
        deviation: standard deviation of its logarithm until the settlement.
        aligned: bounds are strikes too; else the strikes lie between them, as on some days at the venue.
    """
    wanted = spot_cents / 100 * deviation * 0.45
    width = min((nice for nice in _NICE if nice >= 2), key=lambda nice: max(nice / wanted, wanted / nice))
    middle = round(spot_cents / 100 / width)
    middle = max(middle, 6)
    bounds = tuple(width * (middle + place) for place in range(-5, 5))
    shift = 0 if aligned else width // 2
    return Ladder(tuple(width * (middle + place) + shift for place in range(-5, 6)), bounds)


@dataclass(frozen=True, slots=True)
class Wording:
    """How one strike market reads: "above $64,000", "64,000", "bitcoin-above-64k"."""

    asked: str
    label: str
    slug: str


def above(asset: str, strike: int) -> Wording:
    """A market of the ladder."""
    short = f"{strike // 1000}k" if strike % 1000 == 0 else str(strike)
    return Wording(f"above ${strike:,}", f"{strike:,}", f"{asset.lower()}-above-{short}")


def bucket(asset: str, lower: int | None, upper: int | None) -> Wording:
    """A market of the range; at most one of the bounds is None, where the bucket is open."""
    slug = f"will-the-price-of-{asset.lower()}-be"
    if lower is None:
        return Wording(f"less than ${upper:,}", f"<{upper:,}", f"{slug}-less-than-{upper}")
    if upper is None:
        return Wording(f"greater than ${lower:,}", f">{lower:,}", f"{slug}-greater-than-{lower}")
    return Wording(
        f"between ${lower:,} and ${upper:,}", f"{lower:,}-{upper:,}", f"{slug}-between-{lower}-{upper}"
    )
