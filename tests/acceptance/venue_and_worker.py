"""A synthetic venue and a worker of it, each a process of its own, and the venue's log of what was true."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

TRUTH_S: Final = 20.0
"""The simulator forgets after so long, so that its memory can be seen to stay flat."""


@asynccontextmanager
async def simulator(
    markets: int, rate: float, seed: int, *, truth_s: float = TRUTH_S, log: Path | None = None
) -> AsyncIterator[tuple[Process, str]]:
    """A venue in a process of its own; gives its base URL. Its stderr goes to `log`, else to this process's."""
    words = ("--synthetic", "--markets", markets, "--rate", rate, "--seed", seed, "--truth-s", truth_s)
    process = await _start("simulate", "--listen", "127.0.0.1:0", *map(str, words), log=log)
    assert process.stdout is not None
    async with _ending(process):
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line.startswith(b"http://"), line
        yield process, line.decode().strip()


@asynccontextmanager
async def worker(
    redis_url: str, url: str, markets: int, *, log: Path | None = None, **settings: str
) -> AsyncIterator[Process]:
    """A worker of that venue, stopped in good order at the end.

    Args:
        log: where its stderr goes; else to this process's.
        settings: by their names in the environment, over what is set here.
    """
    given = {
        "WORKER_ID": "w1",
        "MAX_MARKETS": str(4 * markets),
        "MAX_CONNECTIONS": "400",
        "OPENS_PER_S": "50",
        "STREAM_MAXLEN": "10000000",
        **settings,
    }
    places = {"VENUE_WS_URL": f"ws{url.removeprefix('http')}/ws/market", "GAMMA_URL": url, "CLOB_URL": url}
    process = await _start("worker", log=log, REDIS_URL=redis_url, **places, **given)
    async with _ending(process):
        yield process
        assert process.returncode is None, "the worker ended early"


async def collect(http: aiohttp.ClientSession, url: str, rows: list[dict[str, Any]]) -> None:
    """Reads the simulator's log again and again, before it forgets."""
    while True:
        await collect_once(http, url, rows)
        await asyncio.sleep(0.5)


async def collect_once(http: aiohttp.ClientSession, url: str, rows: list[dict[str, Any]]) -> None:
    """Reads what is new in the simulator's log."""
    while True:
        since = rows[-1]["seq"] + 1 if rows else 0
        async with http.get(f"{url}/control/truths", params={"since": since}) as answer:
            assert answer.status == 200, await answer.text()
            new = [orjson.loads(line) for line in (await answer.read()).splitlines()]
        # Another reader of the log may have added some meanwhile.
        rows += [row for row in new if not rows or row["seq"] > rows[-1]["seq"]]
        if not new:
            return


async def venue_status(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    """What the simulator says of itself."""
    async with http.get(f"{url}/control/status") as answer:
        found: dict[str, Any] = orjson.loads(await answer.read())
    return found


async def _start(*arguments: str, log: Path | None, **environ: str) -> Process:
    command = (sys.executable, "-m", "bookstream", *arguments)
    env = {**os.environ, "LOG_LEVEL": "warning", **environ}
    if log is None:
        return await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, env=env)
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=file, env=env
        )


@asynccontextmanager
async def _ending(process: Process) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()
