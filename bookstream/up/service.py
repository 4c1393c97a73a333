"""Runs simulator, worker and engine, shows them, and ends all: the only place that knows all parts of `up`."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

import orjson
from redis.exceptions import RedisError
from rich.console import Console

from bookstream.settings import UpSettings
from bookstream.up.child import Child
from bookstream.up.logs import ChildLog, say_on_stderr
from bookstream.up.plan import (
    capture_arguments,
    engine_environ,
    simulated_venue,
    simulator_arguments,
    synthetic_arguments,
    worker_environ,
)
from bookstream.up.screen import LiveScreen, ProgressScreen, Screen
from bookstream.up.totals import Totals
from consumers.arbitrage.listing import count_opened
from consumers.streams import scan_streams
from consumers.verify.check import verify
from consumers.verify.report import Report
from consumers.workers import read_workers
from marketdata.clock import now_ms
from marketdata.entries import EntryId
from marketdata.errors import ChildError
from marketdata.keys import Keys
from marketdata.redis_url import RedisSession, redis_session, wait_for_redis
from marketdata.tasks import end_tasks

READY_S: Final = 30.0
"""A simulator without an address ends the run after this long."""

TELL_AFTER_S: Final = 10.0
"""A worker without a live token is told of after this long: a venue out of reach looks like a quiet one."""

WORKER_GRACE_S: Final = 6.0
"""A worker takes at most 5 s to stop."""

ENGINE_GRACE_S: Final = 3.0
SIMULATOR_GRACE_S: Final = 3.0
LAST_WORD_S: Final = 2.0
VERIFY_S: Final = 60.0
VERIFY_AFTER_CTRL_C_S: Final = 5.0


async def run(settings: UpSettings, stop: asyncio.Event) -> int:
    """Runs until `stop` is set or the duration is over; returns 1 if there were faults, else 0.

    A person who ends a live view has seen its faults and reads of them once more: only a broken promise is 1 then.

    No process that it started outlives it.

    Raises:
        ChildError: simulator, worker or engine refuses to run, or the simulator does not become ready.
        EmbeddedServerError, RedisRefusedError: there is no Redis to write to.
    """
    console = Console()
    plain = settings.headless or not console.is_terminal or console.is_dumb_terminal
    screens: list[Screen] = []

    def say(line: str) -> None:
        (screens[0].say if screens else say_on_stderr)(line)

    async with AsyncExitStack() as stack:
        opening = redis_session(settings.redis_url, client_name="bookstream-up", log=say)
        session = await _unless(stop, stack.enter_async_context(opening))
        if session is None:
            say_on_stderr("ended before Redis answered; nothing was started")
            return 1 if plain else 0
        keys = Keys(settings.key_prefix)
        if plain:
            screens.append(ProgressScreen(session.client, keys))
        else:
            title = f"venue: {settings.venue}"
            screens.append(LiveScreen(session, keys, title, console, stop.set))
        up = Up(settings, session, keys, screens[0], stop, logs_on_stderr=plain)
        await up.run()
        screens.clear()
        report = await up.verify()
    faults = up.totals.faults(report)
    if settings.headless:
        for fault in faults:
            say_on_stderr(fault)
        sys.stdout.write(orjson.dumps(up.totals.summary(report)).decode() + "\n")
    else:
        sys.stdout.write("\n".join(up.totals.in_words(report)) + "\n")
    is_broken = report is not None and not report.ok
    is_forgiven = not plain and settings.duration_s is None and not is_broken
    return 1 if faults and not is_forgiven else 0


class Up:
    """One run.

    Attributes:
        totals: what it came to.
    """

    def __init__(
        self,
        settings: UpSettings,
        session: RedisSession,
        keys: Keys,
        screen: Screen,
        stop: asyncio.Event,
        *,
        logs_on_stderr: bool,
    ) -> None:
        self.totals = Totals()
        self._settings = settings
        self._session = session
        self._keys = keys
        self._screen = screen
        self._stop = stop
        self._first = EntryId(now_ms(), 0)
        self._address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._venue: dict[str, str] = {}
        self._seed = secrets.randbits(32) if settings.seed is None else settings.seed
        self._played = (
            capture_arguments(settings.capture)
            if settings.capture
            else synthetic_arguments(settings, self._seed, self._first.ms)
        )
        self._logs = {
            name: ChildLog(None) if logs_on_stderr else ChildLog.in_data_folder(name)
            for name in ("simulator", "worker", "engine")
        }
        self._simulator = Child(
            "simulator",
            lambda: simulator_arguments(
                self._address.result() if self._address.done() else None, self._played
            ),
            os.environ,
            self._logs["simulator"],
            screen.say,
            on_line=self._take_address,
        )
        self._worker: Child | None = None
        self._engine: Child | None = None

    async def run(self) -> None:
        """From the first start to the last end of the children."""
        watched: set[asyncio.Task[Any]] = {asyncio.create_task(self._stop.wait())}
        show: asyncio.Task[None] | None = None
        with self._screen:
            try:
                if self._settings.venue == "simulated":
                    if not self._settings.capture:
                        self._screen.say(f"the synthetic venue's seed is {self._seed}")
                    watched.add(asyncio.create_task(self._simulator.keep_running()))
                    await _first_of(watched, self._simulator_ready())
                if not self._stop.is_set():
                    environ = worker_environ(self._settings, self._venue, os.environ)
                    log = self._logs["worker"]
                    self._worker = Child("worker", lambda: ["worker"], environ, log, self._screen.say)
                    watched.add(asyncio.create_task(self._worker.keep_running()))
                    if self._settings.arbitrage:
                        watched.add(asyncio.create_task(self._start_engine().keep_running()))
                    show = asyncio.create_task(self._show())
                    watched.add(show)
                    await _first_of(watched, self._duration())
            finally:
                if show is not None:
                    show.cancel()
                await self._end(watched)

    def _start_engine(self) -> Child:
        environ = engine_environ(self._settings, os.environ)
        self._engine = Child(
            "arbitrage engine", lambda: ["arbitrage"], environ, self._logs["engine"], self._screen.say
        )
        return self._engine

    async def verify(self) -> Report | None:
        """Holds this run's entries to the proof rule; None if that cannot be done in time."""
        hurried = self._stop.is_set() and not self._settings.headless
        limit_s = VERIFY_AFTER_CTRL_C_S if hurried else VERIFY_S
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while True:
                    try:
                        streams = await scan_streams(self._session.client, self._keys)
                        return await verify(self._session.client, streams, first=self._first)
                    except RedisError:
                        await wait_for_redis(self._session.client, self._session.target, log=say_on_stderr)
        say_on_stderr(f"not verified within {limit_s:g} s; bookstream verify --from {self._first} does it")
        return None

    async def _simulator_ready(self) -> None:
        try:
            async with asyncio.timeout(READY_S):
                self._venue = simulated_venue(await asyncio.shield(self._address))
        except TimeoutError:
            raise ChildError(
                f"the simulator said no address within {READY_S:g} s; nothing is left running"
            ) from None

    def _take_address(self, line: str) -> None:
        if line.startswith("http://") and not self._address.done():
            self._address.set_result(line)

    async def _duration(self) -> None:
        if self._settings.duration_s is None:
            await self._stop.wait()
        else:
            await asyncio.sleep(self._settings.duration_s)

    async def _show(self) -> None:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        was_live = told = False
        while True:
            self.totals.add(await self._screen.refresh(), _HOST, self._worker_pids)
            if not was_live:
                was_live = any(word.tokens_live for word in self.totals.words.values())
                if was_live and told:
                    self._screen.say(f"tokens are live, after {clock() - began_s:.0f} s")
                elif not (was_live or told) and clock() - began_s >= TELL_AFTER_S:
                    told = True
                    log = self._logs["worker"]
                    self._screen.say(
                        f"the worker has no live token yet, after {TELL_AFTER_S:g} s; {log.place}"
                    )
                    if log.last_message:
                        self._screen.say(log.last_message)
            await asyncio.sleep(self._screen.every_s)

    async def _end(self, watched: set[asyncio.Task[Any]]) -> None:
        """The worker first: while it stops, its venue must not seem to have gone away."""
        await self._hear()
        self.totals.note_end(self._worker_pids[-1] if self._worker_pids else None)
        try:
            if self._worker is not None:
                await self._worker.stop(WORKER_GRACE_S)
            await self._hear()
        finally:
            if self._engine is not None:
                await self._engine.stop(ENGINE_GRACE_S)
                await self._count_opportunities()
            await self._simulator.stop(SIMULATOR_GRACE_S)
            await end_tasks(watched)

    async def _count_opportunities(self) -> None:
        try:
            async with asyncio.timeout(LAST_WORD_S):
                opened = await count_opened(self._session.client, self._keys, self._first)
                self.totals.opportunities = opened
        except (RedisError, TimeoutError) as error:
            self._screen.say(f"the opportunities could not be counted ({error or 'no answer'})")

    @property
    def _worker_pids(self) -> list[int]:
        return [] if self._worker is None else self._worker.pids

    async def _hear(self) -> None:
        """Reads the newest words once more, if Redis answers soon."""
        try:
            async with asyncio.timeout(LAST_WORD_S):
                words = await read_workers(self._session.client, self._keys)
                self.totals.add(words, _HOST, self._worker_pids)
        except (RedisError, TimeoutError) as error:
            self._screen.say(f"a worker's last word could not be read ({error or 'no answer'})")


_HOST: Final = socket.gethostname()


async def _unless(stop: asyncio.Event, opening: Coroutine[Any, Any, RedisSession]) -> RedisSession | None:
    """The session; None, and the opening given up, if `stop` is set before there is one."""
    working, stopping = asyncio.ensure_future(opening), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping})


async def _first_of(watched: set[asyncio.Task[Any]], done: Coroutine[Any, Any, None]) -> None:
    """Waits for `done`; whatever else ends first ends the wait too, with its error if it has one."""
    waiting = asyncio.create_task(done)
    try:
        finished, _ = await asyncio.wait({*watched, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()
    finally:
        waiting.cancel()
        await asyncio.wait({waiting})
