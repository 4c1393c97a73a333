"""Whom a group belongs to: a program may keep one to itself, and hold all its members to the same settings.

`role:GROUP` stays when its members are gone, as what they wrote does: whoever else read in that name would take
entries that the program never sees.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Self

from redis.asyncio import Redis

from marketdata.errors import SettingsError
from marketdata.keys import Keys


@dataclass(frozen=True, slots=True)
class Role:
    """What a member is.

    Attributes:
        program: the group's owner; empty: any reader.
        settings: those that shape what it writes, with commas; all members must have the same.
    """

    program: str = ""
    settings: str = ""

    @classmethod
    def of(cls, values: Any) -> Self | None:
        """From `program` and `settings` as Redis replies; None: the group belongs to nobody."""
        if values[0] is None:
            return None
        program, settings = ((one or b"").decode(errors="replace") for one in values)
        return cls(program, settings)


ANY_READER: Final = Role()
FIELDS: Final = ("program", "settings")


def refusal(group: str, mine: Role, found: Role | None, others: Collection[str]) -> str:
    """Why a member with this role cannot join; empty if it can (pure).

    Args:
        found: whom the group belongs to.
        others: live members.
    """
    names = ", ".join(sorted(others))[:80]
    if found is not None and found.program != mine.program:
        return (
            f"group {group} belongs to {found.program[:80]}, which would never see what others take of it;"
            " nothing was read: choose another group"
        )
    if not (mine.program and others):
        return ""
    if found is None:
        return (
            f"group {group} is read by {names}, which is not {mine.program}; nothing was read: stop it, or"
            " choose another group"
        )
    if found.settings != mine.settings:
        theirs, ours = found.settings.split(", "), mine.settings.split(", ")
        return (
            f"{names} of group {group} runs with {_without(theirs, ours)}, this one would with"
            f" {_without(ours, theirs)}; nothing was read: give all members the same settings, or stop the others"
            " first (one that died counts as a member for 5 s)"
        )
    return ""


async def check_any_reader(client: Redis, keys: Keys, group: str) -> None:
    """For a reader that is no member by `Group`. The client's errors go through.

    Raises:
        SettingsError: the group belongs to a program.
    """
    found = Role.of(await client.hmget(keys.role(group), FIELDS))
    if why := refusal(group, ANY_READER, found, ()):
        raise SettingsError(why)


def _without(some: Collection[str], others: Collection[str]) -> str:
    return ", ".join(one for one in some if one not in others)[:200]
