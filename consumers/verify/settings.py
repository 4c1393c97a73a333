"""What `bookstream verify` takes."""

from __future__ import annotations

from marketdata.settings import RedisSettings, argument
from marketdata.times import WAYS_TO_SAY_WHEN
from marketdata.when import When


class VerifySettings(RedisSettings):
    """Proves that each stream holds every update exactly once and in order, or a gap in its place."""

    market: tuple[str, ...] = argument(
        (), "Only these markets; without it, all.", allowed="condition ids or slugs", metavar="MARKET"
    )
    from_: When | None = argument(
        None, "Begin here instead of at the beginning.", allowed=WAYS_TO_SAY_WHEN, metavar="WHEN"
    )
    to: When | None = argument(
        None, "End here instead of at the end.", allowed=WAYS_TO_SAY_WHEN, metavar="WHEN"
    )
    json_: bool = argument(False, "The result as one JSON object.")
