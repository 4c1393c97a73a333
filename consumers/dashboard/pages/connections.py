"""Page 2: every connection of every worker."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from consumers.dashboard.health import is_silent
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
from consumers.dashboard.pages.figures import NOTHING, count, millis, per_s, span
from consumers.dashboard.plain import plain
from consumers.dashboard.records import ConnectionRecord, WorkerRecord
from consumers.dashboard.state import State
from consumers.dashboard.ui import Ui

TITLE_LINES: Final = 1
_STATES: Final = {"live": GOOD, "subscribed": WARN, "connecting": WARN, "closed": BAD}
_DATA_IS_OLD_MS: Final = 30_000


@lru_cache(64)
def columns(width: int) -> tuple[Column, ...]:
    """Narrow screens shorten the words."""
    wide = width >= 112
    return (
        Column("worker", 0, weight=2, most=24) if wide else Column("worker", 10),
        Column("shard", 7 if wide else 5),
        Column("state", 10),
        Column("gen", 4 if wide else 3, right=True),
        Column("tokens", 9 if wide else 7, right=True),
        *([Column("stale", 5, right=True), Column("quar.", 5, right=True)] if wide else []),
        Column("msg/s", 6 if wide else 5, right=True),
        Column("data", 4, right=True),
        Column("pong ms", 7, right=True) if wide else Column("pong", 5, right=True),
        Column("reconn.", 7, right=True) if wide else Column("rec", 3, right=True),
        Column("rescues", 7, right=True) if wide else Column("res", 3, right=True),
        Column("last close", 0, weight=3),
    )


def rows(state: State) -> list[tuple[str, WorkerRecord, ConnectionRecord | None]]:
    """Keys of the rows, and what they show; a worker without connections has one of its own."""
    made: list[tuple[str, WorkerRecord, ConnectionRecord | None]] = []
    for word in state.workers:
        if not word.connections:
            made.append((word.worker, word, None))
        made.extend((f"{word.worker}/{one.name}", word, one) for one in word.connections)
    return made


def connections(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    """The visible part of the list."""
    table = columns(look.width)
    lines = [head(table, look)]
    listed = rows(state)
    if not listed:
        said = [("no worker is here", ""), ("start one: bookstream worker", QUIET)]
        return lines + centred(said, look, height - TITLE_LINES)
    place = ui.place
    for key, word, one in listed[place.top : place.top + height - TITLE_LINES]:
        silent = is_silent(word, state.hearing.age_ms(word.worker, look.now_ms)) or bool(state.away)
        made = _worker_alone(word, look, silent) if one is None else _cells(state, word, one, look, silent)
        lines.append(row(made, table, look, marked=key == place.key))
    lines.extend(blank(look) for _ in range(height - len(lines)))
    return lines


def _worker_alone(word: WorkerRecord, look: Look, silent: bool) -> list[Cell]:
    state = "silent" if silent else word.state
    empty: list[Cell] = [("", "")] * (len(columns(look.width)) - 4)
    return [
        (plain(word.worker), ""),
        ("", ""),
        (state, BAD if silent else QUIET),
        *empty,
        (plain(word.waits_for), QUIET),
    ]


def _cells(state: State, word: WorkerRecord, one: ConnectionRecord, look: Look, silent: bool) -> list[Cell]:
    wide = look.width >= 112
    said = "silent" if silent else one.state
    data_ms = word.now_ms - one.last_data_ms + state.hearing.age_ms(word.worker, look.now_ms)
    old = one.last_data_ms > 0 and data_ms > _DATA_IS_OLD_MS
    rescues = _total(one.rescues)
    quiet = QUIET if silent else ""
    cells: list[Cell] = [
        (plain(word.worker), quiet),
        (plain(one.name), quiet),
        (plain(said), BAD if silent else _STATES.get(one.state, "")),
        (count(one.generation), quiet),
        (f"{one.live}/{one.tokens}", WARN if one.waiting and not silent else quiet),
    ]
    if wide:
        cells += [_bad(one.tokens_stale), _bad(one.tokens_quarantined)]
    cells += [
        (per_s(None if silent else state.frames.get((*word.key, one.name))), quiet),
        (span(data_ms) if one.last_data_ms else NOTHING, WARN if old else QUIET),
        (millis(one.pong_ms), quiet),
        (count(max(one.opens - 1, 0)), WARN if one.opens > 1 else QUIET),
        (count(rescues), WARN if rescues else QUIET),
        (plain(one.last_close), QUIET),
    ]
    return cells


def _bad(number: int | None) -> Cell:
    return (count(number), BAD if number else QUIET)


def _total(rescues: Mapping[str, int] | None) -> int | None:
    return None if rescues is None else sum(rescues.values())
