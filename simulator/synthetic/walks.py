"""Prices of assets: log-normal random walks in cents. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from random import Random
from typing import Final

from simulator.synthetic.shares import normal_cdf

STEP_MS: Final = 500
"""Time between two prices."""

_YEAR_MS: Final = 365.25 * 86_400_000


@dataclass(frozen=True, slots=True)
class Asset:
    """What prices are made for.

    Attributes:
        name: as in titles, "Bitcoin".
        symbol: "BTC".
        pair: as in descriptions, "BTC/USDT".
        start_cents: about where its price starts.
        yearly: standard deviation of its logarithm in a year.
    """

    name: str
    symbol: str
    pair: str
    start_cents: int
    yearly: float


ASSETS: Final = (
    Asset("Bitcoin", "BTC", "BTC/USDT", 9_134_217, 0.55),
    Asset("Ethereum", "ETH", "ETH/USDT", 318_745, 0.75),
    Asset("Solana", "SOL", "SOL/USDT", 17_832, 0.95),
)


class Walk:
    """One asset's price as time goes by.

    Args:
        asset: whose.
        random: its own source, used by nothing else.
    """

    def __init__(self, asset: Asset, random: Random) -> None:
        self.asset = asset
        self._random = random
        self._log_cents = log(asset.start_cents) + random.uniform(-0.04, 0.04)
        self._step = asset.yearly * sqrt(STEP_MS / _YEAR_MS)

    @property
    def cents(self) -> int:
        """The price now."""
        return round(exp(self._log_cents))

    def step(self) -> None:
        """Goes on by STEP_MS; without drift of the price itself."""
        self._log_cents += self._random.gauss(0.0, self._step) - self._step**2 / 2

    def spread(self, ms: int) -> float:
        """Standard deviation of the price's logarithm over so many milliseconds."""
        return self.asset.yearly * sqrt(max(ms, 1) / _YEAR_MS)

    def below(self, cents: int, ms: int) -> float:
        """How likely the price is below `cents` after so many milliseconds."""
        deviation = self.spread(ms)
        return normal_cdf((log(cents) - self._log_cents + deviation**2 / 2) / deviation)
