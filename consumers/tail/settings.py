"""What `bookstream tail` takes."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from marketdata.keys import NAME_ALLOWED, NAME_PATTERN
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
    standing: bool = argument(
        False,
        "First the newest entry of each stream, however old, marked as standing; --count is for what follows.",
    )
    count: int | None = argument(None, "Stop after this many entries.", ge=1)
    follow: bool = argument(True, "Wait for more at the end of what is there.")
    group: str | None = argument(
        None,
        "Read as a member of this group: each entry once, acknowledged after it was printed.",
        allowed=NAME_ALLOWED,
        metavar="NAME",
        pattern=NAME_PATTERN,
    )
    json_: bool = argument(False, "One JSON object a line.")

    @model_validator(mode="after")
    def _has_something_to_print(self) -> Self:
        if self.standing and self.from_ is not None:
            raise CrossedError("standing", "shows what stands now; leave out", "from_")
        if not (self.follow or self.standing or self.from_ is not None or self.group is not None):
            raise ValueError(
                "--no-follow prints what is there, and between now and now there is nothing: add --from WHEN,"
                " or --standing for the newest entry of each stream"
            )
        return self

    @model_validator(mode="after")
    def _group_reads_all(self) -> Self:
        # What a member does not print it would acknowledge unseen.
        given = {
            "market": bool(self.market),
            "outcome": self.outcome is not None,
            "from_": self.from_ is not None,
            "standing": self.standing,
        }
        for field in given:
            if self.group is not None and given[field]:
                raise CrossedError(
                    "group",
                    "makes this a member, and a member reads all markets, from where its group stands; leave out",
                    field,
                )
        return self
