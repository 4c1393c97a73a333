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
    row,
)
from consumers.dashboard.pages.figures import count, span
from consumers.dashboard.state import State
from consumers.dashboard.ui import Ui

TITLE_LINES: Final = 1
_SILENT_AFTER_MS: Final = 5_000


@lru_cache(64)
def columns(width: int) -> tuple[Column, ...]:
    """The same on all screens, wider on wide ones."""
    number = 10 if width >= 112 else 8
    return (
        Column("group", 0, weight=2),
        Column("member", 0, weight=3),
        Column("partitions", 10, right=True),
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
    lines.extend(blank(look) for _ in range(height - len(lines)))
    return lines


def _sums(group: GroupLine, state: State, look: Look) -> list[Cell]:
    number = len(group.members)
    who = group.members[0].member if number == 1 else f"{number} members" if number else "no member is here"
    return [
        (group.group, "bold"),
        (who, "" if number else BAD),
        *_figures(group.partitions, group.lag, group.pending),
        (count(group.dead), BAD if group.dead else QUIET),
        (count(group.handled), QUIET),
        _heard(max((one.now_ms or 0 for one in group.members), default=0), state, look),
    ]


def _member(one: MemberLine, state: State, look: Look) -> list[Cell]:
    return [
        ("", ""),
        (one.member, QUIET),
        *_figures(one.partitions, one.lag, one.pending),
        ("", ""),
        (count(one.handled), QUIET),
        _heard(one.now_ms or 0, state, look),
    ]


def _figures(partitions: int | None, lag: int | None, pending: int | None) -> list[Cell]:
    return [
        (count(partitions), ""),
        (count(lag), QUIET if lag is None else GOOD if lag < 1_000 else WARN if lag < 100_000 else BAD),
        (count(pending), QUIET if not pending else ""),
    ]


def _heard(now_ms: int, state: State, look: Look) -> Cell:
    if not now_ms:
        return ("-", QUIET)
    ago_ms = look.now_ms - state.behind_ms - now_ms
    return (span(ago_ms), BAD if ago_ms > _SILENT_AFTER_MS else QUIET)
