"""Lines whose columns hold on every terminal (pure).

Spacing marks (Indic vowel signs) take a cell of their own on some terminals and none on others, so what stands behind
them is put where it belongs by moving the cursor, and cells that may stay free are cleared before.
"""

from __future__ import annotations

from rich.control import Control
from rich.segment import ControlType, Segment

from consumers.dashboard.pages.cells import Line
from consumers.dashboard.plain import loose_cells


def placed(line: Line) -> Line:
    """The line, for a terminal; as wide as before by rich's measure."""
    if not any(loose_cells(one.text) for one in line):
        return line
    made: Line = []
    at = 0
    for one in line:
        loose, length = loose_cells(one.text), one.cell_length
        # What was fitted into a cell ends in as many spaces: on the most generous terminal they have no room.
        if loose and one.text.endswith(" " * loose):
            made += [
                _to(at + length - loose),
                Segment(" " * loose, one.style),
                _to(at),
                Segment(one.text[:-loose], one.style),
                _to(at + length),
            ]
        else:
            made.append(one)
            if loose:
                made.append(_to(at + length))
        at += length
    return made


def _to(column: int) -> Segment:
    return Control((ControlType.CURSOR_MOVE_TO_COLUMN, column)).segment
