"""How fast one member finds arbitrage: read from Redis, decoded, evaluated, acknowledged.

    python -m benchmarks.arbitrage

The mix is fixed: 80 % of the entries on binary markets, the others on price families of 11 thresholds and 10
buckets, where trios span up to 3 buckets. Nothing pays in it, as on a venue nearly always. Paying: the same, but a
share of the families' updates is an edge, which opens opportunities and is gone with the market's next update.
Engine alone: the same entries without Redis around it. A basket: one evaluation of a trio over three buckets, the
largest basket of a family, with all its money. Last leg: from the XADD of an opportunity's last leg to the
opportunity's own entry, with an idle engine in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import statistics
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

import redis

from consumers.arbitrage.engine import Engine
from consumers.arbitrage.evaluate import figures_of
from consumers.arbitrage.feed import feed
from consumers.arbitrage.service import run
from consumers.arbitrage.settings import ArbitrageSettings
from consumers.arbitrage.terms import Terms
from marketdata.entries import Entry, EntryId
from marketdata.groups.messages import Values
from marketdata.keys import CONTRACT_VERSION, Keys
from marketdata.market import Market, market_from_gamma
from tests.gamma_rows import event_row, market_row
from tests.redis_server import PrivateRedis

START_MS: Final = 1_795_000_000_000
STRIKES: Final = range(80_000, 102_000, 2_000)
FAMILIES: Final = 4
BINARIES: Final = 100
BINARY_SHARE: Final = 0.8
PAYING_SHARE: Final = 0.1
"""Of the families' updates in the paying mix."""
EDGE: Final = 80
"""Thousandths below its fair value; a trio's fees take some 40 of them."""
A_SECOND: Final = 2_000
"""Entries in a second of the entries' time."""

DESCRIPTION: Final = (
    'This market will resolve to "Yes" if the Binance 1 minute candle for BTC/USDT 12:00 in the ET timezone '
    '(noon) on the date specified in the title has a final "Close" price in the range.'
)
FEES: Final = {"feesEnabled": True, "feeSchedule": {"rate": 0.07, "exponent": 1, "takerOnly": True}}


Rows = list[tuple[EntryId, Market | None, Entry | None, int]]
"""Entries in their order: id, market (None: a clock), entry, partition."""


def family(day: int) -> list[Market]:
    """11 thresholds and the 10 buckets between them, of one noon."""
    when, slug_day = f"November {day}", f"november-{day}-2026"
    end = f"2026-11-{day:02d}T17:00:00Z"
    more = {**FEES, "description": DESCRIPTION, "endDate": end}
    ladder = [
        market_row(
            f"above {strike} {day}",
            question=f"Will the price of Bitcoin be above ${strike:,} on {when}?",
            slug=f"bitcoin-above-{strike}-on-{slug_day}",
            groupItemTitle=f"{strike:,}",
            **more,
        )
        for strike in STRIKES
    ]
    buckets = [
        market_row(
            f"bucket {low} {day}",
            question=f"Will the price of Bitcoin be between ${low:,} and ${high:,} on {when}?",
            slug=f"will-the-price-of-bitcoin-be-between-{low}-{high}-on-{slug_day}",
            groupItemTitle=f"{low:,}-{high:,}",
            **more,
        )
        for low, high in pairwise(STRIKES)
    ]
    titles = (
        (ladder, f"bitcoin-above-on-{slug_day}", f"Bitcoin above ___ on {when}?"),
        (buckets, f"bitcoin-price-on-{slug_day}", f"Bitcoin price on {when}?"),
    )
    markets = []
    for rows, slug, title in titles:
        event = event_row(slug, *rows, title=title, description=DESCRIPTION, endDate=end)
        markets += [market_from_gamma(row, event, 64) for row in rows]
    assert all(not market.left_out for market in markets)
    return markets


def mix(count: int, seed: int, paying: float = 0.0) -> tuple[list[Market], Rows]:
    """Markets, and entries of them.

    Args:
        paying: the share of the families' updates that is an edge.
    """
    random = Random(seed)
    families = [family(day) for day in range(24, 24 + FAMILIES)]
    binaries = []
    for number in range(BINARIES):
        row = market_row(f"binary {number}", **FEES)
        binaries.append(market_from_gamma(row, event_row(f"binary-{number}", row), 64))
    markets = [*binaries, *(market for some in families for market in some)]
    fair = {one.condition_id: _fair(one, random) for one in markets}
    partitions = sorted({one.partition for one in markets})
    rows: Rows = []
    n = 0
    seqs: Counter[str] = Counter()
    while len(rows) < count:
        ms = START_MS + len(rows) * 1000 // A_SECOND
        if len(rows) % A_SECOND < 2:
            for partition in partitions:
                n += 1
                rows.append((EntryId(ms, n), None, None, partition))
        market = random.choice(binaries if random.random() < BINARY_SHARE else random.choice(families))
        middle = fair[market.condition_id]
        if paying and market.family_kind in ("threshold", "range") and random.random() < paying:
            middle = max(middle - EDGE, 5)
        # Else an ask is never below its fair value, a bid never above, and no basket pays.
        ask = min(middle + random.randint(0, 8), 999)
        bid = max(min(middle - random.randint(0, 8), ask - 1), 1)
        sizes = [f"{random.randint(500, 500_000) / 100:g}" for _ in range(2)]
        for outcome, quote in enumerate(
            [(bid, sizes[0], ask, sizes[1]), (1000 - ask, sizes[1], 1000 - bid, sizes[0])]
        ):
            n += 1
            seqs[market.tokens[outcome]] += 1
            low, low_size, high, high_size = quote
            entry = Entry(
                "top",
                outcome,
                f"0.{low:03d}",
                low_size,
                f"0.{high:03d}",
                high_size,
                ms,
                ms * 1000,
                1,
                seqs[market.tokens[outcome]],
                0,
                "",
            )
            rows.append((EntryId(ms, n), market, entry, market.partition))
    return markets, rows


def _fair(market: Market, random: Random) -> int:
    """In thousandths; those of a family are of one distribution, an even one over its buckets."""
    if market.family_kind == "threshold":
        return 950 - 90 * STRIKES.index(int(market.lower))
    return 90 if market.family_kind == "range" else random.randint(50, 950)


def engine_alone(markets: list[Market], rows: Rows) -> float:
    """Microseconds an entry."""
    limits = ArbitrageSettings().limits
    engines = {}
    for partition in {market.partition for market in markets}:
        engines[partition] = Engine(limits)
        engines[partition].adopt("1-0", [Terms.of(one) for one in markets if one.partition == partition])
    told = [
        (engines[p], at, market.condition_id if market else "", Values.of(entry) if entry else None)
        for at, market, entry, p in rows
    ]
    began_s = time.perf_counter()
    for engine, at, condition_id, entry in told:
        if entry is None:
            engine.clock(at)
        else:
            feed(engine, at, condition_id, entry)
    return (time.perf_counter() - began_s) / len(told) * 1e6


def a_basket(rounds: int) -> float:
    """Microseconds for one evaluation of a basket of five legs, money included."""
    engine = Engine(ArbitrageSettings().limits)
    engine.adopt("1-0", [Terms.of(one) for one in family(24)])
    for leg in engine.ground.legs.values():
        leg.price, leg.size = 300_000, 50_000_000
        leg.reckon()
    live = next(
        one for one in engine.ground.lives.values() if one.basket.kind == "trio" and len(one.legs) == 5
    )
    began_s = time.perf_counter()
    for _ in range(rounds):
        figures_of(live, engine.limits)
    return (time.perf_counter() - began_s) / rounds * 1e6


def write(
    client: redis.Redis,
    markets: list[Market],
    rows: Rows,
) -> None:
    """Fills the streams as a worker would have."""
    keys = Keys()
    client.flushall()
    client.set(keys.contract_version, CONTRACT_VERSION)
    client.set(keys.contract_partitions, 64)
    for one in markets:
        client.hset(keys.catalog, one.condition_id, one.to_json())
        client.xadd(keys.catalog_log, {"id": one.condition_id, "why": "new"})
    pipe = client.pipeline(transaction=False)
    for place, (at, market, entry, partition) in enumerate(rows):
        if market is None or entry is None:
            pipe.xadd(
                keys.clock(partition), {"worker": "w", "epoch": "1", "live": "2", "stale": "0"}, id=str(at)
            )
        else:
            pipe.xadd(keys.book(partition, market.condition_id), entry.to_fields(), id=str(at))  # type: ignore[arg-type]
        if place % 5_000 == 4_999:
            pipe.execute()
    pipe.execute()


class Run(NamedTuple):
    """What runs of one member over one mix showed: entries a second, microseconds of CPU an entry, what it told."""

    rates: list[float]
    cpu_us: list[float]
    told: int

    def __str__(self) -> str:
        several = ", ".join(f"{rate:,.0f}" for rate in sorted(self.rates))
        return (
            f"{statistics.median(self.rates):,.0f} entries/s read, decoded, evaluated, acknowledged (of {several}),"
            f" start and end included; {statistics.median(self.cpu_us):.1f} us of CPU each"
        )


def member(url: str, client: redis.Redis, markets: list[Market], rows: Rows, runs: int) -> Run:
    """One member, from its start to its end."""
    rates, cpu_us = [], []
    for _ in range(runs):
        write(client, markets, rows)
        # What the benchmark itself holds is no burden of a member's.
        gc.collect()
        gc.freeze()
        began_s, cpu_s = time.perf_counter(), time.process_time()
        code = asyncio.run(run(ArbitrageSettings(redis_url=url, once=True, member="bench"), asyncio.Event()))
        rates.append(len(rows) / (time.perf_counter() - began_s))
        cpu_us.append((time.process_time() - cpu_s) / len(rows) * 1e6)
        assert code == 0
    groups: Any = [group for key in client.scan_iter("book:*") for group in client.xinfo_groups(key)]
    assert not any(group["pending"] for group in groups)
    told: Any = sum(client.xlen(key) for key in client.scan_iter("opportunities:*"))
    return Run(rates, cpu_us, told)


async def last_leg_ms(url: str, client: redis.Redis, rounds: int) -> tuple[float, float]:
    """Median milliseconds from the last leg's XADD to its opportunity's entry, and of a bare round trip.

    The engine runs in a process of its own; what it wrote is waited for by a blocking read.
    """
    low, high = (
        one for one in family(24) if one.slug.startswith(("bitcoin-above-80000-", "bitcoin-above-82000-"))
    )
    keys = Keys()
    write(client, [low, high], [])
    words = ("arbitrage", "--redis-url", url, "--arb-cooldown-ms", "0")
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bookstream", *words)
    waits, trips = [], []
    seq, last = 0, "0-0"

    def ask(market: Market, outcome: int, price: str) -> None:
        nonlocal seq
        seq += 1
        ms = time.time_ns() // 1_000_000
        entry = Entry("top", outcome, "", "", price, "100", ms, ms * 1000, 1, seq, 0, "")
        with client.pipeline(transaction=True) as pipe:
            pipe.xadd(keys.book(market.partition, market.condition_id), entry.to_fields(), id=f"{ms}-{seq}")  # type: ignore[arg-type]
            pipe.publish(keys.wake(market.partition), f"{ms}-{seq}")
            pipe.execute()

    try:
        for _ in range(rounds):
            for price in ("0.4", "0.9"):
                began_s = time.perf_counter()
                ask(low, 0, "0.5")
                trips.append(time.perf_counter() - began_s)
                began_s = time.perf_counter()
                ask(high, 1, price)
                found: Any = client.xread({keys.opportunities(low.partition): last}, block=20_000)
                waits.append(time.perf_counter() - began_s)
                last = found[0][1][-1][0].decode()
    finally:
        process.terminate()
        await process.wait()
    # The first one waits for the engine's start.
    return statistics.median(waits[1:]) * 1000, statistics.median(trips) * 1000


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    markets, rows = mix(given.entries, given.seed)
    alone = [engine_alone(markets, rows) for _ in range(given.runs)]
    baskets = [a_basket(100_000) for _ in range(given.runs)]
    _, paying_rows = mix(given.entries, given.seed, PAYING_SHARE)
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        plain = member(server.url, client, markets, rows, given.runs)
        paying = member(server.url, client, markets, paying_rows, given.runs)
        wait_ms, trip_ms = asyncio.run(last_leg_ms(server.url, client, 200))
    lines = [
        f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, seed {given.seed}",
        f"machine   {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
        f"mix       {len(rows)} entries of {len(markets)} markets: {BINARY_SHARE:.0%} binary,"
        f" {FAMILIES} families of {len(STRIKES)} thresholds and {len(STRIKES) - 1} buckets",
        f"basket    {statistics.median(baskets):.2f} us for a trio over three buckets, money included",
        f"engine    {statistics.median(alone):.2f} us an entry without Redis",
        f"member    {plain}",
        f"paying    {paying}; {paying.told} opportunities told: {paying.told / len(rows):.1%} of the entries",
        f"last leg  {wait_ms:.2f} ms from its XADD to the opportunity's entry: {wait_ms / trip_ms:.1f} of the"
        f" writer's own round trips of {trip_ms:.2f} ms",
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if given.out is not None:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
