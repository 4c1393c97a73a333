"""How long a worker takes until so many tokens are live, against the simulator; each a process of its own.

python -m tests.acceptance.many_tokens --out docs/proofs/many_tokens.txt
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import secrets
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.acceptance.venue_and_worker import simulator
from tests.acceptance.watched_worker import WatchedWorker, watched_worker
from tests.integration.worker.rig import Streams, until
from tests.redis_server import PrivateRedis
from worker.service import WARM_UP_S

BOUND_S: Final = 30.0
"""So long may 10,000 tokens take, from the start of the worker's process until the last one is live."""

RATE: Final = 50.0
"""Messages a second meanwhile; what is measured is subscribing."""

RATIO: Final = 2.6
"""CPU time for twice as many tokens is at most so many times as much."""

DEFAULTS: Final = (5, 50)
"""OPENS_PER_S and TOKENS_PER_CONNECTION: 200 connections, opened one after the other in 40 s."""

GIVE_UP_S: Final = 120.0
REFRESHES: Final = 2
REFRESH_S: Final = 8


@dataclass(frozen=True)
class How:
    """How the tokens are spread."""

    socket_mode: str
    tokens_per_connection: int
    opens_per_s: float


@dataclass(frozen=True)
class Measured:
    """One worker's start.

    Attributes:
        live_s: from the start of its process until every token is live.
        subscribing_s: of this, from when the connections begin to be opened.
        cpu_s: its CPU time when all are live.
        idle_cpu_s: its CPU time when it has started and follows nothing yet.
        stall_ms, stalls: the longest time in further refreshes of the catalog in which its loop did one thing only,
            and how many such times were longer than 5 ms.
    """

    tokens: int
    how: How
    connections: int
    live_s: float
    subscribing_s: float
    cpu_s: float
    idle_cpu_s: float
    stall_ms: float
    stalls: int

    def line(self) -> str:
        """For people."""
        a_token = (self.cpu_s - self.idle_cpu_s) / self.tokens
        return (
            f"{self.tokens:6d} tokens on {self.connections:3d} connections ({self.how.socket_mode}, "
            f"TOKENS_PER_CONNECTION={self.how.tokens_per_connection}, OPENS_PER_S={self.how.opens_per_s:g}): "
            f"live {self.live_s:5.1f} s after the start of the process, {self.subscribing_s:5.1f} s after the first "
            f"connection; CPU {self.cpu_s:5.2f} s, {a_token * 1e6:4.0f} µs a token"
            + (
                f"; longest stall by a refresh {self.stall_ms:.0f} ms, {self.stalls} above 5 ms"
                if self.stall_ms
                else ""
            )
        )


async def measure(tokens: int, how: How, seed: int, *, refreshes: int = 0) -> Measured:
    """Starts a simulator, a Redis and a worker, and waits until every token is live."""
    markets = tokens // 2
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        streams = Streams(client)
        async with simulator(markets + markets // 10, RATE, seed) as (_, url):
            await _warm(url)
            settings: dict[str, Any] = {
                "redis_url": server.url,
                "worker_id": "w1",
                "venue_ws_url": f"ws{url.removeprefix('http')}/ws/market",
                "gamma_url": url,
                "clob_url": url,
                "socket_mode": how.socket_mode,
                "max_markets": markets,
                "max_connections": 1_000,
                "tokens_per_connection": how.tokens_per_connection,
                "opens_per_s": how.opens_per_s,
                "catalog_refresh_s": REFRESH_S if refreshes else 300,
            }
            began_s = time.monotonic()
            async with watched_worker(settings) as worker:
                await until(lambda: streams.status("w1"), "the worker started", 30)
                started_s, idle_cpu_s = time.monotonic(), worker.cpu_s
                await until(lambda: streams.status("w1")["connections"], "it follows", GIVE_UP_S)
                first_s = time.monotonic()
                await until(lambda: _live(streams, tokens), f"{tokens} tokens are live", GIVE_UP_S)
                live_s, cpu_s = time.monotonic() - began_s, worker.cpu_s
                subscribing_s = live_s - (first_s - began_s)
                stall_ms, stalls = await _refreshes(worker, refreshes, started_s) if refreshes else (0.0, 0)
            connections = len(streams.status("w1")["connections"])
    return Measured(tokens, how, connections, live_s, subscribing_s, cpu_s, idle_cpu_s, stall_ms, stalls)


def _live(streams: Streams, tokens: int) -> bool:
    word = streams.status("w1")
    # Families are followed whole: the last one may not fit.
    return bool(word) and word["tokens_live"] == word["tokens"] > 0.97 * tokens


async def _refreshes(worker: WatchedWorker, count: int, started_s: float) -> tuple[float, int]:
    """The longest stall while the catalog is refreshed so many times, and how many were longer than 5 ms."""
    # Its one full garbage collection, a quarter of a minute after the start, is no refresh.
    await asyncio.sleep(max(0.0, started_s + WARM_UP_S + 2.0 - time.monotonic()))
    await worker.look()
    await asyncio.sleep(REFRESH_S * count + 1.0)
    look = await worker.look()
    return look.worst_stall_ms, look.stalls


async def _warm(url: str) -> None:
    """The simulator's first list of events takes its time; that is not the worker's."""
    with suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as http, http.get(f"{url}/events/keyset?limit=1") as answer:
            await answer.read()


def faults(measured: Sequence[Measured]) -> list[str]:
    """What is not linear, or too slow; empty if all is well."""
    found = []
    for one, twice in pairwise(measured):
        if one.how == twice.how and twice.tokens == 2 * one.tokens and twice.cpu_s > RATIO * one.cpu_s:
            found.append(
                f"{twice.tokens} tokens took {twice.cpu_s:.2f} s of CPU, more than {RATIO:g} times "
                f"the {one.cpu_s:.2f} s of {one.tokens}"
            )
    found += [
        f"{one.tokens} tokens took {one.live_s:.1f} s"
        for one in measured
        if one.live_s > BOUND_S and (one.how.opens_per_s, one.how.tokens_per_connection) != DEFAULTS
    ]
    return found


def main() -> int:
    """The proof at full size, as a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    lines = [
        f"date    {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"machine {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()};"
        " simulator, Redis and worker share it",
        f"run     seed {seed}, {RATE:g} messages/s meanwhile",
        "",
    ]
    print("\n".join(lines), flush=True)
    began_s = time.monotonic()
    measured = []
    most = given.tokens
    plans = [
        (how, tokens)
        for how in (How("python", 50, 50), How("native", 50, 50), How("python", 500, 5))
        for tokens in (most // 4, most // 2, most)
    ]
    for how, tokens in [*plans, (How("python", 50, 5), most)]:
        refreshes = REFRESHES if tokens == most and how.opens_per_s > 5 else 0
        one = asyncio.run(measure(tokens, how, seed, refreshes=refreshes))
        measured.append(one)
        print(one.line(), flush=True)
        lines.append(one.line())
    found = faults(measured)
    after = [
        "",
        "The bound is kept with OPENS_PER_S raised to 50, or with 500 tokens a connection; at the defaults of both,",
        "200 connections alone take 40 s to open, as the last line shows.",
        f"took    {time.monotonic() - began_s:.0f} s",
        f"result  {'linear, and within the bound' if not found else 'FAULTS'}",
        *found,
    ]
    print("\n".join(after))
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text("\n".join([*lines, *after]) + "\n", encoding="utf-8")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
