"""Page 4: who reads the streams, how far behind they are, and what they gave up on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from consumers.dashboard.members import GroupLine, MemberLine
from consumers.dashboard.pages.cells import (
    BAD,
    GOOD,
    QUIET,
    WARN,
    Cell,
    Column,
    Line,
    Look,
    blank,
    centred,
    head,
    line,
    row,
)
from consumers.dashboard.pages.figures import count, span
from consumers.dashboard.state import State
from consumers.dashboard.ui import Ui

TITLE_LINES: Final = 1
_SILENT_AFTER_MS: Final = 5_000
_STYLES: Final = (GOOD, WARN, BAD)


@lru_cache(64)
def columns(width: int) -> tuple[Column, ...]:
    """The same on all screens, wider on wide ones."""
    number = 10 if width >= 112 else 8
    return (
        Column("group", 0, weight=2),
        Column("member", 0, weight=3),
        Column("partitions", 10, right=True),
        Column("behind", 6, right=True),
        Column("lag", number, right=True),
        Column("pending", number, right=True),
        Column("dead", 6, right=True),
        Column("handled", number, right=True),
        Column("heard", 5, right=True),
    )


def rows(groups: Sequence[GroupLine]) -> list[tuple[str, GroupLine, MemberLine | None]]:
    """Keys of the rows, and what they show: each group's sums, then its members if it has several."""
    made: list[tuple[str, GroupLine, MemberLine | None]] = []
    for group in groups:
        made.append((group.group, group, None))
        if len(group.members) > 1:
            made.extend((f"{group.group}/{one.member}", group, one) for one in group.members)
    return made


def groups(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    """The visible part of the list."""
    table = columns(look.width)
    lines = [head(table, look)]
    listed = rows(state.groups or ())
    if not listed:
        said: list[Cell] = (
            [("no groups: nobody reads the streams as a group", "")]
            if state.groups is not None
            else [("looking for groups", QUIET)]
        )
        return lines + centred(said, look, height - TITLE_LINES)
    place = ui.place
    for key, group, member in listed[place.top : place.top + height - TITLE_LINES]:
        made = _sums(group, state, look) if member is None else _member(member, state, look)
        lines.append(row(made, table, look, marked=key == place.key))
    first = listed[0][1]
    if first.looked < first.streams and len(lines) < height:
        so_far = f"  lag and pending: of {first.looked:,} of {first.streams:,} streams so far"
        lines.append(line([(so_far, QUIET)], look))
    lines.extend(blank(look) for _ in range(height - len(lines)))
    return lines


def _sums(group: GroupLine, state: State, look: Look) -> list[Cell]:
    number = len(group.members)
    who = group.members[0].member if number == 1 else f"{number} members" if number else "no member tells"
    return [
        (group.group, "bold"),
        (who, "" if number else QUIET),
        (count(group.partitions), ""),
        _behind(group.behind_ms),
        (count(group.lag), QUIET if group.lag is None else _STYLES[_degree(group.lag, 1_000, 100_000)]),
        (count(group.pending), "" if group.pending else QUIET),
        (count(group.dead), BAD if group.dead else QUIET),
        (count(group.handled), QUIET),
        _heard(max((one.now_ms or 0 for one in group.members), default=0), state, look),
    ]


def _member(one: MemberLine, state: State, look: Look) -> list[Cell]:
    return [
        ("", ""),
        (one.member, QUIET),
        (count(one.partitions), ""),
        _behind(one.behind_ms),
        *[("", "")] * 3,
        (count(one.handled), QUIET),
        _heard(one.now_ms or 0, state, look),
    ]


def _behind(ms: int | None) -> Cell:
    if ms is None:
        return ("-", QUIET)
    text = f"{ms}ms" if ms < 1_000 else span(ms)
    return (text, _STYLES[_degree(ms, 1_000, 10_000)])


def _degree(number: int, some: int, much: int) -> int:
    return (number >= some) + (number >= much)


def _heard(now_ms: int, state: State, look: Look) -> Cell:
    if not now_ms:
        return ("-", QUIET)
    ago_ms = look.now_ms - state.behind_ms - now_ms
    return (span(ago_ms), BAD if ago_ms > _SILENT_AFTER_MS else QUIET)
