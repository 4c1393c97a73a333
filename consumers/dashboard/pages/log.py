"""Page 5: the latest gaps, reconnects, rescues and errors of all workers, and who came and went; newest first."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

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
    widths_of,
)
from consumers.dashboard.plain import shorten
from consumers.dashboard.state import State
from consumers.dashboard.story import Happening
from consumers.dashboard.ui import Ui

TITLE_LINES: Final = 1
_STYLES: Final = {
    "gap": BAD,
    "error": BAD,
    "reconnect": WARN,
    "rescue": WARN,
    "market": QUIET,
    "note": "cyan",
    "redis": WARN,
    "worker": WARN,
}


@lru_cache(64)
def columns(width: int) -> tuple[Column, ...]:
    """What was said gets all the room."""
    return (
        Column("time", 8),
        Column("what", 9),
        Column("worker", 20 if width >= 160 else 12 if width >= 112 else 10),
        Column("", 0),
    )


def key_of(one: Happening) -> str:
    """Of its row."""
    return f"{one.ms} {one.what} {one.who} {one.text}"


def log(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    """The visible part of the list."""
    table = columns(look.width)
    lines = [head(table, look)]
    happened = state.story.lines
    if not happened:
        return lines + centred([("nothing happened yet", QUIET)], look, height - TITLE_LINES)
    place, room = ui.place, widths_of(table, look.width - 2)[-1]
    for one in happened[place.top : place.top + height - TITLE_LINES]:
        cells: list[Cell] = [
            (look.clock(one.ms), QUIET),
            (one.what, _style(one)),
            (one.who or "dashboard", QUIET),
            (_said(one, room, look), ""),
        ]
        lines.append(row(cells, table, look, marked=key_of(one) == place.key))
    lines.extend(blank(look) for _ in range(height - len(lines)))
    return lines


def _said(one: Happening, room: int, look: Look) -> str:
    if one.what == "health":
        # What is wrong comes first, how much of it after.
        return one.text
    return shorten(one.text.removeprefix(f"{one.what}: "), room, look.glyphs.ellipsis)


def _style(one: Happening) -> str:
    if one.what == "health":
        return GOOD if one.text.startswith("LIVE") else BAD if one.text.startswith("DOWN") else WARN
    return _STYLES.get(one.what, "")
