"""Errors in one line, as a log should tell them (pure)."""

from __future__ import annotations

import re
from typing import Final

_PIPELINE: Final = re.compile(r"^Command # \d+ \(.*\) of pipeline caused error: ", re.DOTALL)
_SCRIPT: Final = re.compile(r" script: .*$", re.DOTALL)
SELDOM: Final = 10


def in_one_line(error: BaseException) -> str:
    """What an error says, without the program text that redis-py and Redis put around it."""
    # Errors of a script within a pipeline come as a tuple around the text.
    text = str(error.args[0][0] if error.args and isinstance(error.args[0], tuple) else error)
    text = _SCRIPT.sub("", _PIPELINE.sub("", text))
    return (text or type(error).__name__).splitlines()[0][:200]


class Seldom:
    """Lets the first of a row of equal messages through, and then every tenth."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def begun(self) -> bool:
        """Whether a row has begun: something was said that is to be taken back."""
        return self._count > 0

    def says(self) -> bool:
        """Whether this time is one to speak."""
        self._count += 1
        return self._count == 1 or self._count % SELDOM == 0

    def end(self) -> None:
        """The row is over."""
        self._count = 0
