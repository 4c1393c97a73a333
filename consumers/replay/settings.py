"""What `bookstream replay` takes."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from marketdata.keys import NAME_ALLOWED, NAME_PATTERN
from marketdata.settings import CrossedError, RedisSettings, argument
from marketdata.times import WAYS_TO_SAY_WHEN
from marketdata.when import When


class ReplaySettings(RedisSettings):
    """Plays what was recorded once more: all streams in one order, as JSON lines or into other streams."""

    from_: When | None = argument(
        None, "Begin here instead of at the beginning.", allowed=WAYS_TO_SAY_WHEN, metavar="WHEN"
    )
    to: When | None = argument(None, "End here instead of now.", allowed=WAYS_TO_SAY_WHEN, metavar="WHEN")
    market: tuple[str, ...] = argument(
        (), "Only these markets; without any choice, all.", allowed="condition ids or slugs", metavar="MARKET"
    )
    event: tuple[str, ...] = argument(
        (), "Also the markets of these events.", allowed="event slugs or ids", metavar="EVENT"
    )
    family: tuple[str, ...] = argument(
        (),
        "Also the markets of these families.",
        allowed="families as the catalog has them",
        metavar="FAMILY",
    )
    speed: float = argument(
        0,
        "How many times faster than it happened; 0: flat out.",
        allowed="1, 10, or any number from 0 up",
        ge=0,
    )
    into: str | None = argument(
        None,
        "Write streams with this KEY_PREFIX, ids kept, instead of JSON lines.",
        allowed="text without braces and spaces, at most 100 characters",
        metavar="PREFIX",
        pattern=r"^[^{}\s]+$",
        max_length=100,
    )
    replace: bool = argument(
        False, "With --into: remove the copy that stands there, and all that was found on it, before."
    )
    group: str | None = argument(
        None,
        "Read as the one member of this consumer group: a replay that was ended goes on where it was.",
        allowed=NAME_ALLOWED,
        metavar="NAME",
        pattern=NAME_PATTERN,
    )
    read_size: int | None = argument(
        None, "Entries to read of each stream at once; without it, fewer the more streams there are.", ge=2
    )

    @model_validator(mode="after")
    def _into_another_place(self) -> Self:
        if self.into is not None and self.into == self.key_prefix:
            raise CrossedError("into", "must differ from", "key_prefix")
        return self

    @model_validator(mode="after")
    def _replaces_a_copy(self) -> Self:
        if self.replace and self.into is None:
            raise CrossedError("replace", "removes an older copy, so it needs", "into")
        if self.replace and self.group is not None:
            raise CrossedError("replace", "begins a copy anew, and a group goes on; leave out", "group")
        return self
