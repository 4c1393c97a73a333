"""What others see of a worker: one JSON record a second, expiring."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypedDict

import redis.asyncio

from marketdata.clock import now_ms
from marketdata.keys import Keys
from worker.connection import Connection
from worker.counters import Counters
from worker.feeds import MarketFeed, Step, TokenState
from worker.last_minute import LastMinute
from worker.name import EXPIRES_S, WorkerName
from worker.protocol import ConnectionState
from worker.publisher import Publisher
from worker.recent import Recent

LAST_WORD_S: Final = 60
FORGOTTEN_AFTER_MS: Final = 60_000

MARKETS_AT_ONCE: Final = 200

_OPEN: Final = (ConnectionState.SUBSCRIBED, ConnectionState.LIVE)


class MarketFigures(TypedDict):
    """What `worker:ID` tells of a market."""

    entries: int
    """Acknowledged since the worker took the market on."""
    last_ms: int
    """The newest entry's time, Unix milliseconds; 0: none yet."""
    trades: int
    spread: str
    """Best ask minus best bid of the first outcome; empty where a side is. The second one's is the same, mirrored."""
    matches: int
    mismatches: int
    """Hash checks of both tokens since the market came to its connection."""


class Status:
    """Gathers and writes `worker:ID`."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        name: WorkerName,
        counters: Counters,
        publisher: Publisher,
        recent: Recent,
        partitions_total: int,
    ) -> None:
        self.state = "starting"
        self.waits_for = ""
        self._client = client
        self._keys = keys
        self._name = name
        self._counters = counters
        self._publisher = publisher
        self._recent = recent
        self._by_market: dict[str, MarketFigures] = {}
        self._partitions_total = partitions_total
        self._started_ms = now_ms()
        self._last_minute = LastMinute()

    def tick(self) -> None:
        """Once a second, whether or not Redis can be told of it."""
        counters = self._counters
        messages = counters.price_changes + counters.books + counters.trades
        self._last_minute.tick(messages, counters.fault_gaps)

    def record(
        self, connections: Iterable[Connection], *, markets: int, partitions: int, loading: bool = False
    ) -> dict[str, Any]:
        """The record as the dashboard reads it; `loading`: which markets there are is not known yet."""
        shards = [_connection(connection) for connection in connections]
        counters, publisher = self._counters, self._publisher
        return {
            "worker": self._name.worker_id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started_ms": self._started_ms,
            "now_ms": now_ms(),
            "state": self.state,
            "waits_for": self.waits_for,
            "partitions": partitions,
            "partitions_total": self._partitions_total,
            "loading": loading,
            "connections": shards,
            "markets": markets,
            "tokens": sum(shard["live"] + shard["waiting"] + shard["quarantined"] for shard in shards),
            "tokens_live": sum(shard["live"] for shard in shards),
            "tokens_waiting": sum(shard["waiting"] for shard in shards),
            "tokens_stale": sum(shard["stale"] for shard in shards),
            "tokens_quarantined": sum(shard["quarantined"] for shard in shards),
            "tokens_unlisted": sum(shard["unlisted"] for shard in shards),
            "counters": _counts(counters),
            "gaps_by_cause": dict(counters.gaps),
            "gaps_last_minute": self._last_minute.gaps,
            "received": self._last_minute.received,
            "rescues": dict(counters.rescues),
            "closes": dict(counters.closes),
            "events": dict(counters.events),
            "log": self._recent.events(),
            "latency_ms": {
                "p50": publisher.latencies.percentile_ms(50),
                "p99": publisher.latencies.percentile_ms(99),
            },
            "pending": publisher.pending,
            "redis": "connected" if publisher.connected else "away",
            "by_market": self._by_market,
        }

    async def look_at_markets(self, feeds: Iterable[MarketFeed]) -> None:
        """Gathers each market's figures for the next record; lets quotes pass in between."""
        figures: dict[str, MarketFigures] = {}
        for count, feed in enumerate(list(feeds), 1):
            figures[feed.condition_id] = {
                "entries": feed.stream.entries,
                "last_ms": feed.stream.last_id.ms,
                "trades": feed.stream.trades,
                "spread": _spread(feed),
                "matches": feed.trust.matches,
                "mismatches": feed.trust.checks - feed.trust.matches,
            }
            if count % MARKETS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._by_market = figures

    async def write(self, record: Mapping[str, Any], *, last_word: bool = False) -> None:
        """Writes the record; the last one stays a minute.

        Raises:
            RedisError: Redis did not take it.
            WorkerTakenError: another worker runs under this name by now; nothing was written.
        """
        await self._name.speak(record, expires_s=LAST_WORD_S if last_word else EXPIRES_S)
        now = now_ms()
        pipe = self._client.pipeline(transaction=False)
        pipe.zadd(self._keys.workers, {self._name.worker_id: now})
        pipe.zremrangebyscore(self._keys.workers, 0, now - FORGOTTEN_AFTER_MS)
        await pipe.execute()


def _connection(connection: Connection) -> dict[str, Any]:
    protocol = connection.protocol
    awaited_us = protocol.pong_awaited_us if protocol.state in _OPEN else 0
    # A market that is only arriving is still told of by another connection.
    feeds = [feed for feed in protocol.books.tokens.values() if not feed.market.muted]
    states = [feed.state for feed in feeds]
    return {
        "name": connection.name,
        "state": protocol.state.value,
        "generation": protocol.generation,
        "tokens": len(states),
        "live": states.count(TokenState.LIVE),
        "waiting": states.count(TokenState.WAITING),
        "unlisted": states.count(TokenState.UNLISTED),
        "quarantined": states.count(TokenState.QUARANTINED),
        "stale": sum(feed.step in (Step.RESUBSCRIBE, Step.MOVE) for feed in feeds),
        "rescues": dict(protocol.rescues.counts),
        "frames": protocol.frames,
        "last_frame_ms": protocol.last_frame_us // 1000,
        "last_data_ms": protocol.books.last_data_us // 1000,
        "pong_ms": None if protocol.pong_us is None else protocol.pong_us / 1000,
        "pong_awaited_ms": awaited_us // 1000,
        "opens": connection.opens,
        "last_close": connection.last_close,
    }


def _spread(market: MarketFeed) -> str:
    book = market.tokens[0].gate.book
    if book is None or not book.bids or not book.asks:
        return ""
    return f"{(book.best_ask - book.best_bid) / 1_000_000:g}"


def _counts(counters: Counters) -> dict[str, int]:
    counts = {name: value for name in Counters.__slots__ if isinstance(value := getattr(counters, name), int)}
    return {**counts, "updates": counters.tops, "gaps": counters.fault_gaps}
