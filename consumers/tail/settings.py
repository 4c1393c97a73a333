"""What `bookstream tail` takes."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from marketdata.settings import CrossedError, RedisSettings, argument
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
    group: str | None = argument(
        None,
        "Read as a member of this group: each entry once, acknowledged after it was printed.",
        allowed="1 to 64 letters, digits, dots, dashes and underscores",
        metavar="NAME",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    json_: bool = argument(False, "One JSON object a line.")

    @model_validator(mode="after")
    def _group_reads_all(self) -> Self:
        # What a member does not print it would acknowledge unseen.
        for field in ("market", "outcome", "from_"):
            if self.group is not None and getattr(self, field) not in (None, ()):
                raise CrossedError(
                    "group",
                    "makes this a member, and a member reads all markets, from where its group stands; leave out",
                    field,
                )
        return self
