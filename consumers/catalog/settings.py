"""What `bookstream catalog` takes, and the setting that it shares with the engine."""

from __future__ import annotations

from marketdata.settings import RedisSettings, argument, setting


class OverridesSettings(RedisSettings):
    """The file of corrections."""

    catalog_overrides: str = setting(
        "",
        "A file that corrects strikes and families, or excludes markets and events; see docs/arbitrage.md.",
        "Arbitrage",
        allowed="a path to TOML or JSON; empty: no corrections",
        metavar="FILE",
    )


class CatalogSettings(OverridesSettings):
    """Shows families and events, their legs, which baskets they form, and why a market was left out."""

    market: tuple[str, ...] = argument(
        (), "Only the families of these markets.", allowed="condition ids or slugs", metavar="MARKET"
    )
    event: tuple[str, ...] = argument(
        (), "Only the families of these events.", allowed="event slugs or ids", metavar="EVENT"
    )
    family: tuple[str, ...] = argument(
        (), "Only these families.", allowed="families as the catalog has them", metavar="FAMILY"
    )
    left_out: bool = argument(False, "Only markets that were left out, and sets that cannot be formed.")
    json_: bool = argument(False, "One JSON object a family.")
