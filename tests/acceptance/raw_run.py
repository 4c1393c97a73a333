"""A worker records what a venue sends; a second venue plays the recording to plain clients and to a second worker.

python -m tests.acceptance.raw_run --markets 300 --rate 1500 --seconds 300 --out docs/proofs/raw-capture.txt

What clients receive is held against the recording byte for byte, and the second worker's entries against the first
one's. The files are read here by a reading of their own, which shares nothing with the simulator's but the unpacking.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import os
import platform
import secrets
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson
from websockets.asyncio.client import connect

from marketdata.zstd import ZstdDecompressor
from tests.integration.worker.rig import Streams, until, verified
from tests.redis_server import PrivateRedis

ANSWERS: Final = frozenset({b"PONG", b"[]", b"[]\n", b"NO NEW ASSETS", b"INVALID OPERATION"})
"""What the venue answers to the client that asks; each client gets its own."""

Told = tuple[str, int | None, tuple[str, ...], int | None, str]


@dataclass
class Spoken:
    """What one connection of the recording holds, in order."""

    requests: list[str] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)

    @property
    def subscriptions(self) -> list[str]:
        asked = [text for text in self.requests if text != "PING"]
        return [text for text in asked if orjson.loads(text).get("operation") != "unsubscribe"]


@dataclass
class Outcome:
    """What a run showed."""

    seed: int
    what: str
    seconds: float = 0.0
    took_s: float = 0.0
    files: int = 0
    packed_bytes: int = 0
    payload_bytes: int = 0
    connections: int = 0
    frames: int = 0
    compared: int = 0
    entries: int = 0
    markets: int = 0
    lost: int = 0
    mistakes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"date       {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; took {self.took_s:.0f} s",
            f"machine    {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            f"run        seed {self.seed}, {self.what}, {self.seconds:.0f} s",
            f"recorded   {self.frames} frames of {self.connections} connections, {self.payload_bytes / 1e6:.1f} MB "
            f"in {self.packed_bytes / 1e6:.2f} MB of {self.files} files; {self.lost} lost",
            f"clients    {self.compared} frames played to a client a connection, byte for byte",
            f"worker     {self.entries} entries of {self.markets} markets written again",
            f"result     {'equal' if not self.mistakes else 'FAULTS'}",
            *self.mistakes[:20],
        ]


async def run(
    *,
    play: Sequence[str],
    what: str,
    seconds: float,
    seed: int,
    compression: str = "zstd",
    socket_mode: str = "python",
) -> Outcome:
    """Records `bookstream simulate` with these arguments for so many seconds, 0: until it is done; plays it twice."""
    outcome = Outcome(seed, what, seconds)
    began_s = time.monotonic()
    with (
        PrivateRedis(appendonly=False) as server,
        server.client() as client,
        tempfile.TemporaryDirectory(prefix="raw-") as folder,
    ):
        first, again = Streams(client, "first/"), Streams(client, "again/")
        record = {"RECORD_RAW": folder, "RECORD_RAW_COMPRESSION": compression, "SOCKET_MODE": socket_mode}
        async with venue(*play) as url, worker(server, url, "first/", **record):
            await _live(first)
            if seconds:
                # The length of the run is what is asked for, not a wait for something.
                await asyncio.sleep(seconds)
            else:
                await _played(url, first)
        counters = first.status("w1")["counters"]
        outcome.lost = counters["recording_lost"]
        spoken = read_folder(Path(folder), outcome)
        received = sum(len(one.frames) for one in spoken.values())
        if received != counters["frames"]:
            outcome.mistakes.append(
                f"the worker received {counters['frames']} frames and recorded {received}"
            )
        await _compare_clients(Path(folder), spoken, outcome)
        async with venue("--capture", folder, "--speed", "1") as url, worker(server, url, "again/"):
            await _played(url, again)
        await verified(server.url, "first/")
        await verified(server.url, "again/")
        compare_entries(first, again, outcome)
    outcome.took_s = time.monotonic() - began_s
    return outcome


def read_folder(folder: Path, outcome: Outcome) -> dict[str, Spoken]:
    """The recording by connection."""
    spoken: dict[str, Spoken] = {}
    for path in sorted(folder.iterdir()):
        packed = path.read_bytes()
        plain = (
            ZstdDecompressor().decompress(packed) if path.name.endswith(".zst") else gzip.decompress(packed)
        )
        outcome.files += 1
        outcome.packed_bytes += len(packed)
        for line in plain.splitlines():
            row = orjson.loads(line)
            if row["dir"] == "lost":
                outcome.mistakes.append(f"lost: {line!r}")
                continue
            one = spoken.setdefault(row["conn"], Spoken())
            data = base64.b64decode(row["data_base64"]) if "data_base64" in row else row["data"].encode()
            if row["dir"] == "recv":
                one.frames.append(data)
                outcome.payload_bytes += len(data)
            elif row["dir"] == "send":
                one.requests.append(row["data"])
    outcome.connections = len(spoken)
    outcome.frames = sum(len(one.frames) for one in spoken.values())
    return spoken


async def _compare_clients(folder: Path, spoken: dict[str, Spoken], outcome: Outcome) -> None:
    """One plain client a connection, which asks for what that connection asked for."""
    async with venue("--capture", str(folder), "--speed", "0") as url:
        heard = await asyncio.gather(*(listen(url, one) for one in spoken.values()))
    for (name, one), got in zip(spoken.items(), heard, strict=True):
        expected = [frame for frame in one.frames if frame not in ANSWERS]
        outcome.compared += len(expected)
        if got != expected:
            place = next(
                (n for n, pair in enumerate(zip(got, expected, strict=False)) if pair[0] != pair[1]), -1
            )
            outcome.mistakes.append(
                f"{name}: {len(got)} frames played, {len(expected)} recorded; first difference at {place}"
            )


async def listen(url: str, one: Spoken) -> list[bytes]:
    """All frames that a client gets until the recording has been played, answers left out."""
    heard: list[bytes] = []
    async with connect(
        f"ws{url.removeprefix('http')}/ws/market", max_size=None, compression=None, ping_interval=None
    ) as socket:
        for text in one.subscriptions:
            await socket.send(text)

        async def hear() -> None:
            while True:
                heard.append(await socket.recv(decode=False))

        hearing = asyncio.create_task(hear())
        try:
            await until(lambda: _is_done(url), "the recording was played", 300)
            # The answer to a PING comes behind everything that was sent before it.
            await socket.send("PING")
            await until(lambda: b"PONG" in heard[-1:], "the last frame came", 60)
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    return [frame for frame in heard if frame not in ANSWERS]


def compare_entries(first: Streams, again: Streams, outcome: Outcome) -> None:
    """Both workers' entries but for gaps, market by market."""
    before, after = first.by_market(), again.by_market()
    for condition_id in sorted(before.keys() | after.keys()):
        one, two = told(before.get(condition_id, [])), told(after.get(condition_id, []))
        outcome.markets += 1
        outcome.entries += len(one)
        if one != two:
            place = next(
                (n for n, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]),
                min(len(one), len(two)),
            )
            outcome.mistakes.append(
                f"{condition_id}: {len(one)} and {len(two)} entries, first difference at {place}: "
                f"{one[place - 1 : place + 2]} and {two[place - 1 : place + 2]}"
            )


def told(rows: list[Any]) -> list[Told]:
    """What entries say, without when and by whom it was written."""
    return [
        (row.entry.kind, row.entry.outcome, row.quote, row.entry.venue_ms, row.entry.note)
        for row in rows
        if row.entry.kind != "gap"
    ]


@asynccontextmanager
async def venue(*arguments: str) -> AsyncIterator[str]:
    """`bookstream simulate` in a process of its own; gives its base URL."""
    async with _program("simulate", "--listen", "127.0.0.1:0", *arguments) as process:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 120)
        assert line.startswith(b"http://"), line
        yield line.decode().strip()


@asynccontextmanager
async def worker(server: PrivateRedis, url: str, prefix: str, **environ: str) -> AsyncIterator[Process]:
    """A worker of that venue, stopped in good order at the end."""
    async with _program(
        "worker",
        REDIS_URL=server.url,
        KEY_PREFIX=prefix,
        WORKER_ID="w1",
        VENUE_WS_URL=f"ws{url.removeprefix('http')}/ws/market",
        GAMMA_URL=url,
        CLOB_URL=url,
        MAX_MARKETS="100000",
        MAX_CONNECTIONS="1000",
        TOKENS_PER_CONNECTION="50",
        OPENS_PER_S="100",
        STREAM_MAXLEN="10000000",
        **environ,
    ) as process:
        yield process
        assert process.returncode is None, "the worker ended early"


@asynccontextmanager
async def _program(*arguments: str, **environ: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bookstream",
        *arguments,
        stdin=DEVNULL,
        stdout=PIPE,
        env={**os.environ, "LOG_LEVEL": "warning", **environ},
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _live(streams: Streams) -> None:
    def look() -> bool:
        word = streams.status("w1")
        return bool(word and word["tokens"] and word["tokens_waiting"] == 0)

    await until(look, "every token is live", 60)


async def _status(url: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/control/status") as answer:
        found: dict[str, Any] = orjson.loads(await answer.read())
    return found


async def _is_done(url: str) -> bool:
    return bool((await _status(url))["state"] == "done")


async def _played(url: str, streams: Streams) -> None:
    """Until a recording is over and the worker has taken in all of it."""
    await until(lambda: _is_done(url), "the recording was played", 900)
    seen: list[int] = []

    def is_quiet() -> bool:
        # The counter is told once a second; twice the same behind the end means that nothing more comes.
        word = streams.status("w1")
        if word and (not seen or word["now_ms"] != seen[0]):
            seen[:] = [word["now_ms"], word["counters"]["frames"], *seen[1:2]]
        return len(seen) == 3 and seen[1] == seen[2]

    await until(is_quiet, "the worker has received everything", 60)


def main() -> int:
    """The proof at full size, as a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=300)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    outcome = asyncio.run(
        run(
            play=synthetic(given.markets, given.rate, seed),
            what=f"{given.markets} synthetic markets, {given.rate:g} messages/s",
            seconds=given.seconds,
            seed=seed,
        )
    )
    text = "\n".join(outcome.lines()) + "\n"
    print(text, end="")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")
    return 1 if outcome.mistakes else 0


def synthetic(markets: int, rate: float, seed: int) -> list[str]:
    """Arguments of `bookstream simulate`."""
    return ["--synthetic", "--markets", str(markets), "--rate", str(rate), "--seed", str(seed)]


if __name__ == "__main__":
    sys.exit(main())
