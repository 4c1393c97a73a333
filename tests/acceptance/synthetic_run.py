"""One run of simulator and worker, each a process of its own, and what came of it.

python -m tests.acceptance.synthetic_run --markets 1000 --rate 2000 --seconds 60 --out docs/proofs/synthetic.txt
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import secrets
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp

from marketdata.entries import Entry
from marketdata.market import Market
from tests.acceptance.synthetic_truth import Told, mistake, truth_of
from tests.acceptance.venue_and_worker import collect, collect_once, simulator, venue_status, worker
from tests.integration.worker.rig import Streams, until, verified
from tests.redis_server import PrivateRedis

ALLOWED_GAPS: Final = {"handover", "shutdown"}
MEMORY_SLACK: Final = 0.15
SLACK_KB: Final = 20_000


@dataclass
class Outcome:
    """What a run showed.

    Attributes:
        mistakes: differences between the streams and the truth.
        rss_kb: of "simulator" and "worker", after a third of the time and at the end.
    """

    seed: int
    markets: int
    rate: float
    seconds: float
    frames: int = 0
    steps: int = 0
    received: int = 0
    tokens: int = 0
    entries: int = 0
    tops: int = 0
    mid_steps: int = 0
    trades: int = 0
    ticks: int = 0
    resolved: int = 0
    behind_ms: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    mistakes: list[str] = field(default_factory=list)
    rss_kb: dict[str, list[int]] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """Why the run does not keep the promise; empty if it does."""
        found = [*self.mistakes]
        found += [f"gap {cause}: {count}" for cause, count in self.gaps.items() if cause not in ALLOWED_GAPS]
        for name, (third, end) in self.rss_kb.items():
            if end > third * (1 + MEMORY_SLACK) + SLACK_KB:
                found.append(f"the {name} grew from {third} kB to {end} kB")
        if self.frames < 0.5 * self.rate * self.seconds:
            found.append(f"the simulator sent {self.frames} frames only")
        return found

    def lines(self) -> list[str]:
        """For people."""
        faults = self.faults()
        memory = ", ".join(
            f"{name} {third / 1024:.0f} MB after a third, {end / 1024:.0f} MB at the end"
            for name, (third, end) in self.rss_kb.items()
        )
        return [
            f"date       {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"machine    {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            f"run        seed {self.seed}, {self.markets} markets, {self.rate:g} messages/s, {self.seconds:g} s",
            f"sent       {self.frames} messages in {self.steps} steps; {self.frames / self.seconds:.0f} a second",
            f"received   {self.received} frames by the worker",
            f"compared   {self.tokens} tokens: {self.tops} tops ({self.mid_steps} of them inside a step), "
            f"{self.trades} trades, {self.ticks} ticks, {self.resolved} resolutions; {self.entries} entries",
            f"latency    p50 {self.latency_ms.get('p50', 0):g} ms, p99 {self.latency_ms.get('p99', 0):g} ms",
            f"memory     {memory}",
            f"gaps       {dict(self.gaps)}",
            f"result     {'nothing lost, doubled, or unlike the truth' if not faults else 'FAULTS'}",
            *faults[:20],
        ]


async def run(*, markets: int, rate: float, seconds: float, seed: int) -> Outcome:
    """Plays, records and compares."""
    outcome = Outcome(seed, markets, rate, seconds)
    rows: list[dict[str, Any]] = []
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        streams = Streams(client)
        async with simulator(markets, rate, seed) as (venue, url), aiohttp.ClientSession() as http:
            collector = asyncio.create_task(collect(http, url, rows))
            try:
                async with worker(server.url, url, markets) as process:
                    await until(lambda: _live(streams, markets), "every token is live", 60)
                    began = await venue_status(http, url)
                    for part in (1 / 3, 2 / 3):
                        # The length of the run is what is asked for, not a wait for something.
                        await asyncio.sleep(seconds * part)
                        for name, pid in (("simulator", venue.pid), ("worker", process.pid)):
                            outcome.rss_kb.setdefault(name, []).append(_rss_kb(pid))
                    status = await venue_status(http, url)
                    await http.post(f"{url}/control/pause")
                    collector.cancel()
                    await asyncio.gather(collector, return_exceptions=True)
                    await collect_once(http, url, rows)
                    outcome.frames = int(status["frames_sent"]) - int(began["frames_sent"])
                    outcome.steps = int(status["steps"]) - int(began["steps"])
                    outcome.behind_ms = int(status["behind_ms"])
                    with suppress(AssertionError):
                        # If it never happens, the comparison below says what is missing.
                        await until(lambda: _caught_up(streams, rows), "the last tops are told", 15)
            finally:
                collector.cancel()
            word = streams.status("w1")
            outcome.received = word["counters"]["frames"]
            outcome.latency_ms = {name: word["latency_ms"][name] for name in ("p50", "p99")}
        await verified(server.url)
        compare(streams, rows, outcome)
    return outcome


def compare(streams: Streams, rows: list[dict[str, Any]], outcome: Outcome) -> None:
    """Holds every stream against the truth."""
    truth = truth_of(rows)
    winners = {row["token"]: row["winner"] for row in rows if row["kind"] == "resolved"}
    by_market = streams.by_market()
    for key, record in streams.client.hgetall(streams.keys.catalog).items():
        market = Market.from_json(record)
        if market.condition_id not in by_market:
            outcome.mistakes.append(f"{key!r} has no stream")
    for condition_id, entries in by_market.items():
        outcome.entries += len(entries)
        market = _market(streams, condition_id)
        for row in entries:
            if row.entry.kind == "gap":
                outcome.gaps[row.entry.gap_cause or ""] += 1
            if row.entry.kind == "resolved":
                outcome.resolved += 1
                if winners.get(market.tokens[int(row.entry.note)]) != int(row.entry.note):
                    outcome.mistakes.append(f"{condition_id} resolved to {row.entry.note}")
        for index, token in enumerate(market.tokens):
            told = [
                row.entry
                for row in entries
                if row.entry.outcome == index and row.entry.kind in ("top", "trade", "tick")
            ]
            found = [_told(entry) for entry in told]
            outcome.tokens += 1
            counts = Counter(one.kind for one in found)
            outcome.tops += counts["top"]
            outcome.trades += counts["trade"]
            outcome.ticks += counts["tick"]
            exact = set(truth.get(token, ()))
            outcome.mid_steps += sum(one.kind == "top" and one not in exact for one in found)
            first_book_ms = told[0].recv_us // 1000 if told else 0
            if reason := mistake(truth.get(token, []), found, first_book_ms):
                outcome.mistakes.append(f"{condition_id} {market.slug} token {index}: {reason}")


def _told(entry: Entry) -> Told:
    quote = entry.bid, entry.bid_size, entry.ask, entry.ask_size
    return Told(entry.kind, entry.venue_ms or 0, (entry.note,) if entry.kind == "tick" else quote)


def _live(streams: Streams, markets: int) -> bool:
    word = streams.status("w1")
    return bool(word and word["tokens_live"] == word["tokens"] >= 2 * markets)


def _caught_up(streams: Streams, rows: list[dict[str, Any]]) -> bool:
    """Whether the last top, and the last trade, of each token are told."""
    truth = truth_of(rows)
    ended = {row["token"] for row in rows if row["kind"] == "resolved"}
    for condition_id, entries in streams.by_market().items():
        market = _market(streams, condition_id)
        if ended & {*market.tokens}:
            continue
        for index, token in enumerate(market.tokens):
            found = [_told(row.entry) for row in entries if row.entry.outcome == index]
            for kind in ("top", "trade"):
                due = next((one for one in reversed(truth[token]) if one.kind == kind), None)
                last = next((one for one in reversed(found) if one.kind == kind), None)
                # A token's last trade may lie before its subscription; then it is never told.
                if due and (last.values != due.values if last else kind == "top"):
                    return False
    return True


def _market(streams: Streams, condition_id: str) -> Market:
    record: Any = streams.client.hget(streams.keys.catalog, condition_id)
    return Market.from_json(record)


def _rss_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))


def main() -> int:
    """The proof at full size, as a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    outcome = asyncio.run(run(markets=given.markets, rate=given.rate, seconds=given.seconds, seed=seed))
    text = "\n".join(outcome.lines()) + "\n"
    print(text, end="")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")
    return 1 if outcome.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
