"""What a market is about, as far as fees and tags go.

Source: the venue's fee page of August 2026: taker rates by category with exponent 1, and the makers' share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Category:
    """A category of the venue.

    Attributes:
        name: its slug.
        tag_id: of its tag in Gamma.
        rate: a taker's fee rate, decimal spelling; "0" where nobody pays.
        rebate_rate: the makers' share of it.
    """

    name: str
    tag_id: str
    rate: str
    rebate_rate: float

    @property
    def exponent(self) -> str:
        """Of the fee formula; the same in all categories."""
        return "1"

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.name.capitalize()

    @property
    def fee_type(self) -> str | None:
        """Gamma's feeType; None where nobody pays."""
        return None if self.rate == "0" else f"{self.name}_fees_v2"


CRYPTO: Final = Category("crypto", "21", "0.07", 0.2)
SPORTS: Final = Category("sports", "1", "0.05", 0.15)
POLITICS: Final = Category("politics", "2", "0.04", 0.25)
GEOPOLITICS: Final = Category("geopolitics", "100265", "0", 0.0)
TECH: Final = Category("tech", "1401", "0.04", 0.25)
ECONOMICS: Final = Category("economics", "100328", "0.05", 0.25)
CULTURE: Final = Category("culture", "596", "0.05", 0.25)
WEATHER: Final = Category("weather", "84", "0.05", 0.25)

CATEGORIES: Final = (CRYPTO, SPORTS, POLITICS, GEOPOLITICS, TECH, ECONOMICS, CULTURE, WEATHER)
