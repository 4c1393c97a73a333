"""What others see of a worker: one JSON record a second, expiring."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
import redis.asyncio

from marketdata.clock import now_ms
from marketdata.keys import Keys
from worker.connection import Connection
from worker.counters import Counters
from worker.feeds import TokenState
from worker.publisher import Publisher

EXPIRES_S: Final = 10
LAST_WORD_S: Final = 60
FORGOTTEN_AFTER_MS: Final = 60_000


class Status:
    """Gathers and writes `worker:ID`."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        worker_id: str,
        counters: Counters,
        publisher: Publisher,
        partitions_total: int,
    ) -> None:
        self.state = "starting"
        self.waits_for = ""
        self._client = client
        self._keys = keys
        self._worker_id = worker_id
        self._counters = counters
        self._publisher = publisher
        self._partitions_total = partitions_total
        self._started_ms = now_ms()

    def record(self, connections: Iterable[Connection], *, markets: int, partitions: int) -> dict[str, Any]:
        """The record as the dashboard reads it."""
        shards = [_connection(connection) for connection in connections]
        counters, publisher = self._counters, self._publisher
        return {
            "worker": self._worker_id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started_ms": self._started_ms,
            "now_ms": now_ms(),
            "state": self.state,
            "waits_for": self.waits_for,
            "partitions": partitions,
            "partitions_total": self._partitions_total,
            "connections": shards,
            "markets": markets,
            "tokens": sum(shard["live"] + shard["waiting"] for shard in shards),
            "tokens_live": sum(shard["live"] for shard in shards),
            "tokens_waiting": sum(shard["waiting"] for shard in shards),
            "tokens_unlisted": sum(shard["unlisted"] for shard in shards),
            "counters": _counts(counters),
            "gaps_by_cause": dict(counters.gaps),
            "events": dict(counters.events),
            "latency_ms": {
                "p50": publisher.latencies.percentile_ms(50),
                "p99": publisher.latencies.percentile_ms(99),
            },
            "pending": publisher.pending,
            "redis": "connected" if publisher.connected else "away",
            "entries_by_market": {
                stream.condition_id: stream.entries for stream in publisher.streams.values() if stream.entries
            },
        }

    async def write(self, record: Mapping[str, Any], *, last_word: bool = False) -> None:
        """Writes the record; the last one stays a minute.

        Raises:
            RedisError: Redis did not take it.
        """
        now = now_ms()
        pipe = self._client.pipeline(transaction=False)
        pipe.set(
            self._keys.worker(self._worker_id),
            orjson.dumps(record),
            ex=LAST_WORD_S if last_word else EXPIRES_S,
        )
        pipe.zadd(self._keys.workers, {self._worker_id: now})
        pipe.zremrangebyscore(self._keys.workers, 0, now - FORGOTTEN_AFTER_MS)
        await pipe.execute()


def _connection(connection: Connection) -> dict[str, Any]:
    protocol = connection.protocol
    states = [feed.state for feed in protocol.books.tokens.values()]
    return {
        "name": connection.name,
        "state": protocol.state.value,
        "generation": protocol.generation,
        "tokens": len(states),
        "live": states.count(TokenState.LIVE),
        "waiting": states.count(TokenState.WAITING),
        "unlisted": states.count(TokenState.UNLISTED),
        "last_frame_ms": protocol.last_frame_us // 1000,
        "last_data_ms": protocol.books.last_data_us // 1000,
        "pong_ms": None if protocol.pong_us is None else protocol.pong_us / 1000,
        "opens": connection.opens,
        "last_close": connection.last_close,
    }


def _counts(counters: Counters) -> dict[str, int]:
    counts = {name: value for name in Counters.__slots__ if isinstance(value := getattr(counters, name), int)}
    return {**counts, "updates": counters.tops, "gaps": counters.fault_gaps}
