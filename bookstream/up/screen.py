"""What the user sees while it runs: a live view in a terminal, or a line every few seconds on stderr."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Protocol, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console

from bookstream.up.logs import say_on_stderr
from consumers.dashboard.app import FRAME_S, SOCKET_TIMEOUT_S, App
from consumers.dashboard.rates import Rates
from consumers.workers import WorkerWord, read_workers
from marketdata.clock import now_ms
from marketdata.keys import Keys
from marketdata.redis_url import RedisSession

POLL_S: Final = 1.0
PROGRESS_EVERY_S: Final = 5.0
_SAID_KEPT: Final = 20


class Screen(Protocol):
    """One way to show a run. Used as a context manager; `refresh` is called every `every_s`."""

    every_s: float

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, line: str) -> None:
        """Tells the user something that happened."""

    async def refresh(self) -> Sequence[WorkerWord]:
        """Reads Redis, shows what there is, and gives the newest words; none while Redis is away."""


class LiveScreen:
    """The dashboard on the terminal's alternate screen; what happened stands below it, and is left behind after.

    Args:
        session, keys: where to read.
        title: what runs.
        console: the terminal.
        leave: called when the user wants to end the run.
    """

    every_s = FRAME_S

    def __init__(
        self, session: RedisSession, keys: Keys, title: str, console: Console, leave: Callable[[], None]
    ) -> None:
        self._app = App(console, keys, title=title)
        self._session = session
        self._leave = leave
        self._said: deque[str] = deque(maxlen=_SAID_KEPT)
        self._loops: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self._app.__enter__()
        client = self._session.new_client(
            "bookstream-up-view", socket_timeout_s=SOCKET_TIMEOUT_S, connect_timeout_s=SOCKET_TIMEOUT_S
        )
        self._loops = [
            asyncio.create_task(self._app.follow(client), name="dashboard reads"),
            asyncio.create_task(self._draw(), name="dashboard draws"),
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for loop in self._loops:
            loop.cancel()
        self._app.__exit__(kind, error, trace)
        for line in self._said:
            say_on_stderr(line)

    def say(self, line: str) -> None:
        self._said.append(f"{time.strftime('%H:%M:%S')} {line}")
        self._app.say(line)

    async def refresh(self) -> Sequence[WorkerWord]:
        for loop in self._loops:
            if loop.done():
                loop.result()
        return () if self._app.state.away else self._app.state.workers

    async def _draw(self) -> None:
        await self._app.draw()
        self._leave()
        self.say("ending: the worker flushes and says its last words")
        self._app.go_on()
        await self._app.draw()


class ProgressScreen:
    """Lines on stderr: what happens at once, how it goes every few seconds."""

    every_s = POLL_S

    def __init__(
        self,
        client: Redis,
        keys: Keys,
        *,
        say: Callable[[str], None] = say_on_stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._keys = keys
        self._say = say
        self._clock = clock
        self._rates = Rates()
        self._next_s = clock() + PROGRESS_EVERY_S
        self._away = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def say(self, line: str) -> None:
        self._say(line)

    async def refresh(self) -> Sequence[WorkerWord]:
        try:
            words = await read_workers(self._client, self._keys)
        except RedisError as error:
            if not self._away:
                self._say(f"Redis is away ({error or type(error).__name__}); waiting for it")
            self._away = True
            return ()
        if self._away:
            self._say("Redis is back")
        self._away = False
        self._rates.update({_key(word): (word.now_ms, word.count("updates")) for word in words})
        if self._clock() >= self._next_s:
            self._next_s = self._clock() + PROGRESS_EVERY_S
            for line in progress(words, self._rates, now_ms()):
                self._say(line)
        return words


def progress(words: Sequence[WorkerWord], rates: Rates, at_ms: int) -> list[str]:
    """One line for each worker that is heard, or one that says that there is none.

    Args:
        words: newest records.
        rates: updates a second, by worker and start.
        at_ms: now, Unix milliseconds.
    """
    lines = []
    for word in words:
        if word.is_heard(at_ms):
            per_s = rates.get(_key(word))
            p99 = word.latency_ms.p99
            lines.append(
                f"{word.worker} {word.state}{f' {word.waits_for}' if word.waits_for else ''}: "
                f"{word.markets} markets, {word.tokens_live}/{word.tokens} tokens live, "
                f"{word.count('updates')} updates{'' if per_s is None else f' ({per_s:.0f}/s)'}, "
                f"{word.count('entries')} entries, {word.count('gaps')} gaps, "
                f"p99 {f'{p99:.1f} ms' if p99 else '-'}"
            )
    return lines or ["no worker is heard"]


def _key(word: WorkerWord) -> tuple[str, int]:
    return word.worker, word.started_ms
