"""Where `tail` writes: stdout, coloured on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import sys

from rich.console import Console

from consumers.tail.lines import Name, human_line, json_line
from consumers.tail.merge import Found
from marketdata.clock import now_us
from marketdata.entries import Entry
from marketdata.errors import EntryError


class Output:
    """Writes entries until `count` of them are written.

    Args:
        as_json: one JSON object a line.
        outcome: only entries of this outcome and of the whole market.
        count: None: no end.
    """

    def __init__(self, *, as_json: bool, outcome: int | None, count: int | None) -> None:
        self._as_json = as_json
        self._outcomes = None if outcome is None else (str(outcome).encode(), b"")
        self._left = count
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)

    @property
    def is_done(self) -> bool:
        """Whether as many entries as were asked for are written."""
        return self._left == 0

    def write(self, found: Found, name: Name, *, standing: bool = False) -> None:
        """Writes an entry, if it is one of those that are wanted.

        Args:
            standing: it stood there before; it is marked, and not counted.
        """
        if self.is_done or (
            self._outcomes is not None and found.fields.get(b"outcome") not in self._outcomes
        ):
            return
        if self._left is not None and not standing:
            self._left -= 1
        if self._as_json:
            sys.stdout.write(json_line(found.id, found.key, name, found.fields, standing=standing) + "\n")
            return
        try:
            entry = Entry.from_fields(found.fields)
        except EntryError as error:
            sys.stdout.write(f"{found.id}  {found.key}  UNREADABLE: {error}\n")
            return
        line = human_line(found.id, name, entry, now_us(), standing=standing)
        if self._console.is_terminal:
            self._console.print(line)
        else:
            sys.stdout.write(f"{line.plain.rstrip()}\n")

    def flush(self) -> None:
        """Hands over what is written.

        Raises:
            BrokenPipeError: nobody reads it any more.
        """
        sys.stdout.flush()
