"""What `bookstream arbitrage` and `bookstream opportunities` take."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Self

from pydantic import model_validator

from consumers.arbitrage.evaluate import Limits
from consumers.catalog.settings import OverridesSettings
from marketdata.decimals import from_micros
from marketdata.keys import NAME_ALLOWED, NAME_PATTERN
from marketdata.settings import CrossedError, RedisSettings, argument, setting
from marketdata.times import WAYS_TO_SAY_WHEN
from marketdata.when import When

GROUP: Final = "arbitrage"
PROGRAM: Final = "bookstream arbitrage"
"""Whom the engine's group belongs to, see `marketdata.groups.role`."""

_ARBITRAGE: Final = "Arbitrage"


class ArbitrageLimits(OverridesSettings):
    """What counts as an opportunity."""

    arb_min_profit_bps: float = setting(
        5,
        "Net profit of at least so many ten-thousandths of cost and fees.",
        _ARBITRAGE,
        ge=0,
        le=1_000_000,
    )
    arb_min_profit_abs: float = setting(
        0, "Net profit of at least so many dollars.", _ARBITRAGE, ge=0, le=1_000_000_000
    )
    arb_cooldown_ms: int = setting(
        1_000,
        "After its close an opportunity is not opened again for so long, by the entries' time.",
        _ARBITRAGE,
        ge=0,
        le=86_400_000,
    )
    arb_max_leg_age_ms: int = setting(
        3_000,
        "A leg takes no part if nothing has vouched for its price for longer.",
        _ARBITRAGE,
        ge=1,
        le=86_400_000,
    )
    arb_max_top_age_ms: int = setting(
        0,
        "A leg takes no part if its own last top is older, whoever vouches for it; 0: however old.",
        _ARBITRAGE,
        ge=0,
        le=86_400_000,
    )

    @property
    def limits(self) -> Limits:
        """As the engine takes them."""
        return Limits.of(
            Decimal(str(self.arb_min_profit_bps)),
            Decimal(str(self.arb_min_profit_abs)),
            self.arb_cooldown_ms,
            self.arb_max_leg_age_ms,
            self.arb_max_top_age_ms,
        )

    def shaping(self, digest: str) -> str:
        """All that shapes what is found, in one line; engines of one group must agree in it.

        Args:
            digest: of the corrections; empty where there are none.
        """
        limits = self.limits
        return (
            f"ARB_MIN_PROFIT_BPS {from_micros(limits.min_bps_micros)},"
            f" ARB_MIN_PROFIT_ABS {from_micros(limits.min_net_micros)},"
            f" ARB_COOLDOWN_MS {limits.cooldown_ms}, ARB_MAX_LEG_AGE_MS {limits.max_leg_age_ms},"
            f" ARB_MAX_TOP_AGE_MS {limits.max_top_age_ms},"
            f" CATALOG_OVERRIDES {digest or 'none'}"
        )


class ArbitrageSettings(ArbitrageLimits):
    """Finds arbitrage in the streams, as a member of a group; writes opportunities:{P}."""

    group: str = argument(
        GROUP,
        "The group; its members share the partitions.",
        allowed=NAME_ALLOWED,
        metavar="NAME",
        pattern=NAME_PATTERN,
    )
    member: str = argument(
        "",
        "This member's name; one that comes back under its name has its partitions at once.",
        allowed=f"{NAME_ALLOWED}; empty: one that nobody else has",
        metavar="NAME",
        pattern=f"{NAME_PATTERN}|^$",
    )
    once: bool = argument(False, "Stop when everything that is there was handled: for backtests.")
    report: bool = argument(
        False, "Sum up what was found so far and what gaps disproved later, and stop; nothing is written."
    )
    json_: bool = argument(False, "The report as one JSON object.")

    @model_validator(mode="after")
    def _report_reads_nothing(self) -> Self:
        if self.report and self.once:
            raise CrossedError(
                "report", "sums up what was found before and handles nothing; leave out", "once"
            )
        return self


class OpportunitiesSettings(RedisSettings):
    """Lists what the arbitrage engine found."""

    from_: When | None = argument(
        None,
        "Begin here instead of at the beginning (with --follow: instead of now).",
        allowed=WAYS_TO_SAY_WHEN,
        metavar="WHEN",
    )
    to: When | None = argument(
        None, "End here instead of at the end.", allowed=WAYS_TO_SAY_WHEN, metavar="WHEN"
    )
    follow: bool = argument(False, "Wait for more.")
    closed: bool = argument(False, "Only closes: one line an opportunity, with its duration and best.")
    count: int | None = argument(None, "Stop after this many.", ge=1)
    json_: bool = argument(False, "One JSON object a line.")
