"""The few signs beyond ASCII, and what stands for them where a terminal knows only ASCII."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Each one cell wide."""

    bars: str
    up: str
    down: str
    same: str
    ellipsis: str
    marker: str
    rule: str
    dot: str
    good: str
    bad: str
    none: str


UNICODE: Final = Glyphs(
    bars="▁▂▃▄▅▆▇█",
    up="▲",
    down="▼",
    same="•",
    ellipsis="…",
    marker="▌",
    rule="─",
    dot="·",
    good="━",
    bad="╳",
    none=" ",
)
ASCII: Final = Glyphs(
    bars="_.-:=+*#",
    up="^",
    down="v",
    same="*",
    ellipsis="~",
    marker=">",
    rule="-",
    dot="-",
    good="=",
    bad="X",
    none=" ",
)


def glyphs_for(encoding: str, locale_name: str = "") -> Glyphs:
    """The set that can be written in an encoding, and that the locale can show.

    Args:
        encoding: of the output.
        locale_name: LC_ALL, else LC_CTYPE; empty: the encoding decides. In the C locale Python writes UTF-8 all the
            same (PEP 540), whatever the terminal knows.
    """
    named = encoding.lower().replace("_", "-").startswith("utf")
    return UNICODE if named and "utf" in (locale_name or "utf").lower() else ASCII


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs, *, from_zero: bool = True) -> str:
    """The newest `width` values as bars, at the right edge.

    Args:
        values: oldest first.
        width: cells.
        glyphs: for the bars.
        from_zero: whether the lowest bar is zero; else it is the smallest value.
    """
    shown = list(values)[-width:] if width > 0 else []
    if not shown:
        return " " * max(width, 0)
    low, high = 0.0 if from_zero else min(shown), max(shown)
    top = len(glyphs.bars) - 1
    if high <= low:
        bar = glyphs.bars[0 if from_zero else top // 2]
        return (bar * len(shown)).rjust(width)
    return "".join(glyphs.bars[round((one - low) / (high - low) * top)] for one in shown).rjust(width)
