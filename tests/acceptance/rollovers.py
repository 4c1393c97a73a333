"""One worker lives through markets that end and new ones that come, and holds afterwards what it held before.

python -m tests.acceptance.rollovers --rollovers 1000 --out docs/proofs/rollovers.txt
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import secrets
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import redis

from marketdata.market import Market
from tests.acceptance.rolling_venue import RollingVenue, rolling_venue
from tests.acceptance.watched_worker import Look, WatchedWorker, watched_worker
from tests.integration.worker.rig import Streams, until, verified
from tests.redis_server import PrivateRedis

MARKETS: Final = 100
A_TURN: Final = 50
"""Markets that end, and come, between two refreshes of the catalog."""

STREAM_MAX_AGE_S: Final = 6
SLACK_BYTES_A_TOKEN: Final = 2_000
"""What is bounded may still fill (the last events, pools of connections), and a refresh may be under way. It does not
grow with the roll-overs: 400 of them show as much as 1,000. A thousand markets kept would be 100,000 bytes a token."""

SLACK_FILES: Final = 4
SLACK_RSS: Final = 1.15
SLACK_RSS_KB: Final = 8_000
BOUND_S: Final = 60.0


@dataclass
class Outcome:
    """What a run showed.

    Attributes:
        keys: names of all keys in Redis before and after, with condition ids left out.
        ends: markets whose stream ended with the right `resolved` entry, and nothing after it.
    """

    seed: int
    socket_mode: str
    retired_for_s: float
    rollovers: int = 0
    ends: int = 0
    seconds: float = 0.0
    before: Look | None = None
    after: Look | None = None
    keys: list[list[str]] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What did not go back to where it was; empty if all did."""
        before, after = self.before, self.after
        assert before is not None
        assert after is not None
        found = [*self.mistakes]
        if after.tasks > before.tasks:
            found.append(f"tasks: {before.tasks} before, {after.tasks} after")
        if after.files > before.files + SLACK_FILES:
            found.append(f"open files: {before.files} before, {after.files} after")
        for kind in sorted({*before.objects, *after.objects}):
            was, now = before.objects.get(kind, 0), after.objects.get(kind, 0)
            # What is on its way (updates, entries, the last refresh) differs by the moment.
            if now > was * 1.1 + 40:
                found.append(f"instances of {kind}: {was} before, {now} after")
        tokens = 2 * MARKETS
        if after.traced > before.traced + SLACK_BYTES_A_TOKEN * tokens:
            found.append(f"Python's memory: {before.traced} bytes before, {after.traced} after")
        if not before.traced and after.rss_kb > before.rss_kb * SLACK_RSS + SLACK_RSS_KB:
            found.append(f"resident memory: {before.rss_kb} kB before, {after.rss_kb} kB after")
        if self.keys[0] != self.keys[1]:
            found.append(f"keys in Redis: {len(self.keys[0])} before, {len(self.keys[1])} after")
        if self.records[0] != self.records[1]:
            found.append(f"catalog: {self.records[0]} records before, {self.records[1]} after")
        if self.ends != self.rollovers:
            found.append(f"{self.ends} of {self.rollovers} streams ended with their resolution")
        return found

    def lines(self) -> list[str]:
        """For people."""
        before, after, tokens = self.before, self.after, 2 * MARKETS
        assert before is not None
        assert after is not None
        faults = self.faults()
        traced = (
            f"{before.traced / tokens:.0f} bytes of Python's memory a token before, "
            f"{after.traced / tokens:.0f} after (bound: {SLACK_BYTES_A_TOKEN} more)"
            if before.traced
            else f"resident {before.rss_kb} kB before, {after.rss_kb} kB after"
            f" (bound: {SLACK_RSS:g} times and {SLACK_RSS_KB} kB)"
        )
        return [
            f"date       {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"machine    {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            f"run        seed {self.seed}, {self.socket_mode} sockets, {self.seconds:.0f} s",
            f"markets    {self.rollovers} ended and as many came, {A_TURN} at a time, {MARKETS} at once",
            f"ends       {self.ends} streams ended with the right winner; every other one was told by the channel,"
            " the others by Gamma only",
            f"tasks      {before.tasks} before, {after.tasks} after",
            f"files      {before.files} open before, {after.files} after "
            f"(bound: {SLACK_FILES} more, as pools of connections breathe)",
            f"objects    {sum(before.objects.values())} of our classes before, {sum(after.objects.values())} after",
            f"memory     {traced}",
            f"redis      {len(self.keys[0])} keys before, {len(self.keys[1])} after; "
            f"catalog {self.records[0]} records before, {self.records[1]} after",
            f"result     {'all is back to where it was' if not faults else 'FAULTS'}",
            *faults[:20],
        ]


class Rollovers:
    """A run in progress."""

    def __init__(
        self, outcome: Outcome, venue: RollingVenue, streams: Streams, worker: WatchedWorker
    ) -> None:
        self.outcome = outcome
        self.venue = venue
        self.streams = streams
        self.worker = worker
        self._client: redis.Redis = streams.client

    async def turn(self) -> None:
        """Some markets end, as many come; returns when all are followed and the ends are written."""
        winners = self.venue.end(A_TURN)
        told = {
            one: self._record(one).tokens[winner]
            for place, (one, winner) in enumerate(winners.items())
            if place % 2
        }
        await self.venue.announce_end(told)
        new = self.venue.list_new(A_TURN)
        await self.venue.announce(new)
        await until(lambda: self._over(winners), "the ends are written", BOUND_S)
        self.outcome.ends += len(winners)
        await self.settled()

    def _record(self, condition_id: str) -> Market:
        record: Any = self._client.hget(self.streams.keys.catalog, condition_id)
        assert record is not None, f"{condition_id} is not in the catalog"
        return Market.from_json(record)

    def _over(self, winners: dict[str, int]) -> bool:
        for one, winner in winners.items():
            record = self._record(one)
            if record.state != "resolved":
                return False
            key = self.streams.keys.book(record.partition, one)
            rows = self.streams.rows(key)
            last = rows[-1].entry
            if last.kind != "resolved":
                return False
            kinds = [row.entry.kind for row in rows]
            if kinds.count("resolved") != 1 or last.note != str(winner) or record.winner != winner:
                self.outcome.mistakes.append(f"{one}: ended as {last.note}, not {winner}: {kinds[-5:]}")
        return True

    async def settled(self) -> None:
        """Waits until exactly what trades is live."""
        wanted = 2 * len(self.venue.trading)
        await until(
            lambda: (word := self.streams.status("w1")) and word["tokens"] == word["tokens_live"] == wanted,
            "every token is live",
            BOUND_S,
        )

    async def alone(self) -> None:
        """Waits until nothing is left of markets that are gone, in Redis and in what the worker writes."""
        trading = {one.condition_id for one in self.venue.trading}

        def rest() -> bool:
            there = {key.decode() for key in self._client.hkeys(self.streams.keys.catalog)}
            names = {name.rsplit(":", 1)[1] for name in self.streams.names()}
            return there == trading == names

        await until(rest, "what is gone is forgotten", BOUND_S + 2 * self.outcome.retired_for_s)
        await self.settled()

    async def look(self) -> Look:
        """What is held now, in the worker and in Redis."""
        keys = [key.decode() for key in self._client.scan_iter()]
        self.outcome.keys.append(sorted(key.rsplit(":", 1)[0] if "0x" in key else key for key in keys))
        self.outcome.records.append(self._client.hlen(self.streams.keys.catalog))
        return await self.worker.look()


async def run(*, rollovers: int, seed: int, socket_mode: str, retired_for_s: float, trace: bool) -> Outcome:
    """Rolls over so many markets, and compares."""
    outcome = Outcome(seed, socket_mode, retired_for_s)
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        streams = Streams(client)
        async with rolling_venue(Random(seed)) as (venue, places):
            for _ in range(MARKETS // A_TURN):
                # No event outlives its turn by one of its markets: a family is forgotten as a whole.
                venue.list_new(A_TURN)
            settings = {
                **places,
                "redis_url": server.url,
                "worker_id": "w1",
                "socket_mode": socket_mode,
                "catalog": "gamma",
                "catalog_refresh_s": 1,
                "stream_max_age_s": STREAM_MAX_AGE_S,
                "partitions": 1,
                "max_markets": 10 * MARKETS,
                "opens_per_s": 50,
            }
            async with watched_worker(settings, retired_for_s=retired_for_s, trace=trace) as worker:
                rolling = Rollovers(outcome, venue, streams, worker)
                await rolling.settled()
                quoting = asyncio.create_task(venue.venue.quote_for_ever(0.005))
                began_s = time.monotonic()
                try:
                    # Caches fill and pools grow once: before is after the first turns.
                    for _ in range(2):
                        await rolling.turn()
                    outcome.ends = 0
                    await rolling.alone()
                    outcome.before = await rolling.look()
                    while outcome.rollovers < rollovers:
                        await rolling.turn()
                        outcome.rollovers += A_TURN
                    await rolling.alone()
                    outcome.after = await rolling.look()
                finally:
                    quoting.cancel()
                    await asyncio.gather(quoting, return_exceptions=True)
                outcome.seconds = time.monotonic() - began_s
        await verified(server.url)
    return outcome


def main() -> int:
    """The proof at full size, as a file: both socket modes, with and without Python's own count of its memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollovers", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    lines: list[str] = []
    faults: list[str] = []
    for socket_mode, trace in (("python", True), ("native", False)):
        outcome = asyncio.run(
            run(
                rollovers=given.rollovers,
                seed=seed,
                socket_mode=socket_mode,
                retired_for_s=60.0,
                trace=trace,
            )
        )
        print("\n".join(outcome.lines()), flush=True)
        lines += [*outcome.lines(), ""]
        faults += outcome.faults()
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text("\n".join(lines), encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
