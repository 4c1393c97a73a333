"""Page 4: who reads the streams, how far behind they are, and what they gave up on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from consumers.dashboard.members import GroupLine, LetterLine, MemberLine
from consumers.dashboard.names import short_name
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
    widths_of,
)
from consumers.dashboard.pages.figures import count, span
from consumers.dashboard.plain import plain
from consumers.dashboard.state import State
from consumers.dashboard.ui import Ui

TITLE_LINES: Final = 1
LETTERS_SHOWN: Final = 5
_SILENT_AFTER_MS: Final = 5_000
_STYLES: Final = (GOOD, WARN, BAD)


@lru_cache(64)
def columns(width: int) -> tuple[Column, ...]:
    """The same on all screens, wider on wide ones."""
    wide = width >= 112
    number = 10 if wide else 8
    return (
        Column("group", 0, weight=2, most=32),
        Column("member", 0, weight=3, most=60),
        Column("partitions", 10, right=True) if wide else Column("parts", 5, right=True),
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


def letters(state: State) -> list[LetterLine]:
    """The newest dead letters of all groups, newest first."""
    found = [letter for group in state.groups or () for letter in group.letters]
    return sorted(found, key=lambda one: -one.at_ms)[:LETTERS_SHOWN]


def list_height(state: State, height: int) -> int:
    """Rows that fit above the dead letters and below the titles."""
    dead = letters(state)
    return max(height - TITLE_LINES - (len(dead) + 2 if dead else 0), 1)


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
    place, room = ui.place, list_height(state, height)
    for key, group, member in listed[place.top : place.top + room]:
        made = _sums(group, state, look) if member is None else _member(member, state, look)
        lines.append(row(made, table, look, marked=key == place.key, faded=bool(state.away)))
    first = listed[0][1]
    if first.looked < first.streams and len(lines) < TITLE_LINES + room:
        so_far = f"  lag and pending: of {first.looked:,} of {first.streams:,} streams so far"
        lines.append(line([(so_far, QUIET)], look))
    lines.extend(blank(look) for _ in range(TITLE_LINES + room - len(lines)))
    lines.extend(_dead(state, look))
    return (lines + [blank(look)] * height)[:height]


@lru_cache(64)
def _letter_columns(width: int) -> tuple[Column, ...]:
    wide = width >= 112
    return (
        Column("given up", 8),
        Column("group", 16 if wide else 12),
        Column("market", 0, weight=2, most=90),
        Column("calls", 5, right=True),
        Column("why", 0, weight=3),
    )


def _dead(state: State, look: Look) -> list[Line]:
    found = letters(state)
    if not found:
        return []
    table = _letter_columns(look.width)
    room = widths_of(table, look.width - 2)[2]
    todo = f" dead letters {look.glyphs.dot} bookstream groups requeue NAME hands them back"
    lines = [line([(todo, QUIET)], look), head(table, look)]
    for one in found:
        market = state.markets.get(one.condition_id)
        name = one.condition_id
        if market is not None:
            name = short_name(market, room, look.glyphs.ellipsis, look.glyphs.dot)
        cells: list[Cell] = [
            (look.clock(one.at_ms), QUIET),
            (plain(one.group), ""),
            (name, ""),
            (one.attempts, QUIET),
            (one.reason, BAD),
        ]
        lines.append(row(cells, table, look))
    return lines


def _sums(group: GroupLine, state: State, look: Look) -> list[Cell]:
    number = len(group.members)
    who = group.members[0].member if number == 1 else f"{number} members" if number else "none is heard"
    return [
        (group.group, "bold"),
        (who, "" if number else WARN if group.lag else QUIET),
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
