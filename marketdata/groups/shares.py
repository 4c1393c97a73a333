"""How many partitions each member of a group reads (pure)."""

from __future__ import annotations

from collections.abc import Collection


def share_of(member: str, members: Collection[str], partitions: int) -> int:
    """A member's even share; those first in the alphabet read one more where it does not come out even.

    Args:
        member: counts as one of `members` whether or not it is among them.
        members: names of the live ones.
    """
    names = sorted({*members, member})
    each, over = divmod(partitions, len(names))
    return each + (names.index(member) < over)
