"""Where a replay goes: what every sink can do, and JSON lines on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from consumers.merged import Read
from consumers.tail.lines import Name, json_line
from marketdata.errors import ReplayError

State = Literal["running", "done", "broken"]


class Sink(Protocol):
    """Takes a replay."""

    async def begin(self, *, resumes: bool) -> None:
        """Before the first entry. Raises ReplayError where it cannot take any; then nothing was written.

        Args:
            resumes: what was acknowledged before will not come again.
        """

    async def write(self, reads: Sequence[Read]) -> None:
        """Takes entries in the total order; when it returns, it has them for good."""

    async def end(self, state: State, why: str) -> None:
        """After the last entry; marks what is not whole."""


class JsonLines:
    """The lines of `bookstream tail --json`.

    Args:
        names: what people call the market of a stream.
    """

    def __init__(self, names: Mapping[str, Name]) -> None:
        self._names = names

    async def begin(self, *, resumes: bool) -> None:
        """Needs nothing."""

    async def write(self, reads: Sequence[Read]) -> None:
        """Raises BrokenPipeError where nobody reads, ReplayError where the lines cannot be written."""
        lines = [json_line(read.id, read.key, self._names[read.key], read.fields) for read in reads]
        try:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ReplayError(
                f"the lines cannot be written ({error.strerror}); what is there ends before {reads[-1].id}"
            ) from None

    async def end(self, state: State, why: str) -> None:
        """Lines mark nothing: the exit code and the last line on stderr say whether they are whole."""
