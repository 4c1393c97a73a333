"""What a worker says of itself, in the detail that only the dashboard wants.

A key that an older worker does not write is None here, and a "-" on the screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from typing_extensions import TypedDict

from consumers.workers import ConnectionWord, WorkerWord


class LogWord(TypedDict, total=False):
    """One thing that happened: Unix milliseconds, gap, reconnect, rescue, error or market, and words."""

    ms: int
    what: str
    text: str


class MarketWord(TypedDict, total=False):
    """What a worker counted for one market since it started; `spread` is empty where a side is."""

    entries: int
    trades: int
    last_ms: int | None
    spread: str | None
    matches: int
    mismatches: int


class ConnectionRecord(ConnectionWord):
    """One websocket; `rescues` by step: resubscribe, move, slow."""

    generation: int | None = None
    stale: int | None = None
    quarantined: int | None = None
    frames: int | None = None
    last_frame_ms: int | None = None
    pong_ms: float | None = None
    rescues: Mapping[str, int] | None = None


def _none_is_empty(given: object) -> object:
    return {} if given is None else given


class WorkerRecord(WorkerWord):
    """One worker's newest record. Counters count since it started."""

    connections: tuple[ConnectionRecord, ...] = ()
    tokens_stale: int | None = None
    tokens_quarantined: int | None = None
    rescues: Mapping[str, int] | None = None
    log: tuple[LogWord, ...] = ()
    by_market: Annotated[dict[str, MarketWord], BeforeValidator(_none_is_empty)] = Field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """A worker that was started anew counts from zero, so it is another one."""
        return self.worker, self.started_ms

    @property
    def markets_counted(self) -> Mapping[str, MarketWord]:
        """By condition id; of an older worker the entries alone."""
        if self.by_market or not self.entries_by_market:
            return self.by_market
        return {one: {"entries": count} for one, count in self.entries_by_market.items()}


def parse_record(record: bytes | str) -> WorkerRecord | None:
    """Reads `worker:ID`; None: it cannot be read."""
    try:
        return WorkerRecord.model_validate_json(record)
    except ValidationError:
        return None
