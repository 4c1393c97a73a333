"""Consumer groups: what their members say of themselves, and how they stand in the streams (pure)."""

from __future__ import annotations

from collections import defaultdict
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
        behind_ms: from the last entry handled to the newest at hand, in the partition where it is furthest behind.
    """

    group: str
    member: str
    now_ms: int | None
    partitions: int | None
    handled: int | None
    behind_ms: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a group stands in one stream; `lag` is None where Redis does not know it (after a trim)."""

    pending: int
    lag: int | None


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group.

    Attributes:
        members: by name.
        dead: entries that it gave up on.
        lag, pending: entries not yet delivered, and delivered but not acknowledged, in the streams looked at; None: in
            none of them does Redis know.
        looked, streams: how many streams were looked at, and how many there are.
    """

    group: str
    members: tuple[MemberLine, ...]
    dead: int
    lag: int | None
    pending: int | None
    looked: int
    streams: int

    @property
    def partitions(self) -> int | None:
        """Sum over the members."""
        return _sum(one.partitions for one in self.members)

    @property
    def handled(self) -> int | None:
        """Sum over the members."""
        return _sum(one.handled for one in self.members)

    @property
    def behind_ms(self) -> int | None:
        """Of the member that is furthest behind."""
        return max((one.behind_ms for one in self.members if one.behind_ms is not None), default=None)


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
        behind_ms=_count(row, "behind_ms"),
    )


def _count(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    if isinstance(value, list | dict):
        return len(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def group_lines(
    members: Iterable[MemberLine],
    dead: Mapping[str, int],
    standings: Mapping[str, Mapping[str, Standing]],
    streams: int,
) -> list[GroupLine]:
    """Groups by name.

    Args:
        members: of all groups.
        dead: letters by group.
        standings: by stream that was looked at, by group.
        streams: how many there are.
    """
    by_group: dict[str, list[MemberLine]] = defaultdict(list)
    for one in members:
        by_group[one.group].append(one)
    stands: dict[str, list[Standing]] = defaultdict(list)
    for places in standings.values():
        for group, standing in places.items():
            stands[group].append(standing)
    names = sorted(by_group.keys() | stands.keys() | {group for group, count in dead.items() if count})
    return [
        GroupLine(
            group=name,
            members=tuple(sorted(by_group[name], key=lambda one: one.member)),
            dead=dead.get(name, 0),
            lag=_sum(one.lag for one in stands[name]),
            pending=_sum(one.pending for one in stands[name]),
            looked=len(standings),
            streams=streams,
        )
        for name in names
    ]
