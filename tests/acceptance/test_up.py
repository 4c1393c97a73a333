"""`bookstream up --venue simulated`: it runs, heals, tells, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from consumers.workers import WorkerWord
from marketdata.clock import now_ms
from marketdata.redis_client import open_redis_sync
from marketdata.redis_target import RedisTarget
from tests.terminal import SOON_S, Terminal

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds its processes through /proc"),
    pytest.mark.timeout(90),
]

MARK = "BOOKSTREAM_TEST_RUN"
SERVER = ("valkey-server", "unixsocket:")


class Run:
    """One `up` with a data folder of its own.

    Attributes:
        mark: stands in the environment of every process it starts, however far away.
        said: lines of stderr so far.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        self.mark = secrets.token_hex(8)
        self.said: list[str] = []
        venue = ("--venue", "simulated", "--markets", "12", "--seed", "7")
        self.arguments = (sys.executable, "-m", "bookstream", "up", *venue, *flags)
        self.environ = {**os.environ, "BOOKSTREAM_DATA_DIR": str(folder), MARK: self.mark}
        self._folder = folder
        self.process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environ,
        )
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process is not None
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(line.decode().rstrip())

    async def end(self) -> tuple[int, dict[str, Any]]:
        """Waits for the end; gives exit code and summary."""
        assert self.process is not None
        assert self.process.stdout is not None
        assert self._reader is not None
        async with asyncio.timeout(SOON_S):
            out = await self.process.stdout.read()
            code = await self.process.wait()
            await self._reader
        lines = out.decode().splitlines()
        assert len(lines) == 1, self.story()
        summary: dict[str, Any] = json.loads(lines[0])
        return code, summary

    def pids(self, *words: str) -> list[int]:
        """Living processes of this run whose command line holds all these words."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environ = (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            # The server overwrites its environment with its title, which names the socket.
            ours = f"{MARK}={self.mark}".encode() in environ or f"unixsocket:{self._folder}" in command
            if ours and all(word in command for word in words):
                found.append(int(folder.name))
        return found

    def pid(self, *words: str) -> int:
        (found,) = self.pids(*words)
        return found

    def live_workers(self, since_ms: int = 0) -> list[WorkerWord]:
        """Workers that said after `since_ms` that they run with every token live."""
        sockets = [*self._folder.glob("embedded/*/server.sock")]
        if not sockets:
            return []
        client = open_redis_sync(RedisTarget.parse(f"unix://{sockets[0]}"), client_name="test")
        try:
            records = [client.get(f"worker:{one.decode()}") for one in client.zrange("workers", 0, -1)]
        except redis.RedisError:
            return []
        finally:
            client.close()
        words = [WorkerWord.model_validate_json(record) for record in records if record is not None]
        fresh = [word for word in words if word.now_ms > since_ms]
        return [word for word in fresh if word.state == "running" and word.tokens_live == 24]

    def story(self) -> str:
        return "\n".join(self.said[-60:])

    async def nothing_left(self) -> None:
        """No process of this run lives; the server's guard takes two seconds to see that it is not needed."""
        await until(lambda: not self.pids(), lambda: f"still there: {self.pids()}\n{self.story()}")


async def until(condition: Callable[[], object], story: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(SOON_S):
            while not condition():  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"did not happen within {SOON_S:g} s:\n{story()}")


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: the server's socket must stay below 100 bytes to be in the data folder.
    with tempfile.TemporaryDirectory(prefix="bs-") as path:
        yield Path(path)


@asynccontextmanager
async def up(folder: Path, *flags: str) -> AsyncIterator[Run]:
    run = Run(folder, "--headless", *flags)
    await run.start()
    try:
        yield run
    finally:
        if run.process is not None and run.process.returncode is None:
            run.process.kill()
            await run.process.wait()
        await run.nothing_left()


async def test_a_run_without_faults(folder: Path) -> None:
    async with up(folder, "--duration-s", "6") as run:
        code, summary = await run.end()
    assert code == 0, run.story()
    assert summary["ok"] is True
    assert (summary["markets"], summary["tokens"], summary["connections"]) == (12, 24, 1)
    assert summary["frames"] > 20
    assert summary["updates"] > 20
    assert summary["entries"] > summary["updates"]
    assert (summary["gaps"], summary["quarantined"]) == (0, 0)
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"]
    assert any("24/24 tokens live" in line for line in run.said), run.story()


async def test_whatever_is_killed_heals_and_is_told(folder: Path) -> None:
    async with up(folder) as run:
        await until(run.live_workers, run.story)

        first = run.pid("bookstream worker")
        os.kill(first, signal.SIGKILL)
        await until(lambda: any(one.pid != first for one in run.live_workers()), run.story)
        assert any("the worker" in line and "signal 9" in line for line in run.said), run.story()

        server = run.pid(*SERVER)
        os.kill(server, signal.SIGKILL)
        await until(lambda: server not in run.pids(*SERVER), run.story)
        gone_ms = now_ms()
        await until(lambda: run.live_workers(gone_ms), run.story)

        guard, server = run.pid("embedded.guard"), run.pid(*SERVER)
        os.kill(guard, signal.SIGKILL)
        await until(
            lambda: not {guard, server} & {*run.pids("embedded.guard"), *run.pids(*SERVER)}, run.story
        )
        gone_ms = now_ms()
        await until(lambda: run.live_workers(gone_ms), run.story)

        os.kill(run.pid("bookstream simulate"), signal.SIGKILL)
        await until(lambda: [one for one in run.live_workers() if one.connections[0].opens > 1], run.story)
        assert any("the simulator" in line and "signal 9" in line for line in run.said), run.story()

        assert run.process is not None
        run.process.terminate()
        code, summary = await run.end()
    # The worker's death broke 12 streams off, and the venue's took the feed of 24 tokens; nothing else left a fault.
    assert (code, summary["ok"]) == (1, False)
    assert summary["gaps"] == 36, run.story()
    assert summary["quarantined"] == 0
    assert any("36 gaps (disconnect 24, handover 12)" in line for line in run.said), run.story()
    assert not any("verify:" in line for line in run.said), run.story()


async def test_the_children_end_with_it_also_by_kill_9(folder: Path) -> None:
    async with up(folder) as run:
        await until(run.live_workers, run.story)
        assert run.process is not None
        run.process.kill()
        await run.process.wait()
        await run.nothing_left()


async def test_a_refused_redis_is_a_clear_line_and_nothing_starts(folder: Path) -> None:
    run = Run(folder, "--headless", "--redis-url", "nonsense://x")
    await run.start()
    assert run.process is not None
    async with asyncio.timeout(SOON_S):
        assert await run.process.wait() == 2
    await run.nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_one_signal_ends_the_waiting_for_redis(folder: Path, number: signal.Signals) -> None:
    run = Run(folder, "--redis-url", "redis://127.0.0.1:1/0")
    await run.start()
    await until(lambda: any("does not answer" in line for line in run.said), run.story)
    assert run.process is not None
    run.process.send_signal(number)
    async with asyncio.timeout(SOON_S):
        assert await run.process.wait() == 1
    await until(lambda: any("nothing was started" in line for line in run.said), run.story)
    await run.nothing_left()


def terminal(run: Run, **environ: str) -> Terminal:
    """The run in a terminal of 120 x 40."""
    return Terminal(run.arguments, {**run.environ, **environ})


async def test_the_live_view_and_ctrl_c(folder: Path) -> None:
    run = Run(folder)
    async with terminal(run) as screen:
        await screen.until_shown(r"LIVE +every token is live", r" Yes .* 0\.\d+ +x +\d")
        assert screen.shows(r"workers 1 running +connections +1 live +tokens +24 live")
        assert screen.shows(r" 0 gaps in the last minute")
        assert screen.shows(r"the synthetic venue's seed is 7")
        assert not screen.shows(r"\[info"), "log lines of the children do not garble the view"
        screen.process.send_signal(signal.SIGINT)
        assert await screen.end() == 130
        await screen.until_shown(r"all well: no gaps, \d+ entries verified")
    assert (folder / "up" / "worker.log").read_text().count("stopped") == 1
    await run.nothing_left()


async def test_keys_work_in_the_live_view_and_q_ends_the_run(folder: Path) -> None:
    run = Run(folder)
    async with terminal(run) as screen:
        await screen.until_shown("every token is live")
        screen.press("2")
        await screen.until_shown("24/24")
        screen.press("q")
        assert await screen.end() == 0
        await screen.until_shown("all well")
    await run.nothing_left()


async def test_who_leaves_the_live_view_reads_what_happened_and_gets_no_error(folder: Path) -> None:
    run = Run(folder)
    async with terminal(run) as screen:
        await screen.until_shown("every token is live")
        os.kill(run.pid("bookstream simulate"), signal.SIGKILL)
        await screen.until_shown("[1-9][0-9]* gaps in the last minute")
        await screen.until_shown("every token is live")
        screen.press("q")
        assert await screen.end() == 0
        await screen.until_shown(r"not well: .*gaps \(disconnect 24\)")
    await run.nothing_left()


async def test_the_view_shows_what_the_engine_finds_and_who_reads(folder: Path) -> None:
    run = Run(folder, "--markets", "40", "--edges", "120")
    async with terminal(run) as screen:
        await screen.until_shown("every token is live")
        screen.press("3")
        await screen.until_shown(
            r"open +(trio|reverse-trio|ladder|negrisk-\w+|complement) ", r"buy +[\d,.k]+ x 0\."
        )
        assert not screen.shows("no engine")
        screen.press("4")
        await screen.until_shown(r"arbitrage +\S+-\d+-\w+ +64 ")
        await screen.until(lambda: not screen.shows("streams so far"), "the lag in all streams")
        screen.press("q")
        assert await screen.end() in (0, 130)
        await screen.until_shown(r"[1-9]\d* opportunities, ")
    await run.nothing_left()


async def test_a_terminal_without_a_screen_gets_lines(folder: Path) -> None:
    run = Run(folder, "--duration-s", "7")
    async with terminal(run, TERM="dumb") as screen:
        await screen.until_shown(r"running: 12 markets, \d+/24 tokens live")
        assert await screen.end() == 0
    await run.nothing_left()


async def test_a_terminal_that_knows_only_ascii_gets_the_view(folder: Path) -> None:
    run = Run(folder)
    async with terminal(run, PYTHONIOENCODING="ascii") as screen:
        await screen.until_shown("every token is live")
        screen.process.send_signal(signal.SIGINT)
        assert await screen.end() == 130
        await screen.until_shown("all well")
    await run.nothing_left()


async def test_a_venue_out_of_reach_is_told_in_the_view(folder: Path) -> None:
    run = Run(folder)
    run.arguments = (sys.executable, "-m", "bookstream", "up", "--gamma-url", "http://127.0.0.1:1")
    async with terminal(run) as screen:
        await screen.until_shown("http://127.0.0.1:1 did not answer")
        await screen.until_shown("its log is /")
        screen.process.send_signal(signal.SIGINT)
        assert await screen.end() == 130
        await screen.until_shown("not well: ")
    await run.nothing_left()
