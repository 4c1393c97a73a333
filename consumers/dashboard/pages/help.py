"""The help, which lies over everything."""

from __future__ import annotations

from typing import Final

from consumers.dashboard.pages.cells import QUIET, SPECIAL, Line, Look, blank, line

_KEYS: Final = (
    ("1 2 3 4 5", "books, connections, opportunities, groups, log"),
    ("tab shift-tab", "next page, page before"),
    ("up down j k", "mark the next row, the row before"),
    ("pgup pgdn space b", "a screenful"),
    ("home end g G", "first and last row"),
    ("enter", "open the marked market: both outcomes, gaps, entries"),
    ("esc", "back: leave the market, clear the filter, unmark"),
    ("/", "filter markets as you type: question, event, slug, id"),
    ("s S", "sort by activity, spread, age, volume, name; reverse"),
    ("p", "hold the picture, ages and all; p again: go on"),
    ("ctrl-l", "draw anew"),
    ("q ctrl-c", "leave"),
)
_WORDS: Final = (
    ("LIVE", "tokens are live, partitions are written, Redis answers"),
    ("DEGRADED", "some of it is not: the first line says what, and what to do"),
    ("DOWN", "nothing new arrives; what is shown is old"),
    ("gap", "updates may be missing: no price until the next one"),
    ("Yes!", "the other outcome of this market is in a gap"),
)


def help_page(look: Look, height: int) -> list[Line]:
    """Keys and words."""
    lines: list[Line] = [blank(look)] if height >= len(_KEYS) + len(_WORDS) + 3 else []
    lines += [line([(f"  {keys:<19}", SPECIAL), (what, "")], look) for keys, what in _KEYS]
    lines += [blank(look)]
    lines += [line([(f"  {word:<19}", "bold"), (what, "")], look) for word, what in _WORDS]
    if height > len(lines) + 1:
        lines += [
            blank(look),
            line([("  Nothing here changes anything in Redis. Any key goes back.", QUIET)], look),
        ]
    return (lines + [blank(look)] * height)[:height]
