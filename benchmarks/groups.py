"""How fast one member of a group reads, and how soon its handler hears of an entry.

    python -m benchmarks.groups [--entries 200000] [--streams 10000] [--seconds 10]

Speed: entries that wait in the streams are read, decoded, handled and acknowledged. Latency: a writer in a process
of its own adds 500 entries a second to random ones of 10,000 streams; from right before its XADD to the handler.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from marketdata.entries import Entry
from marketdata.groups import Batch, Group, Message, Notice, Partition
from marketdata.groups.tenure import BatchHandler
from marketdata.keys import Keys
from marketdata.redis_target import RedisTarget
from marketdata.redis_url import open_redis_sync
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis

KEYS = Keys()
PARTITIONS = 64
PLAIN = Entry("top", 0, "0.48", "30", "0.52", "25.5", 1_790_000_000_000, 0, 1, 1, 0, "")


def stream(n: int) -> str:
    """The n-th stream."""
    return KEYS.book(n % PARTITIONS, f"0x{n:064x}")


def fill(client: redis.Redis, streams: int, entries: int) -> None:
    """Writes entries round robin, ids rising."""
    pipe = client.pipeline(transaction=False)
    for n in range(entries):
        fields = PLAIN.to_fields() | {"seq": str(n // streams + 1)}
        pipe.xadd(stream(n % streams), fields, id=f"{1_790_000_000_000 + n}-0")  # type: ignore[arg-type]
        if n % 1_000 == 999:
            pipe.execute()
    pipe.execute()


async def each_entry(group: Group) -> int:
    """A plain handler, an entry a call."""
    count = 0

    def handle(message: Message | Notice) -> None:
        nonlocal count
        count += isinstance(message, Message)

    await group.run(handle, once=True)
    return count


async def each_batch(group: Group) -> int:
    """A handler of batches."""
    count = 0

    async def opened(_: Partition) -> BatchHandler:
        async def handle(batch: Batch) -> None:
            nonlocal count
            count += sum(isinstance(item, Message) for item in batch.items)
            await batch.commit()

        return handle

    await group.run_partitions(opened, once=True)
    return count


async def speed(server: PrivateRedis, name: str, run: Callable[[Group], Awaitable[int]]) -> tuple[int, float]:
    """Entries, and entries a second; from the first taken partition to the last acknowledged entry."""
    async with Group(name, redis_url=server.url) as group:
        began = time.perf_counter()
        count = await run(group)
        return count, count / (time.perf_counter() - began)


async def latency(server: PrivateRedis, streams: int, rate: float, seconds: float) -> list[float]:
    """Milliseconds from right before XADD to the handler, sorted."""
    with server.client() as client:
        fill(client, streams, streams)
    found: list[float] = []
    async with Group("late", redis_url=server.url) as group:

        def handle(message: Message | Notice) -> None:
            if isinstance(message, Message) and message.entry.recv_us:
                found.append(time.time_ns() / 1e6 - message.entry.recv_us / 1e3)

        running = asyncio.create_task(group.run(handle))
        await until(lambda: len(group.partitions) == PARTITIONS, "all partitions are ours")
        # The old entries are read first.
        await asyncio.sleep(3)
        writer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.groups", "--write", server.url),
            *("--streams", str(streams), "--rate", str(rate), "--seconds", str(seconds)),
        )
        await writer.wait()
        await asyncio.sleep(1)
        group.stop()
        await running
    return sorted(found)


def write(url: str, streams: int, rate: float, seconds: float) -> None:
    """The writer of the latency's measurement."""
    rng = random.Random(7)
    with open_redis_sync(RedisTarget.parse(url), client_name="writer") as client:
        began = time.monotonic()
        for n in range(int(rate * seconds)):
            time.sleep(max(began + n / rate - time.monotonic(), 0))
            at = rng.randrange(streams)
            now_us = time.time_ns() // 1_000
            fields = PLAIN.to_fields() | {"recv_us": str(now_us), "seq": str(n), "outcome": str(n % 2)}
            pipe = client.pipeline(transaction=True)
            pipe.xadd(stream(at), fields, id=f"{now_us // 1000 + 10**12}-{n}")  # type: ignore[arg-type]
            pipe.publish(KEYS.wake(at % PARTITIONS), "")
            pipe.execute()


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--streams", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--write", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write:
        return write(given.write, given.streams, given.rate, given.seconds)
    console = Console(width=110)
    table = Table(title=f"{given.entries} entries of 1,000 streams, one member", title_justify="left")
    table.add_column("handler")
    table.add_column("entries/s", justify="right")
    with PrivateRedis() as server:
        with server.client() as client:
            fill(client, 1_000, given.entries)
        for name, run in (("an entry a call", each_entry), ("a batch a call", each_batch)):
            rates = []
            for round_ in range(3):
                count, rate = asyncio.run(speed(server, f"g{round_}-{name.split()[1]}", run))
                assert count == given.entries, f"{count} of {given.entries} entries were read"
                rates.append(rate)
            table.add_row(name, f"{statistics.median(rates):,.0f}")
    console.print(table)
    with PrivateRedis() as server:
        found = asyncio.run(latency(server, given.streams, given.rate, given.seconds))
    assert len(found) == int(given.rate * given.seconds), f"{len(found)} entries were handled"
    p50, p99 = found[len(found) // 2], found[len(found) * 99 // 100]
    print(
        f"{given.streams} streams, {given.rate:g} entries/s: entry to handler p50 {p50:.2f} ms, p99 {p99:.2f} ms"
    )
    print(f"measured {time.strftime('%Y-%m-%d')}, {Path(__file__).name}")
    return None


if __name__ == "__main__":
    main()
