"""Consumer groups and their members, as the members' records tell them (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.dashboard.plain import plain


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One member of a group; None where its record does not say.

    Attributes:
        group, member: names.
        now_ms: when it said so, Unix milliseconds of its clock.
        partitions: that it reads.
        handled: entries since it started.
        lag, pending: entries written and not yet delivered; delivered and not yet acknowledged.
    """

    group: str
    member: str
    now_ms: int | None
    partitions: int | None
    handled: int | None
    lag: int | None
    pending: int | None


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group: its members by name, and how many entries it gave up on."""

    group: str
    members: tuple[MemberLine, ...]
    dead: int

    @property
    def partitions(self) -> int | None:
        """Sum over the members."""
        return _sum(one.partitions for one in self.members)

    @property
    def handled(self) -> int | None:
        """Sum over the members."""
        return _sum(one.handled for one in self.members)

    @property
    def lag(self) -> int | None:
        """Sum over the members."""
        return _sum(one.lag for one in self.members)

    @property
    def pending(self) -> int | None:
        """Sum over the members."""
        return _sum(one.pending for one in self.members)


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def parse_member(group: str, member: str, record: bytes) -> MemberLine:
    """Reads a member's record, a JSON object; what it lacks is None."""
    try:
        row = orjson.loads(record)
    except orjson.JSONDecodeError:
        row = {}
    row = row if isinstance(row, dict) else {}
    return MemberLine(
        group=plain(group),
        member=plain(member),
        now_ms=_count(row, "now_ms"),
        partitions=_count(row, "partitions"),
        handled=_count(row, "handled"),
        lag=_count(row, "lag"),
        pending=_count(row, "pending"),
    )


def _count(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    if isinstance(value, list | dict):
        return len(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def group_lines(members: Iterable[MemberLine], dead: Mapping[str, int]) -> list[GroupLine]:
    """Groups by name; one without a member is there as long as it has dead letters."""
    known = list(members)
    names = sorted({one.group for one in known} | {group for group, count in dead.items() if count})
    return [
        GroupLine(
            group=name,
            members=tuple(sorted((one for one in known if one.group == name), key=lambda one: one.member)),
            dead=dead.get(name, 0),
        )
        for name in names
    ]
