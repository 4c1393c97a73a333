"""Consumer groups: what their members say of themselves, how they stand in the streams, what they gave up on (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.dashboard.plain import plain
from consumers.streams import MarketStream
from marketdata.entries import EntryId
from marketdata.keys import Keys


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
class Place:
    """Where a group stands in one stream: entries delivered and not acknowledged, and entries not delivered."""

    pending: int
    lag: int


@dataclass(frozen=True, slots=True)
class LetterLine:
    """A dead letter; empty where it does not say.

    Attributes:
        group: that gave up.
        at_ms: when, Unix milliseconds of Redis.
        condition_id: of the market; empty: the letter names no market's stream.
        attempts, reason: failed calls, and what the last one ended with.
    """

    group: str
    at_ms: int
    condition_id: str
    attempts: str
    reason: str


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group.

    Attributes:
        members: by name.
        dead: entries that it gave up on.
        letters: the newest of them, newest first.
        lag, pending: entries not yet delivered, and delivered but not acknowledged, in the streams looked at; None: it
            stands in none of them.
        looked, streams: how many streams were looked at, and how many there are.
    """

    group: str
    members: tuple[MemberLine, ...]
    dead: int
    letters: tuple[LetterLine, ...]
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
        group=group,
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


def parse_letter(keys: Keys, group: str, letter_id: bytes, fields: Mapping[bytes, bytes]) -> LetterLine:
    """Reads an entry of `dead:GROUP`; whoever wrote it, there is something to show."""

    def said(name: bytes) -> str:
        return plain(fields.get(name, b"").decode(errors="replace"))

    stream = MarketStream.parse(keys, said(b"stream"))
    return LetterLine(
        group=group,
        at_ms=EntryId.parse(letter_id).ms,
        condition_id=stream.condition_id if stream is not None else "",
        attempts=said(b"attempts"),
        reason=said(b"reason"),
    )


def group_lines(
    members: Iterable[MemberLine],
    dead: Mapping[str, int],
    letters: Iterable[LetterLine],
    places: Mapping[str, Mapping[str, Place]],
    streams: int,
) -> list[GroupLine]:
    """Groups by name.

    Args:
        members, letters: of all groups; letters newest first.
        dead: how many letters, by group.
        places: by stream that was looked at, by group.
        streams: how many there are.
    """
    members_of: dict[str, list[MemberLine]] = defaultdict(list)
    for one in members:
        members_of[one.group].append(one)
    letters_of: dict[str, list[LetterLine]] = defaultdict(list)
    for letter in letters:
        letters_of[letter.group].append(letter)
    places_of: dict[str, list[Place]] = defaultdict(list)
    for stands in places.values():
        for group, place in stands.items():
            places_of[group].append(place)
    names = sorted(members_of.keys() | places_of.keys() | {group for group, count in dead.items() if count})
    return [
        GroupLine(
            group=plain(name),
            members=tuple(sorted(members_of[name], key=lambda one: one.member)),
            dead=dead.get(name, 0),
            letters=tuple(letters_of[name]),
            lag=_sum(one.lag for one in places_of[name]),
            pending=_sum(one.pending for one in places_of[name]),
            looked=len(places),
            streams=streams,
        )
        for name in names
    ]
