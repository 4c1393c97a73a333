"""What `bookstream groups` takes."""

from __future__ import annotations

from marketdata.keys import NAME_ALLOWED, NAME_PATTERN
from marketdata.settings import RedisSettings, argument


class GroupsSettings(RedisSettings):
    """Shows the groups that read the streams: members, partitions, lag, pending entries, dead letters.

    bookstream groups [GROUP] tells more of one group; bookstream groups requeue GROUP [--id ID] hands dead
    letters back to it; bookstream groups drop GROUP [--id ID] removes them; bookstream groups remove GROUP takes
    a group away that nobody reads any more.
    """

    group: str | None = argument(
        None,
        "Only this group, with its members and dead letters.",
        allowed=NAME_ALLOWED,
        metavar="GROUP",
        pattern=NAME_PATTERN,
    )
    json_: bool = argument(False, "One JSON object a group.")


class DeadLettersSettings(RedisSettings):
    """Hands the dead letters of a group back to it (requeue), or removes them for good (drop)."""

    group: str = argument(
        ..., "Whose dead letters.", allowed=NAME_ALLOWED, metavar="GROUP", pattern=NAME_PATTERN
    )
    id_: str | None = argument(
        None,
        "Only this one; without it, all.",
        allowed="the id of the dead letter, or of the entry that it holds",
        metavar="ID",
        pattern=r"^\d+-\d+$",
    )


class RemovalSettings(RedisSettings):
    """Takes a group away that nobody reads any more: from all streams, with its leases and its role.

    An arbitrage engine's state goes with its group; the opportunities that it found stay.
    """

    group: str = argument(..., "Which one.", allowed=NAME_ALLOWED, metavar="GROUP", pattern=NAME_PATTERN)
    dead_letters: bool = argument(False, "Its dead letters, too; without this they stay, and can be dropped.")
