"""One frame on paper: text for a pipe, or an SVG."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import Final

from rich.console import Console

from consumers.dashboard.pages.frame import Frame

PIPED_WIDTH: Final = 120
PIPED_HEIGHT: Final = 40
_LARGEST: Final = 1_000


def paper_size(environ: Mapping[str, str]) -> tuple[int, int]:
    """Columns and lines: COLUMNS and LINES, or the terminal's, or 120 x 40."""
    try:
        columns, lines = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1)
    except (OSError, ValueError):
        columns, lines = PIPED_WIDTH, PIPED_HEIGHT
    return _number(environ.get("COLUMNS", ""), columns), _number(environ.get("LINES", ""), lines)


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and 0 < int(text) <= _LARGEST else otherwise or PIPED_HEIGHT


def print_frame(frame: Frame, console: Console) -> None:
    """Writes it; without colours where they are not wanted, without escape codes where there is no terminal."""
    if console.is_terminal:
        console.print(frame.on_terminal())
    else:
        console.file.write(frame.text + "\n")


def svg(frame: Frame, width: int, title: str) -> str:
    """The frame as an SVG; equal frames give equal pictures."""
    console = Console(
        record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(frame)
    return console.export_svg(title=title, unique_id="bookstream")
