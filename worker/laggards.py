"""Groups that are about to lose entries: told when it begins, and then more and more seldom (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from marketdata.groups.dead import one_line
from marketdata.keys import NAME_PATTERN

FIRST_PAUSE_S: Final = 300.0
LONGEST_PAUSE_S: Final = 3_600.0
_NAME: Final = 80


class Behind(NamedTuple):
    """How far a group is behind: in how many streams much, and how many entries in the worst of them."""

    streams: int
    most: int


@dataclass(slots=True)
class _Told:
    again_s: float
    pause_s: float
    behind_s: float


class Laggards:
    """Decides when there is something to say.

    Args:
        maxlen: entries of a stream that are kept.
    """

    def __init__(self, maxlen: int) -> None:
        self._maxlen = maxlen
        self._told: dict[str, _Told] = {}

    def look(self, behind: Mapping[str, Behind], now_s: float) -> list[str]:
        """One line for each group whose turn it is.

        Args:
            behind: by group, those that are far behind now.
            now_s: seconds of a clock that never goes back.
        """
        # A group that is behind every other minute is no news each time: it must have kept up for a whole pause.
        self._told = {name: one for name, one in self._told.items() if now_s - one.behind_s < one.pause_s}
        lines = []
        for name, (streams, most) in sorted(behind.items()):
            told = self._told.get(name)
            if told is not None:
                told.behind_s = now_s
                if now_s < told.again_s:
                    continue
            pause_s = FIRST_PAUSE_S if told is None else min(told.pause_s * 2, LONGEST_PAUSE_S)
            self._told[name] = _Told(now_s + pause_s, pause_s, now_s)
            lines.append(
                f"group {one_line(name)[:_NAME]} is far behind in {streams} streams, up to {most} entries; beyond"
                f" {self._maxlen} it loses them; if nobody reads it any more: {_advice(name)}"
            )
        return lines


def _advice(name: str) -> str:
    # Others may make groups of any name; the command takes those that ours can have, and no flags.
    if re.fullmatch(NAME_PATTERN, name) is None or name.startswith("-"):
        return "XGROUP DESTROY in each of them"
    return f"bookstream groups remove {name}"
