"""The last lines: what a runner has to say, and which keys there are."""

from __future__ import annotations

from textwrap import wrap
from typing import Final

from consumers.dashboard.pages.cells import QUIET, SPECIAL, WARN, Cell, Line, Look, line, spread_out
from consumers.dashboard.pages.figures import count
from consumers.dashboard.plain import plain
from consumers.dashboard.state import State
from consumers.dashboard.ui import Listed, Ui

NOTES_SHOWN: Final = 3
NOTES_FOR_MS: Final = 30_000


def notes(state: State, look: Look) -> list[Line]:
    """The newest notes, for half a minute, in at most so many lines; a long one is wrapped."""
    lines: list[Line] = []
    for one in reversed(state.story.notes(look.now_ms - NOTES_FOR_MS)[-NOTES_SHOWN:]):
        clock = f"{look.clock(one.ms)} "
        room = NOTES_SHOWN - len(lines)
        texts = wrap(one.text, look.width - len(clock), max_lines=room, placeholder=look.glyphs.ellipsis)
        made = [
            line([(clock if at == 0 else " " * len(clock), QUIET), (text, WARN)], look)
            for at, text in enumerate(texts)
        ]
        lines = [*made, *lines]
        if len(lines) >= NOTES_SHOWN:
            break
    return lines


def footer(ui: Ui, listed: Listed, look: Look) -> Line:
    """The filter while one types, else the keys."""
    if ui.typing:
        cursor: list[Cell] = [(" /", "bold"), (_typed(ui.sought), "bold"), (" ", "reverse")]
        return spread_out(cursor, [*_position(ui, listed), (" enter keeps, esc clears ", QUIET)], look)
    keys = [("?", "help"), ("q", "quit")]
    if look.keys is None:
        return spread_out([], _position(ui, listed), look)
    if not look.keys:
        return line([(" no keyboard here: ctrl-c ends", QUIET)], look)
    if ui.help:
        keys = [("any key", "back"), ("q", "quit")]
    elif ui.opened:
        keys = [("esc", "back"), ("up/down", "entries"), ("p", _hold(ui)), *keys]
    elif ui.page == "books":
        keys = [("/", "filter"), ("s", "sort"), ("enter", "open"), ("p", _hold(ui)), *keys]
    else:
        keys = [("1-5", "pages"), ("p", _hold(ui)), *keys]
    left: list[Cell] = []
    for key, what in keys:
        left += [(f" {key}", SPECIAL), (f" {what} ", QUIET)]
    if ui.sought and ui.page == "books" and not (ui.opened or ui.help):
        left = [(" /", "bold"), (_typed(ui.sought), "bold"), ("  ", ""), *left]
    return spread_out(left, [] if ui.help else _position(ui, listed), look)


def _typed(sought: str) -> str:
    # The space that was typed last is seen.
    return plain(sought) + " " * sought.endswith(" ")


def _hold(ui: Ui) -> str:
    return "go on" if ui.paused else "pause"


def _position(ui: Ui, listed: Listed) -> list[Cell]:
    total = len(listed.keys)
    if ui.opened:
        return [(f"{count(ui.scroll)} entries back ", QUIET)] if ui.scroll else []
    if not total:
        return []
    first, last = ui.place.top + 1, min(ui.place.top + listed.height, total)
    return [(f"{first}-{last} of {count(total)} ", QUIET)]
