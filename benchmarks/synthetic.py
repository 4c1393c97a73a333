"""How many messages a second one synthetic venue makes, and how many it sends.

    python -m benchmarks.synthetic

Made: world, matching, hashes and JSON in one process, nothing sent. Sent: `bookstream simulate --synthetic
--rate 0`, read over loopback by a process that only counts frames. The reader shares the machine with it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from statistics import median

import aiohttp
import orjson

from simulator.synthetic.opening import Synthetic, synthetic_feed


def made(markets: int, seconds: float, seed: int) -> float:
    """Messages a second that are made."""
    floor = synthetic_feed(Synthetic(markets=markets, rate=0, seed=seed)).floor
    began, ends = time.perf_counter(), time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for _ in range(500):
            floor.act()
    return floor.messages / (time.perf_counter() - began)


async def sent(markets: int, seconds: float, seed: int) -> tuple[float, float]:
    """Messages a second and megabytes a second that a client receives."""
    words = ("--synthetic", "--markets", str(markets), "--rate", "0", "--seed", str(seed))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bookstream", "simulate", "--listen", "127.0.0.1:0", *words),
        stdin=DEVNULL,
        stdout=PIPE,
        env={**os.environ, "LOG_LEVEL": "warning"},
    )
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        return await _read(url, seconds)
    finally:
        process.terminate()
        await process.wait()


async def _read(url: str, seconds: float) -> tuple[float, float]:
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{url}/events", params={"limit": "500"}) as answer:
            events = orjson.loads(await answer.read())
        tokens = [
            token
            for event in events
            for market in event["markets"]
            for token in (market.get("positionIds") or orjson.loads(market["clobTokenIds"]))
        ]
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 22)
        writer.write(
            b"GET /ws/market HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        for start in range(0, len(tokens), 100):
            request = {"assets_ids": tokens[start : start + 100], "custom_feature_enabled": True}
            request |= {"operation": "subscribe"} if start else {"type": "market"}
            writer.write(_masked(orjson.dumps(request)))
        # Warm: all books are there and the loop runs at its pace.
        size, ends = 0, time.perf_counter() + 1
        while time.perf_counter() < ends:
            await reader.read(1 << 20)
        first, began = await _frames_sent(http, url), time.perf_counter()
        ends = began + seconds
        while time.perf_counter() < ends:
            size += len(await reader.read(1 << 20))
        last, took = await _frames_sent(http, url), time.perf_counter() - began
        writer.close()
    return (last - first) / took, size / took / 1e6


async def _frames_sent(http: aiohttp.ClientSession, url: str) -> int:
    # The feed waits for its slowest reader, so what it sent and what was read differ by less than its buffers.
    async with http.get(f"{url}/control/status") as answer:
        return int(orjson.loads(await answer.read())["frames_sent"])


def _masked(payload: bytes) -> bytes:
    """One text frame of a client; a mask of zeros leaves the payload as it is."""
    return bytes((0x81, 0x80 | 127)) + len(payload).to_bytes(8, "big") + bytes(4) + payload


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for markets in (60, 200, 1000):
        rates = [made(markets, given.seconds, given.seed + run) for run in range(given.runs)]
        print(f"made, {markets} markets: {median(rates):,.0f} messages/s (of {sorted(map(round, rates))})")
    for markets in (60, 200):
        found = [asyncio.run(sent(markets, given.seconds, given.seed + run)) for run in range(given.runs)]
        rates = [one for one, _ in found]
        print(
            f"sent, {markets} markets: {median(rates):,.0f} messages/s (of {sorted(map(round, rates))}),"
            f" {median(size for _, size in found):.0f} MB/s"
        )


if __name__ == "__main__":
    main()
