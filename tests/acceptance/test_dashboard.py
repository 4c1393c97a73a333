"""`bookstream dashboard` as a user has it: in a terminal, driven by keys, while things go wrong around it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from marketdata.clock import now_ms
from tests.dashboard_world import connection, record
from tests.integration.worker.processes import WorkerProcess
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter, demo_markets
from tests.terminal import Terminal

ESC, UP, DOWN, ENTER, TAB = "\x1b", "\x1b[A", "\x1b[B", "\r", "\t"
LEFT_SCREEN: Final = b"\x1b[?1049l"
SHOWN_CURSOR: Final = b"\x1b[?25h"

TOLD_WITHIN_S: Final = 4.0
FROZEN_WITHIN_S: Final = 12.0
"""Six seconds, and what a busy machine and a worker's random quiet seconds add."""
"""The promise is two seconds; the rest is for a machine that does other things at the same moment."""


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


def command(server: PrivateRedis, *flags: str) -> list[str]:
    return [sys.executable, "-m", "bookstream", "dashboard", "--redis-url", server.url, *flags]


def dashboard(
    server: PrivateRedis, *flags: str, width: int = 120, height: int = 40, **environ: str
) -> Terminal:
    return Terminal(command(server, *flags), environ, width, height)


class Town:
    """A Redis with markets, whose worker speaks once a second."""

    def __init__(self, server: PrivateRedis, markets: int = 12) -> None:
        self.client = server.client()
        self.writer = StreamWriter(self.client, count=markets)
        self.writer.ms = now_ms() - 5_000
        self.entries: dict[str, int] = {}
        for number, market in enumerate(self.writer.markets):
            for outcome in (0, 1):
                self.writer.top(market, outcome, bid=f"0.{30 + number}", ask=f"0.{40 + number}")
            self.entries[market.condition_id] = 100 - number

    def speak(self, **given: Any) -> None:
        at_ms = now_ms()
        self.entries = {one: count + 40 - 3 * at for at, (one, count) in enumerate(self.entries.items())}
        by_market = {one: {"entries": count, "last_ms": at_ms} for one, count in self.entries.items()}
        plain = {
            "now_ms": at_ms,
            "connections": [connection(last_data_ms=at_ms, last_frame_ms=at_ms)],
            "counters": {"updates": sum(self.entries.values()), "gaps": 0},
            "by_market": by_market,
            "log": [{"ms": at_ms, "what": "reconnect", "text": "c1 is open again"}],
        }
        self.client.set("worker:alpha-1", json.dumps(record(**plain | given)), ex=10)
        self.client.zadd("workers", {"alpha-1": at_ms})

    @asynccontextmanager
    async def alive(self, **given: Any) -> AsyncIterator[None]:
        async def keep() -> None:
            while True:
                self.speak(**given)
                await asyncio.sleep(1)

        task = asyncio.create_task(keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def town(server: PrivateRedis) -> Iterator[Town]:
    town = Town(server)
    yield town
    town.client.close()


async def test_driven_by_keys(server: PrivateRedis, town: Town) -> None:
    first = town.writer.markets[0].question
    async with town.alive(), dashboard(server) as screen:
        await screen.until_shown("LIVE +every token is live", r"0\.30 +x +30", "1-12 of 12", "updates/s")
        screen.press("2")
        await screen.until_shown("pong ms", r"alpha-1 +c0 +live +3 +50/50")
        screen.press("3")
        await screen.until_shown("no engine is running")
        screen.press(TAB)
        await screen.until_shown("no groups")
        screen.press("5")
        await screen.until_shown("reconnect +alpha-1 +c1 is open again", "health +dashboard +LIVE")
        screen.press("1" + DOWN)
        await screen.until_shown("▌")
        screen.press(ENTER)
        await screen.until_shown("gaps Yes|gaps Up", "skipped note", r"esc back")
        opened = screen.lines[4].strip()
        assert opened in {market.question for market in town.writer.markets}
        market = next(one for one in town.writer.markets if one.question == opened)
        town.writer.ms = now_ms()
        town.writer.top(market, 0, bid="0.771", ask="0.8")
        await screen.until_shown(r"▲0\.771", r"top +0\.771")
        town.writer.gap(market, None, "stale")
        await screen.until_shown(r"gap +stale", r"╳")
        screen.press(ESC)
        await screen.until_shown("1-12 of 12")
        screen.press("/")
        screen.press("zzz")
        await screen.until_shown('no market has "zzz"', "/zzz")
        screen.press("\x7f\x7f\x7f" + first[:20])
        await screen.until_shown("of 1 ")
        screen.press(ENTER)
        await screen.until(lambda: "enter keeps" not in screen.text, "the filter is kept")
        screen.press(ESC)
        await screen.until_shown("1-12 of 12")
        for sort in ("spread", "age", "volume", "name", "activity"):
            screen.press("s")
            await screen.until_shown(rf"by {sort}")
        screen.press("?")
        await screen.until_shown("filter markets as you type")
        screen.press("x")
        await screen.until_shown("by activity")
        screen.press("p")
        await screen.until_shown("PAUSED", "go on")
        held = screen.lines[1:]
        town.writer.top(town.writer.markets[1], 0, bid="0.999", ask="1")
        await screen.until_shown(r"PAUSED since \d\d:\d\d:\d\d \((?:[3-9]|\d\d)s\)")
        assert screen.lines[1:] == held, "figures and ages, too"
        for page in "34":
            screen.press(page)
            await screen.until_shown("paused: not read; p goes on")
        screen.press("1")
        screen.press(ENTER)
        await screen.until_shown("paused: not read; p goes on", "esc back")
        screen.press(ESC)
        await screen.until_shown("by activity")
        screen.press("p")
        await screen.until_shown(r"0\.999")
        screen.press("q")
        assert await screen.end() == 0
    assert LEFT_SCREEN in screen.written[-200:]


async def test_resizing(server: PrivateRedis, town: Town) -> None:
    async with town.alive(), dashboard(server, width=80, height=24, COLUMNS="33", LINES="5") as screen:
        await screen.until_shown("LIVE", "gaps/min", "1-12 of 12")
        for width, height in ((200, 60), (300, 80), (120, 40)):
            screen.resize(width, height)
            await screen.until(
                lambda width=width, height=height: (
                    len(screen.lines[0]) == width  # type: ignore[misc]
                    and screen.lines[height - 1].endswith("of 12")
                ),
                f"a frame of {width} x {height}",
            )
        screen.resize(70, 20)
        await screen.until_shown("too small", "it is 70 x 20, 80 x 24 are needed")
        screen.resize(80, 24)
        await screen.until_shown("LIVE", "1-12 of 12")
        screen.process.send_signal(signal.SIGINT)
        assert await screen.end() == 130


def restored(screen: Terminal) -> bool:
    return (
        screen.settings() == screen.before
        and LEFT_SCREEN in screen.written[-400:]
        and SHOWN_CURSOR in screen.written[-400:]
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP])
async def test_the_terminal_is_given_back_after(
    server: PrivateRedis, town: Town, number: signal.Signals
) -> None:
    async with town.alive(), dashboard(server) as screen:
        await screen.until_shown("LIVE")
        assert not screen.settings()[3] & (termios.ECHO | termios.ICANON)
        screen.process.send_signal(number)
        assert await screen.end() == 143
        await screen.until(lambda: restored(screen), "the terminal is as it was")


async def test_the_terminal_is_given_back_after_an_exception(server: PrivateRedis, town: Town) -> None:
    broken = (
        "import sys; from consumers.dashboard import state; from bookstream.cli import main\n"
        "def boom(*_): raise ZeroDivisionError('boom')\n"
        "state.State._take_page = boom\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = command(server)[3:]
    async with town.alive(), Terminal([sys.executable, "-c", broken, *arguments], {}) as screen:
        assert await screen.end() == 1
        await screen.until_shown("ZeroDivisionError: boom")
        assert screen.settings() == screen.before
        assert SHOWN_CURSOR in screen.written
        assert screen.written.index(LEFT_SCREEN) < screen.written.index(b"ZeroDivisionError")


async def test_the_terminal_is_given_back_while_it_sleeps(server: PrivateRedis, town: Town) -> None:
    async with town.alive(), dashboard(server) as screen:
        await screen.until_shown("LIVE", "1-12 of 12")
        taken = screen.settings()
        for _ in range(2):
            screen.process.send_signal(signal.SIGTSTP)
            await screen.until(lambda: state_of(screen.process.pid) == "T", "it sleeps")
            await screen.until(lambda: restored(screen), "the terminal is as it was")
            screen.process.send_signal(signal.SIGCONT)
            await screen.until(lambda: screen.settings() == taken, "it has the terminal again")
            clock = screen.lines[0][-8:]
            await screen.until(lambda clock=clock: screen.lines[0][-8:] != clock, "it draws")  # type: ignore[misc]
            await screen.until_shown("LIVE")
        screen.press("2")
        await screen.until_shown("pong ms")
        screen.process.send_signal(signal.SIGSTOP)
        await screen.until(lambda: state_of(screen.process.pid) == "T", "it sleeps")
        termios.tcsetattr(screen.theirs, termios.TCSANOW, screen.before)
        screen.process.send_signal(signal.SIGCONT)
        await screen.until(lambda: screen.settings() == taken, "it has the terminal again")
        screen.press("q")
        assert await screen.end() == 0
        await screen.until(lambda: restored(screen), "the terminal is as it was")


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_no_worker_no_redis_and_then_both(server: PrivateRedis) -> None:
    server.kill9()
    async with dashboard(server) as screen:
        await screen.until_shown("DOWN", "does not answer", "it is tried again")
        server.start()
        await screen.until_shown(
            "DOWN +no worker is here", "start one: bookstream worker", "no markets in this Redis yet"
        )
        town = Town(server)
        async with town.alive():
            await screen.until_shown("LIVE", "1-12 of 12")
        town.client.close()
        await screen.until_shown("DOWN +no word of worker alpha-1 for", bound_s=2 + TOLD_WITHIN_S)


async def test_redis_that_hangs_is_told(server: PrivateRedis, town: Town) -> None:
    async with dashboard(server) as screen:
        town.speak()
        await screen.until_shown("LIVE|DOWN", "1-12 of 12")
        server.pause()
        try:
            await screen.until_shown("DOWN .*Redis does not answer", bound_s=TOLD_WITHIN_S)
            assert screen.shows("1-12 of 12"), "the last picture stays"
        finally:
            server.resume()
        await screen.until(lambda: not screen.shows("Redis does not answer"), "it is read again")


async def test_whatever_dies_is_told_and_heals(tmp_path: Path, server: PrivateRedis) -> None:
    venue = Venue()
    try:
        settings = {**venue.settings, "redis_url": server.url, "first_book_timeout_s": 3}
        with WorkerProcess(tmp_path, "one", **settings) as worker:
            async with dashboard(server) as screen:
                await screen.until_shown("LIVE", r"[1-9]\d* live", r"0\.\d+ +x +\d")
                venue.stop()
                took = {"venue": await screen.until_shown("DEGRADED|DOWN", bound_s=TOLD_WITHIN_S)}
                venue.start()
                await screen.until_shown("LIVE +every|LIVE +all")
                server.kill9()
                took["Redis"] = await screen.until_shown(
                    "DOWN .*Redis does not answer", bound_s=TOLD_WITHIN_S
                )
                server.start()
                await screen.until_shown("LIVE +every|LIVE +all")
                worker.process.kill()
                took["worker"] = await screen.until_shown(
                    "DOWN +no word of worker one", bound_s=TOLD_WITHIN_S
                )
                with WorkerProcess(tmp_path, "two", **settings):
                    await screen.until_shown("LIVE +every|LIVE +all", bound_s=60)
                    screen.press("5")
                    await screen.until_shown(r"LIVE again, after", "DOWN: no word of worker one")
                print("told within", {name: f"{seconds:.2f} s" for name, seconds in took.items()})
    finally:
        venue.stop()


async def test_a_venue_that_freezes_is_told_within_seconds(tmp_path: Path, server: PrivateRedis) -> None:
    """Its connections stand, nothing is refused: only that nothing arrives any more tells of it."""
    venue = Venue()
    try:
        settings = {**venue.settings, "redis_url": server.url, "first_book_timeout_s": 3}
        with WorkerProcess(tmp_path, "one", **settings):
            async with dashboard(server) as screen:
                await screen.until_shown("LIVE +every", r"[1-9]\d* live")
                await asyncio.to_thread(busy_for, server, 30)
                venue.freeze()
                try:
                    why = r"DEGRADED +nothing received for \d+ s, where \d+ messages/s came"
                    took_s = await screen.until_shown(why, bound_s=FROZEN_WITHIN_S)
                finally:
                    venue.thaw()
                await screen.until_shown("LIVE +every|LIVE +all")
                print(f"told within {took_s:.2f} s")
    finally:
        venue.stop()


def busy_for(server: PrivateRedis, seconds: int) -> None:
    """Waits until a worker has received steadily for so long."""
    with server.client() as client:
        began_s = time.monotonic()
        received = {}
        while received.get("busy_seconds", 0) < seconds:
            assert time.monotonic() - began_s < 3 * seconds, received
            time.sleep(0.2)
            word = orjson.loads(client.get("worker:one") or b"{}")
            received = word.get("received", {})
        assert word["loading"] is False


class Venue:
    """A simulated venue that can be killed and started where it was."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._address = ""
        self._start_ms = now_ms()
        self.start()

    def start(self) -> None:
        listen = self._address.removeprefix("http://") or "127.0.0.1:0"
        played = [
            "--synthetic",
            "--markets",
            "12",
            "--rate",
            "60",
            "--seed",
            "7",
            "--start-ms",
            str(self._start_ms),
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bookstream", "simulate", "--listen", listen, *played],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._address = self._process.stdout.readline().strip()
        assert self._address.startswith("http://"), self._address

    def stop(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait(10)
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def settings(self) -> dict[str, str]:
        socket = self._address.replace("http://", "ws://")
        return {"venue_ws_url": f"{socket}/ws/market", "gamma_url": self._address, "clob_url": self._address}


async def test_ten_thousand_markets(server: PrivateRedis, town: Town) -> None:
    market = demo_markets()[0]
    base = orjson.loads(market.to_json())
    pipe = town.client.pipeline(transaction=False)
    for number in range(10_000):
        one = f"0x{number:064x}"
        question = f"東京で雨が降りますか number {number}?"
        pipe.hset("catalog", one, orjson.dumps({**base, "condition_id": one, "question": question}))
        town.entries[one] = number
    pipe.xadd("catalog:log", {"id": "x", "why": "many"})
    pipe.execute()
    async with town.alive(), dashboard(server) as screen:
        await screen.until_shown("LIVE", "of 10,012")
        screen.press("G")
        await screen.until_shown(r"9,?\d{3}-10,?012 of 10,012|\d+-10012 of 10,012")
        screen.press("/9999?")
        await screen.until_shown("number 9999", "of 1 ")
        screen.press(ENTER + "q")
        assert await screen.end() == 0


async def test_without_colours_and_without_unicode(server: PrivateRedis, town: Town) -> None:
    async with town.alive(), dashboard(server, NO_COLOR="1", PYTHONIOENCODING="ascii") as screen:
        await screen.until_shown("LIVE", "1-12 of 12")
        screen.press(DOWN)
        await screen.until_shown("> ")
        assert not [code for code in (b"\x1b[31m", b"\x1b[32m", b"38;5;", b"48;5;") if code in screen.written]
        screen.press("q")
        assert await screen.end() == 0


def once(server: PrivateRedis, *flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(server, *flags),
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_one_frame_for_a_pipe_and_for_a_picture(
    server: PrivateRedis, town: Town, tmp_path: Path
) -> None:
    picture = tmp_path / "shown.svg"
    async with town.alive():
        printed = await asyncio.to_thread(once, server, "--once", COLUMNS="100", LINES="30")
        page = await asyncio.to_thread(once, server, "--once", "--page", "connections")
        drawn = await asyncio.to_thread(once, server, "--export", str(picture))
    assert (printed.returncode, printed.stderr) == (0, "")
    assert "\x1b" not in printed.stdout
    lines = printed.stdout.splitlines()
    assert len(lines) == 30
    assert max(map(len, lines)) == 100
    assert "LIVE" in lines[0]
    assert "0.30" in printed.stdout
    assert "updates/s" in lines[1]
    assert not lines[1].lstrip().startswith("0 "), "two words of the worker make a rate"
    assert "alpha-1" in page.stdout
    assert (drawn.returncode, drawn.stdout) == (0, "")
    assert picture.read_text().startswith("<svg")


def test_one_frame_without_redis_says_so(server: PrivateRedis) -> None:
    server.kill9()
    printed = once(server, "--once")
    assert printed.returncode == 1
    assert printed.stdout.startswith(" DOWN ")
    assert "does not answer" in printed.stdout


def test_what_cannot_be_is_one_line(server: PrivateRedis, tmp_path: Path) -> None:
    piped = once(server)
    assert (piped.returncode, piped.stdout) == (2, "")
    assert piped.stderr.count("\n") == 1
    assert "stdout is no terminal" in piped.stderr
    assert "--once" in piped.stderr
    raster = once(server, "--export", str(tmp_path / "x.png"))
    assert (raster.returncode, raster.stdout) == (2, "")
    assert raster.stderr.count("\n") == 1
    assert "must end in .svg" in raster.stderr
    assert not (tmp_path / "x.png").exists()
    unwritable = once(server, "--export", str(tmp_path / "missing" / "x.svg"))
    assert unwritable.returncode == 2
    assert "nothing was written" in unwritable.stderr
    away = once(server, "--export", str(tmp_path / "away.svg"), "--redis-url", "redis://127.0.0.1:1/0")
    assert (away.returncode, away.stdout, away.stderr.count("\n")) == (1, "", 1)
    assert "Redis could not be read" in away.stderr


async def test_a_dumb_terminal_is_told(server: PrivateRedis) -> None:
    async with dashboard(server, TERM="dumb") as screen:
        assert await screen.end() == 2
        await screen.until_shown("no terminal that can show a screen")


@pytest.mark.needs_tmux
async def test_in_tmux(server: PrivateRedis, town: Town, tmp_path: Path) -> None:
    socket = str(tmp_path / "tmux")

    def tmux(*words: str) -> str:
        ran = subprocess.run(
            ["tmux", "-S", socket, *words], capture_output=True, text=True, check=True, timeout=30
        )
        return ran.stdout

    async def shows(*words: str) -> None:
        text = ""
        try:
            async with asyncio.timeout(30):
                while not all(word in text for word in words):
                    await asyncio.sleep(0.1)
                    text = await asyncio.to_thread(tmux, "capture-pane", "-p")
        except TimeoutError:
            pytest.fail(f"tmux does not show {words}:\n{text}")

    async with town.alive():
        shell = ["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "sh"]
        await asyncio.to_thread(tmux, *shell)
        try:
            line = " ".join(command(server))
            await asyncio.to_thread(tmux, "send-keys", line, "Enter")
            await shows("LIVE", "1-12 of 12", "market")
            await asyncio.to_thread(tmux, "send-keys", "Down", "Enter")
            await shows("note", "esc back")
            await asyncio.to_thread(tmux, "send-keys", "Escape")
            await shows("1-12 of 12")
            await asyncio.to_thread(tmux, "send-keys", "C-z")
            await shows("Stopped")
            await asyncio.to_thread(tmux, "send-keys", "fg", "Enter")
            await shows("LIVE", "1-12 of 12")
            await asyncio.to_thread(tmux, "send-keys", "q")
            # What is typed before the program has ended is dropped with it.
            await shows("Stopped")
            await asyncio.to_thread(tmux, "send-keys", "echo ended with $?", "Enter")
            await shows("ended with 0")
        finally:
            await asyncio.to_thread(tmux, "kill-server")
