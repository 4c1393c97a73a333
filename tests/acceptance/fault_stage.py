"""One worker on one venue that misbehaves: both as processes, a Redis of their own, and all that can be known of them.

What the venue meant is its log of truth; what it sent is the worker's raw capture; what became of it are the streams.
"""

from __future__ import annotations

import asyncio
import pickle
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from consumers.verify.report import Report
from marketdata.market import Market
from tests.acceptance.fault_received import Received
from tests.acceptance.fault_truth import Findings, by_token, compare
from tests.acceptance.venue_and_worker import collect, collect_once, simulator, venue_status, worker
from tests.integration.worker.rig import Row, Streams, until, verified
from tests.redis_server import PrivateRedis

WORKER_ID: Final = "w1"
LIVE_BOUND_S: Final = 90.0
TRUTH_S: Final = 60.0

MANGLING: Final = ("lose", "reorder", "garbage")
"""Faults that leave a step without one of its messages, or with its messages in another order."""


@dataclass
class Told:
    """What is left of a run for the comparison.

    Attributes:
        truth: the venue's log.
        streams: entries by condition id.
        markets: records by condition id.
        raw: folder of the raw capture.
        report: of `verify`.
        faults: the venue's log of them.
    """

    truth: list[dict[str, Any]] = field(default_factory=list)
    streams: dict[str, list[Row]] = field(default_factory=dict)
    markets: dict[str, Market] = field(default_factory=dict)
    raw: Path = Path()
    report: Report = field(default_factory=Report)
    faults: list[dict[str, Any]] = field(default_factory=list)

    def mangled_ms(self) -> dict[str, set[int]]:
        """By token: the venue's times of steps that lost a message or had one sent out of order."""
        found: dict[str, set[int]] = defaultdict(set)
        by_id = {row["id"]: row for row in self.faults if row["fault"]["kind"] in MANGLING}
        for row in by_id.values():
            fault = row["fault"]
            for market in self.markets.values():
                if "token" in fault:
                    tokens: tuple[str, ...] = (fault["token"],) if fault["token"] in market.tokens else ()
                elif fault.get("market") in (None, market.condition_id):
                    tokens = market.tokens
                else:
                    continue
                for token in tokens:
                    found[token].update(row["acted_ms"])
        return found


@dataclass
class Stage:
    """A running worker and its venue."""

    url: str
    http: aiohttp.ClientSession
    streams: Streams
    told: Told
    folder: Path

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """A control call; its answer, which must be 200."""
        data = None if body is None else orjson.dumps(body)
        async with self.http.request(method, self.url + path, data=data) as answer:
            assert answer.status == 200, await answer.text()
            return orjson.loads(await answer.read())

    async def inject(self, *faults: Mapping[str, object]) -> list[int]:
        """Begins faults; their ids."""
        found: list[int] = (await self.call("POST", "/control/faults", list(faults)))["ids"]
        return found

    async def fault_log(self) -> list[dict[str, Any]]:
        """What became of all faults."""
        found: list[dict[str, Any]] = (await self.call("GET", "/control/faults/log"))["log"]
        return found

    async def opens(self, since_ms: int = 0) -> list[dict[str, Any]]:
        """The worker's requests for connections."""
        answer = await self.call("GET", f"/control/opens?since_ms={since_ms}&client=bookstream")
        found: list[dict[str, Any]] = answer["opens"]
        return found

    async def venue(self) -> dict[str, Any]:
        """What the venue says of itself."""
        return await venue_status(self.http, self.url)

    def status(self) -> dict[str, Any]:
        """What the worker says of itself."""
        return self.streams.status(WORKER_ID)

    def all_live(self, least: int = 1) -> bool:
        """Whether every token that the worker follows is live."""
        word = self.status()
        return bool(word and word["tokens_live"] == word["tokens"] >= least)

    async def until_live(self, least: int, bound_s: float = LIVE_BOUND_S) -> None:
        """Returns when it is so."""
        await until(lambda: self.all_live(least), f"every token is live: {_states(self.status())}", bound_s)

    def catalog(self) -> list[Market]:
        """All records of the catalog."""
        records: Any = self.streams.client.hvals(self.streams.keys.catalog)
        return [Market.from_json(record) for record in records]

    async def open_tokens(self) -> set[str]:
        """Tokens of markets that trade at the venue, as Gamma lists them."""
        found: set[str] = set()
        cursor = ""
        while True:
            rest = f"&after_cursor={cursor}" if cursor else ""
            page = await self.call("GET", f"/events/keyset?closed=false&limit=100{rest}")
            for event in page["events"]:
                for market in event["markets"]:
                    if not market["closed"]:
                        found.update(market.get("positionIds") or orjson.loads(market["clobTokenIds"]))
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return found


@asynccontextmanager
async def staged(
    *, markets: int, rate: float, seed: int, socket_mode: str, **settings: str
) -> AsyncIterator[Stage]:
    """Runs both until every token is live, then hands over; `told` is complete after the end; then comes `forget`.

    Args:
        settings: of the worker, by their names in the environment.
    """
    folder = Path(tempfile.mkdtemp(prefix="bs-faults-"))
    told = Told(raw=folder / "raw")
    told.raw.mkdir(exist_ok=True)
    given = {
        "WORKER_ID": WORKER_ID,
        "SOCKET_MODE": socket_mode,
        "RECORD_RAW": str(told.raw),
        "OPENS_PER_S": "5",
        # The end of a short market may be told while nobody is connected; then the catalog tells of it.
        "CATALOG_REFRESH_S": "10",
        **settings,
    }
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        streams = Streams(client)
        async with (
            simulator(markets, rate, seed, truth_s=TRUTH_S, log=folder / "venue.log") as (_, url),
            aiohttp.ClientSession() as http,
        ):
            collector = asyncio.create_task(collect(http, url, told.truth))
            try:
                async with worker(server.url, url, markets, log=folder / "worker.log", **given):
                    stage = Stage(url, http, streams, told, folder)
                    await stage.until_live(2 * markets)
                    yield stage
                    told.faults = await stage.fault_log()
                    assert not collector.done(), "the venue's log could not be read"
            finally:
                collector.cancel()
                await asyncio.gather(collector, return_exceptions=True)
            await collect_once(http, url, told.truth)
        told.streams = streams.by_market()
        for key, record in client.hgetall(streams.keys.catalog).items():  # type: ignore[union-attr]
            told.markets[key.decode()] = Market.from_json(record)
        told.report = await verified(server.url)


def weigh(told: Told, received: Received) -> Findings:
    """Holds all streams of a run against the truth and what was received."""
    findings, truth = Findings(), by_token(told.truth, told.mangled_ms())
    ended = {row["token"] for row in told.truth if row["kind"] == "resolved"}
    for condition_id, rows in told.streams.items():
        market = told.markets[condition_id]
        for row in rows:
            if row.entry.kind == "resolved" and market.tokens[int(row.entry.note)] not in ended:
                findings.wrong.append(f"{condition_id} is told to be resolved to {row.entry.note}")
        for index, token in enumerate(market.tokens):
            entries = [row.entry for row in rows if row.entry.outcome in (None, index)]
            if token in truth:
                compare(token, entries, truth[token], received, findings)
    return findings


def forget(stage: Stage, faults: Sequence[str]) -> None:
    """Removes the folder of a run that went well; that of another one is left, with all that is known of it."""
    if not faults:
        shutil.rmtree(stage.folder)
        return
    (stage.folder / "told.pickle").write_bytes(pickle.dumps((list(faults), stage.told)))
    print(f"kept: {stage.folder}", file=sys.stderr)


def _states(word: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in word.items() if name.startswith("tokens")}
