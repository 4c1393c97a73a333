"""The dashboard on a terminal: a loop that reads, a loop that draws, and keys in between."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.live import Live

from consumers.dashboard.pages.cells import Line, Look
from consumers.dashboard.pages.frame import Frame, frame, listed
from consumers.dashboard.pages.glyphs import glyphs_for
from consumers.dashboard.reader import LOOK_EVERY_S, DashboardReader
from consumers.dashboard.reading import Wish
from consumers.dashboard.state import State
from consumers.dashboard.terminal import JobControl, Terminal
from consumers.dashboard.ui import Ui, press, settled
from marketdata.clock import now_ms
from marketdata.errors import ContractError
from marketdata.keys import Keys

FRAME_S: Final = 0.25
"""At most four frames a second."""

NO_ANSWER_MS: Final = 1_400
"""Redis that has not answered anything for so long is away, whether or not its connection still stands."""

SOCKET_TIMEOUT_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 1.0


class App:
    """One dashboard. Used as a context manager it takes the terminal, and gives it back.

    Attributes:
        state: all that is shown.
        ui: what the user looks at.

    Args:
        console: the terminal's.
        keys: names in Redis.
        title: what runs.
        ui: where to begin.
        screen: whether it takes the terminal; else only pictures are made.
        clock: Unix milliseconds.
    """

    def __init__(
        self,
        console: Console,
        keys: Keys,
        *,
        title: str = "bookstream",
        ui: Ui | None = None,
        screen: bool = True,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.state = State(title)
        self.ui = ui or Ui()
        self._console = console
        self._keys = keys
        self._clock = clock
        self._reader: DashboardReader | None = None
        self._held: State | None = None
        self._held_ms = 0
        self._live: Live | None = None
        self._drawn: Sequence[Line] = ()
        self._ended = False
        fd = _keyboard() if screen else None
        self._has_keys: bool | None = fd is not None if screen else None
        self._terminal = Terminal(fd, self._on_keys)
        self._jobs = JobControl(self._leave, self._enter)

    def __enter__(self) -> Self:
        try:
            self._enter()
            self._jobs.start()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # One cancellation of a task that reads from Redis can get lost, see `marketdata.tasks`.
        self._ended = True
        self._jobs.stop()
        self._leave()

    def say(self, text: str) -> None:
        """Stands above the keys for half a minute, and in the log."""
        self.state.story.note(text, self._clock())

    def cannot_connect(self, text: str) -> None:
        """Why there is nothing to show yet."""
        if self.state.looked:
            self.say(text)
        else:
            self.state.lost(text.partition(";")[0], self._clock())

    async def follow(self, client: Redis) -> None:
        """Reads until it is cancelled or the terminal was given back, whatever becomes of Redis.

        Args:
            client: whose socket timeout is `SOCKET_TIMEOUT_S`.
        """
        self._reader = reader = DashboardReader(client, self._keys, self._clock)
        pause_s = LOOK_EVERY_S
        while not self._ended:
            began_s = time.monotonic()
            try:
                wish = self.wish()
                # A row that left the screen and came back between two looks was dropped, and is wanted again.
                reader.lack(one for one in (*wish.follow, wish.opened) if one not in self.state.views)
                reading = await reader.look(wish)
            except ContractError as error:
                self.state.lost(str(error), self._clock())
                pause_s = _LONGEST_PAUSE_S
            except RedisError as error:
                self.state.lost(f"Redis does not answer ({_one_line(error)})", self._clock())
                reader.forget()
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                pause_s = LOOK_EVERY_S
                if self._held is not None:
                    self.state.take_vitals(reading)
                else:
                    self.state.take(reading, reader.markets, wish.opened)
                    self.state.read = wish
            await asyncio.sleep(max(pause_s - (time.monotonic() - began_s), 0.01))

    async def draw(self) -> None:
        """Draws until the user leaves."""
        while not self.ui.quit:
            began_s = time.monotonic()
            self._draw()
            left_s = FRAME_S - (time.monotonic() - began_s)
            await asyncio.sleep(max(left_s, 0.01))

    def go_on(self) -> None:
        """`draw` may be called again, although the user wanted to leave."""
        self.ui = replace(self.ui, quit=False)

    def wish(self) -> Wish:
        """What is on the screen."""
        ui = self.ui
        if self._held is not None:
            return Wish()
        if ui.opened:
            return Wish(follow=(ui.opened,), opened=ui.opened)
        follow: tuple[str, ...] = ()
        if ui.page == "books":
            height = listed(self.state, ui, self.look()).height
            follow = tuple(self.state.order[ui.place.top : ui.place.top + height])
        return Wish(follow=follow, opportunities=ui.page == "opportunities", groups=ui.page == "groups")

    def look(self) -> Look:
        """The terminal of this moment."""
        width, height = self._console.size
        wall_ms = self._clock()
        return Look(
            width=width,
            height=height,
            glyphs=glyphs_for(self._console.encoding, _locale_name()),
            now_ms=self._held_ms if self._held is not None else wall_ms,
            wall_ms=wall_ms,
            utc_offset_s=time.localtime(wall_ms / 1000).tm_gmtoff,
            keys=self._has_keys,
        )

    def picture(self) -> Frame:
        """The frame of this moment."""
        look = self.look()
        if self._reader is not None and not self.state.away:
            silent_ms = look.wall_ms - self._reader.answered_ms
            if silent_ms > NO_ANSWER_MS:
                self.state.lost("Redis does not answer", look.wall_ms)
        shown = self._held or self.state
        shown.rank(self.ui.sort, self.ui.sought, look.now_ms, backwards=self.ui.backwards)
        self.ui = settled(self.ui, listed(shown, self.ui, look))
        self.state.story.judge(self.state.health(look.wall_ms), look.wall_ms)
        if self._held is None:
            wish = self.wish()
            self.state.keep_only((*wish.follow, wish.opened))
        return frame(shown, self.ui, look, self.state)

    def _draw(self) -> None:
        if self._live is None:
            return
        self._console.size = _terminal_size()
        made = self.picture()
        if made.lines != self._drawn:
            self._drawn = made.lines
            self._live.update(made.on_terminal(), refresh=True)

    def _on_keys(self, keys: Sequence[str]) -> None:
        for key in keys:
            before = self.ui
            shown = self._held or self.state
            self.ui = press(
                self.ui, "ctrl-c" if key == "hangup" else key, listed(shown, self.ui, self.look())
            )
            if self.ui.paused != before.paused:
                self._held_ms = self._clock()
                self._held = self.state.held() if self.ui.paused else None
            if self.ui.redraw != before.redraw:
                self._console.clear()
                self._drawn = ()
            shown.rank(self.ui.sort, self.ui.sought, self.look().now_ms, backwards=self.ui.backwards)

    def _enter(self) -> None:
        if self._live is None:
            self._terminal.take()
            self._console.size = _terminal_size()
            self._live = Live(console=self._console, screen=True, auto_refresh=False)
            self._live.start()
            self._drawn = ()

    def _leave(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._terminal.give_back()


def _keyboard() -> int | None:
    stdin = sys.__stdin__
    return stdin.fileno() if stdin is not None and not stdin.closed and stdin.isatty() else None


def _terminal_size() -> tuple[int, int]:
    # Not rich's: it believes COLUMNS and LINES, which do not follow when the window changes.
    try:
        columns, lines = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1)
    except OSError:
        columns, lines = 0, 0
    return columns or 80, lines or 24


def _locale_name() -> str:
    return os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
