"""The keyboard on the event loop: esc alone, longer keys in parts, the terminal as it was found."""

from __future__ import annotations

import asyncio
import os
import pty
import termios
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from consumers.dashboard.keys import ESC_WAIT_S
from consumers.dashboard.terminal import Terminal

SOON_S = 10.0


class Keyboard:
    """Both ends of a terminal: bytes that are typed, and keys that arrive, with the moment of each."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.terminal = Terminal(self.theirs, self._take)
        self._arrived: asyncio.Queue[tuple[str, float]] = asyncio.Queue()

    def _take(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._arrived.put_nowait((key, time.monotonic()))

    def press(self, data: bytes) -> float:
        now_s = time.monotonic()
        os.write(self.ours, data)
        return now_s

    async def key(self) -> tuple[str, float]:
        async with asyncio.timeout(SOON_S):
            return await self._arrived.get()


@asynccontextmanager
async def keyboard() -> AsyncIterator[Keyboard]:
    board = Keyboard()
    board.terminal.take()
    try:
        yield board
    finally:
        board.terminal.give_back()
        os.close(board.ours)
        os.close(board.theirs)


async def test_esc_is_a_key_when_nothing_follows_it() -> None:
    async with keyboard() as board:
        pressed_s = board.press(b"\x1b")
        key, at_s = await board.key()
        assert key == "esc"
        # The timer's own grain is a few milliseconds.
        assert at_s - pressed_s >= ESC_WAIT_S - 0.005


async def test_what_follows_esc_at_once_belongs_to_it() -> None:
    async with keyboard() as board:
        board.press(b"\x1b")
        board.press(b"[")
        board.press(b"A")
        assert (await board.key())[0] == "up"
        board.press(b"\x1bOBx")
        assert [(await board.key())[0] for _ in range(2)] == ["down", "x"]


async def test_keys_wait_for_no_timer() -> None:
    async with keyboard() as board:
        board.press(b"\x1b[B/")
        assert (await board.key())[0] == "down"
        key, _ = await board.key()
        assert key == "/"


async def test_a_beginning_that_nothing_follows_is_no_key() -> None:
    async with keyboard() as board:
        board.press(b"\x1b[")
        await asyncio.sleep(2 * ESC_WAIT_S)
        board.press(b"q")
        assert (await board.key())[0] == "q"


async def test_the_terminal_is_given_back_as_it_was() -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    terminal = Terminal(theirs, lambda _: None)
    for _ in range(2):
        terminal.take()
        terminal.take()
        assert not termios.tcgetattr(theirs)[3] & (termios.ECHO | termios.ICANON)
        assert termios.tcgetattr(theirs)[3] & termios.ISIG, "ctrl-c and ctrl-z stay signals"
        terminal.give_back()
        terminal.give_back()
        assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


async def test_a_terminal_that_is_gone_is_a_hangup() -> None:
    board = Keyboard()
    board.terminal.take()
    os.close(board.ours)
    assert (await board.key())[0] == "hangup"
    board.terminal.give_back()
    os.close(board.theirs)
