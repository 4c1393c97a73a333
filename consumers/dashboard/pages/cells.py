"""Lines of cells in fixed widths: all that a page is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias

from rich.segment import Segment
from rich.style import Style

from consumers.dashboard.pages.glyphs import Glyphs
from consumers.dashboard.plain import cells as width_of
from consumers.dashboard.plain import fit

Line: TypeAlias = list[Segment]
Cell: TypeAlias = tuple[str, str]
"""Text fit for a terminal, and a style in rich's words."""

QUIET: Final = "dim"
TITLE: Final = "dim"
MARKED: Final = "white on grey23"
GOOD: Final = "green"
WARN: Final = "yellow"
BAD: Final = "bold red"
SPECIAL: Final = "cyan"

NOT_READ: Final = "paused: not read; p goes on"
"""Of what a held picture has nothing of."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a page is drawn on.

    Attributes:
        width, height: cells of the whole screen.
        glyphs: signs that the terminal knows.
        now_ms: of the picture, Unix milliseconds.
        wall_ms: of the clock on the wall, which goes on while the picture is held.
        utc_offset_s: of the user's time zone.
        keys: whether there is a keyboard; None: what is drawn is paper.
    """

    width: int
    height: int
    glyphs: Glyphs
    now_ms: int
    wall_ms: int
    utc_offset_s: int = 0
    keys: bool | None = True

    def clock(self, ms: int) -> str:
        """The time of day, "12:34:56"."""
        seconds = (ms // 1000 + self.utc_offset_s) % 86_400
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `width` 0 takes what is left, shared by weight, up to `most` cells (0: any number)."""

    title: str
    width: int
    right: bool = False
    weight: int = 1
    most: int = 0


@lru_cache(1024)
def style_of(words: str, base: str = "") -> Style:
    """A style in rich's words, laid over a base."""
    return Style.parse(base) + Style.parse(words)


def cell(text: str, width: int, look: Look, style: str = "", *, right: bool = False) -> Segment:
    """A text in exactly `width` cells."""
    return Segment(fit(text, width, right, look.glyphs.ellipsis), style_of(style))


def line(parts: Iterable[Cell], look: Look, base: str = "") -> Line:
    """Texts one after the other, cut or padded to the width of the screen."""
    left = look.width
    made: Line = []
    for text, style in parts:
        width = min(width_of(text), left)
        if width > 0:
            made.append(Segment(fit(text, width, False, look.glyphs.ellipsis), style_of(style, base)))
            left -= width
    if left > 0:
        made.append(Segment(" " * left, style_of("", base)))
    return made


def spread_out(left: Sequence[Cell], right: Sequence[Cell], look: Look, base: str = "") -> Line:
    """Texts at the left edge and texts at the right one; the right ones win where there is no room for both."""
    tail = [Segment(text, style_of(style, base)) for text, style in right]
    room = look.width - sum(one.cell_length for one in tail)
    if room < 0:
        return line(right, look, base)
    return [*line(left, replace(look, width=room), base), *tail]


@lru_cache(256)
def widths_of(columns: tuple[Column, ...], width: int) -> tuple[int, ...]:
    """Cells of each column of a table of `width` cells, one cell between two."""
    fixed = sum(column.width for column in columns) + len(columns) - 1
    weights = sum(column.weight for column in columns if not column.width)
    room = max(width - fixed, 0)
    widths = [column.width or room * column.weight // weights for column in columns]
    rest = width - sum(widths) - len(columns) + 1
    flexible = [at for at, column in enumerate(columns) if not column.width]
    if flexible and rest > 0:
        widths[flexible[-1]] += rest
    # On a wide screen numbers would stand far from what they belong to.
    return tuple(
        min(width, column.most) if column.most else width
        for width, column in zip(widths, columns, strict=True)
    )


def head(columns: tuple[Column, ...], look: Look, sorted_by: str = "", *, rising: bool = False) -> Line:
    """The titles of a table, with a sign at the one it is sorted by: which way its values go downwards."""
    sign = look.glyphs.up if rising else look.glyphs.down
    made: Line = [Segment("  ")]
    for column, width in zip(columns, widths_of(columns, look.width - 2), strict=True):
        chosen = bool(sorted_by) and column.title == sorted_by
        title = column.title + sign if chosen else column.title
        made.append(cell(title, width, look, "bold" if chosen else TITLE, right=column.right))
        made.append(Segment(" "))
    return made[:-1] + _rest(made[:-1], look)


def row(
    cells: Sequence[Cell],
    columns: tuple[Column, ...],
    look: Look,
    *,
    marked: bool = False,
    faded: bool = False,
) -> Line:
    """One row of a table; the marked one is told by a sign, so that it is seen without colours.

    A faded row is one that nobody vouches for any more: nothing in it may look fresh.
    """
    base = MARKED if marked else ""
    made: Line = [
        Segment(f"{look.glyphs.marker if marked else ' '} ", style_of(SPECIAL if marked else "", base))
    ]
    gap = Segment(" ", style_of("", base))
    for (text, style), column, width in zip(cells, columns, widths_of(columns, look.width - 2), strict=True):
        made.append(
            Segment(
                fit(text, width, column.right, look.glyphs.ellipsis),
                style_of(QUIET if faded else style, base),
            )
        )
        made.append(gap)
    made.pop()
    return made + _rest(made, look, base)


def _rest(made: Line, look: Look, base: str = "") -> Line:
    left = look.width - sum(one.cell_length for one in made)
    return [Segment(" " * left, style_of("", base))] if left > 0 else []


def blank(look: Look) -> Line:
    """An empty line."""
    return [Segment(" " * look.width)]


def centred(texts: Sequence[Cell], look: Look, height: int) -> list[Line]:
    """A few lines in the middle of `height` lines: what a page says while it has nothing to list."""
    above = max((height - len(texts)) // 3, 0)
    lines = [blank(look) for _ in range(min(above, height))]
    for text, style in texts[: max(height - len(lines), 0)]:
        margin = max((look.width - len(text)) // 2, 0)
        lines.append(line([(" " * margin + text, style)], look))
    lines.extend(blank(look) for _ in range(height - len(lines)))
    return lines
