"""What workers say of themselves, read from `worker:ID`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.asyncio import Redis

from marketdata.keys import Keys

SILENT_AFTER_MS: Final = 3_000
"""A worker speaks once a second; one that was not heard for this long says nothing of now."""


class _Word(BaseModel):
    """Keys of a newer worker are ignored, missing ones are zero: an older reader goes on reading."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ConnectionWord(_Word):
    """One websocket of a worker; times in Unix milliseconds."""

    name: str
    state: str
    tokens: int = 0
    live: int = 0
    waiting: int = 0
    unlisted: int = 0
    stale: int = 0
    quarantined: int = 0
    last_data_ms: int = 0
    opens: int = 0
    last_close: str = ""


class MarketWord(_Word):
    """A market as its worker sees it; counts since the worker took it on."""

    entries: int = 0
    trades: int = 0
    last_ms: int = 0
    spread: str = ""
    matches: int = 0
    mismatches: int = 0


class LatencyWord(_Word):
    """From a frame's arrival to Redis' acknowledgement, milliseconds."""

    p50: float = 0.0
    p99: float = 0.0


class WorkerWord(_Word):
    """One worker's newest word, see `docs/streams.md`; counters count since it started."""

    worker: str
    pid: int
    host: str
    started_ms: int
    now_ms: int
    state: str
    waits_for: str = ""
    partitions: int = 0
    partitions_total: int = 0
    connections: tuple[ConnectionWord, ...] = ()
    markets: int = 0
    tokens: int = 0
    tokens_live: int = 0
    tokens_waiting: int = 0
    tokens_unlisted: int = 0
    tokens_stale: int = 0
    tokens_quarantined: int = 0
    counters: Mapping[str, int] = Field(default_factory=dict)
    gaps_by_cause: Mapping[str, int] = Field(default_factory=dict)
    latency_ms: LatencyWord = LatencyWord()
    pending: int = 0
    redis: str = ""
    by_market: Mapping[str, MarketWord] = Field(default_factory=dict)

    @property
    def entries_by_market(self) -> dict[str, int]:
        """How many entries each market got."""
        return {condition_id: market.entries for condition_id, market in self.by_market.items()}

    def count(self, name: str) -> int:
        """A counter; 0 where the worker does not know it."""
        return self.counters.get(name, 0)

    def is_heard(self, now_ms: int) -> bool:
        """Whether it works and said so lately."""
        return self.state != "stopped" and now_ms - self.now_ms < SILENT_AFTER_MS


async def read_workers(client: Redis, keys: Keys) -> list[WorkerWord]:
    """The newest words of all workers that are listed, oldest worker first. Unreadable ones are left out.

    The client's own errors (`redis.RedisError`) go through.
    """
    ids = cast(Sequence[bytes], await client.zrange(keys.workers, 0, -1))
    if not ids:
        return []
    records = await client.mget([keys.worker(one.decode(errors="replace")) for one in ids])
    words = (_parsed(record) for record in records if record is not None)
    return sorted(filter(None, words), key=lambda word: (word.started_ms, word.worker))


def _parsed(record: bytes | str) -> WorkerWord | None:
    try:
        return WorkerWord.model_validate_json(record)
    except ValidationError:
        return None
