"""Where the children's log lines go: a bounded file a child, or this process's stderr."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import IO, Final, Self

from marketdata.embedded.folder import data_dir
from marketdata.embedded.logfile import bound, last_lines

_STAMP: Final = re.compile(r"^\d{4}-\d\d-\d\dT\S+ +\[\w+ *\] ")


class ChildLog:
    """The log of one child.

    Attributes:
        path: the file; None where the lines go to stderr.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path

    @classmethod
    def in_data_folder(cls, name: str) -> Self:
        """`up/NAME.log` in the data folder, ours alone."""
        folder = data_dir(os.environ) / "up"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls(folder / f"{name}.log")

    def open(self) -> IO[bytes] | None:
        """A handle for a new child's stderr, to append to; None: it inherits this process's."""
        return None if self.path is None else self.path.open("ab")

    def bound(self) -> None:
        """Keeps the file from growing without end."""
        if self.path is not None:
            bound(self.path)

    @property
    def place(self) -> str:
        """Where the lines are, in words."""
        return "its lines stand above" if self.path is None else f"its log is {self.path}"

    @property
    def last_message(self) -> str:
        """The newest line without its time; empty where there is no file or no line."""
        lines = [] if self.path is None else last_lines(self.path, 1)
        return _STAMP.sub("", lines[0]) if lines else ""

    @property
    def ending(self) -> str:
        """Where the log is and how it ends, in one line."""
        if self.path is None:
            return "its lines stand above"
        return f"{self.path} ends: {' | '.join(last_lines(self.path, 2)) or 'nothing'}"


def say_on_stderr(line: str) -> None:
    """One line of `up` itself."""
    print(f"bookstream up: {line}", file=sys.stderr, flush=True)
