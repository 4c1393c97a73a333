"""From a frame's bytes to an acknowledged entry: this worker's chain beside simpler ways to do the same.

All variants read the same price changes and write the same twelve fields to the same server, one after the other,
in rounds; the table shows medians over the rounds.

    python -m benchmarks.spine [--updates 20000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import orjson
import redis.asyncio
from rich.console import Console
from rich.table import Table

from marketdata.backoff import Backoff
from marketdata.clock import now_us
from marketdata.keys import Keys
from marketdata.market import Market, market_from_gamma
from tests.redis_server import PrivateRedis
from worker.counters import Counters
from worker.feeds import MarketFeed
from worker.ids import IdClock
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionProtocol
from worker.publisher import Publisher
from worker.streams import MarketStream

BATCH = 256
MARKETS = 50
Variant = Callable[["Load", PrivateRedis], Awaitable[None]]


class Load:
    """Frames of many markets; each change moves the top of both tokens."""

    def __init__(self, updates: int) -> None:
        self.markets = [_market(n) for n in range(MARKETS)]
        self.books = [_books(market) for market in self.markets]
        self.frames = [
            _change(self.markets[n % MARKETS], 100 + (n // MARKETS) % 2) for n in range(updates // 2)
        ]
        self.updates = updates


def _market(n: int) -> Market:
    row = {
        "conditionId": f"0x{n:064x}",
        "question": f"Question {n}?",
        "outcomes": '["Yes", "No"]',
        "clobTokenIds": f'["{10**76 + 2 * n}", "{10**76 + 2 * n + 1}"]',
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "enableOrderBook": True,
        "acceptingOrders": True,
        "active": True,
        "closed": False,
    }
    return market_from_gamma(row, None, 64)


def _books(market: Market) -> bytes:
    levels = [{"price": f"0.{price:02d}", "size": "100"} for price in range(10, 50)]
    asks = [{"price": f"0.{price:02d}", "size": "100"} for price in range(90, 50, -1)]
    common = {"event_type": "book", "market": market.condition_id, "timestamp": "1790000000000"}
    return orjson.dumps(
        [{**common, "asset_id": token, "bids": levels, "asks": asks} for token in market.tokens]
    )


def _change(market: Market, size: int) -> bytes:
    best = {"best_bid": "0.49", "best_ask": "0.51"}
    one, other = market.tokens
    return orjson.dumps(
        {
            "market": market.condition_id,
            "price_changes": [
                {"asset_id": one, "price": "0.49", "size": str(size), "side": "BUY", "hash": "", **best},
                {"asset_id": other, "price": "0.51", "size": str(size), "side": "SELL", "hash": "", **best},
            ],
            "timestamp": "1790000000001",
            "event_type": "price_change",
        }
    )


def _protocol(load: Load) -> ConnectionProtocol:
    protocol = ConnectionProtocol("bench", ProtocolPolicy(), Counters())
    keys = Keys()
    feeds = [
        MarketFeed(m, MarketStream(m.condition_id, keys.book(m.partition, m.condition_id), m.partition))
        for m in load.markets
    ]
    protocol.add(feeds, now_us())
    protocol.opened(now_us())
    for book in load.books:
        protocol.frame(book, now_us())
    return protocol


async def ours(load: Load, server: PrivateRedis) -> None:
    """protocol.py and publisher.py as the worker runs them."""
    protocol, counters = _protocol(load), Counters()
    client = redis.asyncio.Redis(unix_socket_path=str(server.socket_path), protocol=2)

    def new_connection() -> Any:
        connection = client.connection_pool.make_connection()
        connection.socket_timeout = None
        return connection

    publisher = Publisher(
        keys=Keys(),
        worker_id="bench",
        new_connection=new_connection,
        max_pending=10**9,
        counters=counters,
        ids=IdClock(),
        backoff=Backoff(0.05, 1.0, Random()),
    )
    publisher.limits.update(dict.fromkeys(range(64), 2**62))
    running = asyncio.create_task(publisher.run())
    for count, frame in enumerate(load.frames):
        protocol.frame(frame, now_us())
        for update in protocol.updates:
            publisher.offer(update)
        protocol.updates.clear()
        if count % (BATCH // 2) == 0:
            await asyncio.sleep(0)
    await publisher.drained()
    running.cancel()
    await asyncio.wait({running})
    assert counters.entries >= load.updates, "everything was acknowledged"
    await client.aclose()


def _fields(load: Load) -> list[tuple[str, dict[str, str]]]:
    """What a plain program would do a frame: parse, take the best prices as announced, make the fields."""
    rows = []
    for frame in load.frames:
        message = orjson.loads(frame)
        for outcome, change in enumerate(message["price_changes"]):
            rows.append(
                (
                    f"book:{{00}}:{message['market']}",
                    {
                        "kind": "top",
                        "outcome": str(outcome),
                        "bid": change["best_bid"],
                        "bid_size": change["size"],
                        "ask": change["best_ask"],
                        "ask_size": change["size"],
                        "venue_ms": message["timestamp"],
                        "recv_us": str(now_us()),
                        "gen": "1",
                        "seq": "1",
                        "skipped": "0",
                        "note": "",
                    },
                )
            )
    return rows


async def pipeline(load: Load, server: PrivateRedis) -> None:
    """No book, no check: redis-py's asyncio pipeline in batches of 256."""
    client = redis.asyncio.Redis(unix_socket_path=str(server.socket_path), protocol=2)
    rows = _fields(load)
    for start in range(0, len(rows), BATCH):
        pipe = client.pipeline(transaction=False)
        for key, fields in rows[start : start + BATCH]:
            pipe.xadd(key, fields)  # type: ignore[arg-type]
        await pipe.execute()
    await client.aclose()


async def one_by_one(load: Load, server: PrivateRedis) -> None:
    """No book, no check: each XADD awaited."""
    client = redis.asyncio.Redis(unix_socket_path=str(server.socket_path), protocol=2)
    for key, fields in _fields(load):
        await client.xadd(key, fields)  # type: ignore[arg-type]
    await client.aclose()


VARIANTS: dict[str, Variant] = {
    "this worker's chain (books, checks, MULTI)": ours,
    "redis-py pipeline of 256, no books": pipeline,
    "awaited XADD, no books": one_by_one,
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    load = Load(arguments.updates)
    cpu_us: dict[str, list[float]] = {name: [] for name in VARIANTS}
    wall_us: dict[str, list[float]] = {name: [] for name in VARIANTS}
    with PrivateRedis() as server:
        for _ in range(arguments.rounds):
            for name, variant in VARIANTS.items():
                with server.client() as plain:
                    plain.flushall()
                cpu, wall = time.process_time(), time.perf_counter()
                asyncio.run(variant(load, server))  # type: ignore[arg-type]
                cpu_us[name].append((time.process_time() - cpu) / load.updates * 1e6)
                wall_us[name].append((time.perf_counter() - wall) / load.updates * 1e6)
    table = Table(title=f"{load.updates} updates, median of {arguments.rounds} rounds", title_justify="left")
    for column in ("variant", "CPU µs/update", "wall µs/update", "CPU ratio"):
        table.add_column(column, justify="left" if column == "variant" else "right")
    base = statistics.median(next(iter(cpu_us.values())))
    for name in VARIANTS:
        cpu, wall = statistics.median(cpu_us[name]), statistics.median(wall_us[name])
        table.add_row(name, f"{cpu:.1f}", f"{wall:.1f}", f"{cpu / base:.2f}")
    Console(width=110).print(table)
    print(f"measured {time.strftime('%Y-%m-%d')}, {Path(__file__).name}")


if __name__ == "__main__":
    main()
