"""The user's terminal: keys one by one, and left behind as it was found, however the program ends."""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from consumers.dashboard.keys import ESC_WAIT_S, KeyDecoder

_READ: Final = 4_096
_LOCAL_FLAGS: Final = 3
_INPUT_FLAGS: Final = 0
_CONTROL_CHARACTERS: Final = 6
_ENDING: Final = (signal.SIGQUIT, signal.SIGHUP)


class Terminal:
    """Reads keys on the running event loop, between `take` and `give_back`. Both may be called again.

    Args:
        fd: of the terminal that keys come from; None: there is no keyboard.
        on_keys: gets the keys as they are pressed; "hangup" when the terminal is gone.
    """

    def __init__(self, fd: int | None, on_keys: Callable[[Sequence[str]], None]) -> None:
        self._fd = fd
        self._on_keys = on_keys
        self._decoder = KeyDecoder()
        self._esc: asyncio.TimerHandle | None = None
        self._before: list[Any] | None = None

    def take(self) -> None:
        """Keys arrive at once and are not echoed; ctrl-c and ctrl-z stay signals."""
        if self._fd is None or self._before is not None:
            return
        before = termios.tcgetattr(self._fd)
        mode = termios.tcgetattr(self._fd)
        mode[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
        # A ctrl-s would freeze a picture that looks as if it went on.
        mode[_INPUT_FLAGS] &= ~termios.IXON
        mode[_CONTROL_CHARACTERS][termios.VMIN], mode[_CONTROL_CHARACTERS][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
        self._before = before
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def give_back(self) -> None:
        """As it was before `take`."""
        if self._fd is None or self._before is None:
            return
        self._forget_esc()
        asyncio.get_running_loop().remove_reader(self._fd)
        before, self._before = self._before, None
        # What was typed and not read is not meant for the shell. A terminal that is gone needs nothing.
        with suppress(termios.error):
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, before)

    def _readable(self) -> None:
        assert self._fd is not None
        try:
            data = os.read(self._fd, _READ)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._on_keys(["hangup"])
            return
        self._forget_esc()
        keys = self._decoder.feed(data)
        if self._decoder.waits:
            self._esc = asyncio.get_running_loop().call_later(ESC_WAIT_S, self._nothing_followed)
        if keys:
            self._on_keys(keys)

    def _nothing_followed(self) -> None:
        if keys := self._decoder.flush():
            self._on_keys(keys)

    def _forget_esc(self) -> None:
        if self._esc is not None:
            self._esc.cancel()
            self._esc = None


class JobControl:
    """Ctrl-Z and `fg`: the terminal is given back before the process sleeps, and taken again when it wakes.

    Signals that end a process out of hand (ctrl-\\, a closed window) become SIGTERM, which ends it in good order.

    Args:
        leave, enter: give the terminal back, and take it.
    """

    def __init__(self, leave: Callable[[], None], enter: Callable[[], None]) -> None:
        self._leave = leave
        self._enter = enter
        self._ending: list[signal.Signals] = []

    def start(self) -> None:
        """Listens to SIGTSTP, SIGCONT, SIGQUIT and SIGHUP."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self._sleep)
        loop.add_signal_handler(signal.SIGCONT, self._wake)
        # What is ignored was set so before, by nohup.
        self._ending = [one for one in _ENDING if signal.getsignal(one) is not signal.SIG_IGN]
        for one in self._ending:
            loop.add_signal_handler(one, os.kill, os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        """The signals do again what they do by default."""
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTSTP, signal.SIGCONT, *self._ending):
            loop.remove_signal_handler(one)

    def _sleep(self) -> None:
        self._leave()
        os.kill(os.getpid(), signal.SIGSTOP)

    def _wake(self) -> None:
        # Whoever stopped us may have left the terminal in any state: all of it is set anew.
        self._leave()
        self._enter()
