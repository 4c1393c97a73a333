"""What `bookstream tail` takes."""

from __future__ import annotations

from marketdata.settings import RedisSettings, argument
from marketdata.times import WAYS_TO_SAY_WHEN
from marketdata.when import When


class TailSettings(RedisSettings):
    """Prints the entries of markets as they are written."""

    market: tuple[str, ...] = argument(
        (), "Only these markets; without it, all.", allowed="condition ids or slugs", metavar="MARKET"
    )
    outcome: int | None = argument(None, "Only this outcome of them.", ge=0, le=1)
    from_: When | None = argument(
        None, "Begin here instead of now.", allowed=WAYS_TO_SAY_WHEN, metavar="WHEN"
    )
    count: int | None = argument(None, "Stop after this many entries.", ge=1)
    follow: bool = argument(True, "Wait for more at the end of what is there.")
    json_: bool = argument(False, "One JSON object a line.")
