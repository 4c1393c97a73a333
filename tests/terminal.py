"""A program in a terminal of its own, as a user has it: a pty, a screen that understands it, keys and resizing."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import termios
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import pyte
import pytest

SOON_S: Final = 30.0
"""Until then whatever is waited for has happened on any machine."""


class Terminal:
    """Runs a command; killed at the end if it still runs.

    Attributes:
        process: the command's.
        written: all bytes that it wrote.
        before: the terminal's settings before it ran.
    """

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], width: int = 120, height: int = 40
    ) -> None:
        self.process: asyncio.subprocess.Process
        self.written = b""
        self.before: list[Any] = []
        self._command = command
        self._environ = {**os.environ, "TERM": "xterm-256color", **environ}
        self._environ.pop("NO_COLOR", None) if "NO_COLOR" not in environ else None
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, self.theirs = pty.openpty()
        self._set_size(width, height)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen, line by line."""
        return self.text.split("\n")

    def shows(self, pattern: str) -> bool:
        """Whether the screen shows it."""
        return re.search(pattern, self.text) is not None

    def press(self, keys: str) -> None:
        """Types."""
        os.write(self._ours, keys.encode())

    def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        self._screen.resize(height, width)
        self._set_size(width, height)
        self.process.send_signal(signal.SIGWINCH)

    def settings(self) -> list[Any]:
        """The terminal's settings of now."""
        return termios.tcgetattr(self.theirs)

    async def until_shown(self, *patterns: str, bound_s: float = SOON_S) -> float:
        """Waits until all of it is on the screen at once; gives the seconds that took."""
        return await self.until(lambda: all(self.shows(one) for one in patterns), repr(patterns), bound_s)

    async def until(self, condition: Callable[[], object], what: str, bound_s: float = SOON_S) -> float:
        """Waits for something that follows from what was written; gives the seconds that took."""
        began_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(bound_s):
                while not condition():  # noqa: ASYNC110 - other processes set no event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{what} did not happen within {bound_s:g} s; the screen:\n{self.text}")
        return asyncio.get_running_loop().time() - began_s

    async def end(self) -> int:
        """Waits for the end; gives the exit code."""
        async with asyncio.timeout(SOON_S):
            return await self.process.wait()

    async def __aenter__(self) -> Self:
        self.before = self.settings()
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=self.theirs,
            stdout=self.theirs,
            stderr=self.theirs,
            env=self._environ,
            start_new_session=True,
        )
        asyncio.get_running_loop().add_reader(self._ours, self._readable)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        os.close(self.theirs)

    def _readable(self) -> None:
        try:
            data = os.read(self._ours, 65_536)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._ours)
            return
        self.written += data
        self._stream.feed(data)

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
