"""What a worker says of itself, in the detail that only the dashboard wants.

A key that an older worker does not write is None here, and a "-" on the screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field, TypeAdapter, ValidationError, field_validator
from typing_extensions import TypedDict

from consumers.workers import ConnectionWord, WorkerWord


class LogWord(TypedDict, total=False):
    """One thing that happened: Unix milliseconds, gap, reconnect, rescue, error or market, and words."""

    ms: int
    what: str
    text: str


class Counted(TypedDict, total=False):
    """What a worker counted for one market since it took it on; `spread` is empty where a side is.

    A plain dict: thousands of them are read once a second.
    """

    entries: int
    trades: int
    last_ms: int | None
    spread: str | None
    matches: int
    mismatches: int


class Received(TypedDict):
    """What arrived of books and trades: for how long nothing has, and the minute before that."""

    silent_s: int
    seconds: int
    busy_seconds: int
    messages: int


_COUNTED: Final = TypeAdapter(dict[str, Counted])


class ConnectionRecord(ConnectionWord):
    """One websocket; `rescues` by step: resubscribe, move, slow."""

    generation: int | None = None
    tokens_stale: int | None = Field(None, validation_alias="stale")
    tokens_quarantined: int | None = Field(None, validation_alias="quarantined")
    frames: int | None = None
    last_frame_ms: int | None = None
    pong_ms: float | None = None
    pong_awaited_ms: int = 0
    rescues: Mapping[str, int] | None = None


class WorkerRecord(WorkerWord):
    """One worker's newest record. Counters count since it started."""

    connections: tuple[ConnectionRecord, ...] = ()
    stale: int | None = Field(None, validation_alias="tokens_stale")
    quarantined: int | None = Field(None, validation_alias="tokens_quarantined")
    loading: bool = False
    received: Received | None = None
    gaps_last_minute: int | None = None
    log: tuple[LogWord, ...] = ()
    gaps_by_cause: Mapping[str, int] = Field(default_factory=dict)
    by_market: Mapping[str, Any] = Field(default_factory=dict)
    entries_alone: Mapping[str, int] = Field(default_factory=dict, validation_alias="entries_by_market")

    @field_validator("by_market")
    @classmethod
    def _counted(cls, given: Mapping[str, Any]) -> dict[str, Counted]:
        return _COUNTED.validate_python(given)

    @property
    def key(self) -> tuple[str, int]:
        """A worker that was started anew counts from zero, so it is another one."""
        return self.worker, self.started_ms

    @property
    def markets_counted(self) -> Mapping[str, Counted]:
        """By condition id; of an older worker the entries alone."""
        if self.by_market or not self.entries_alone:
            return self.by_market
        return {one: {"entries": count} for one, count in self.entries_alone.items()}


def parse_record(record: bytes | str) -> WorkerRecord | None:
    """Reads `worker:ID`; None: it cannot be read."""
    try:
        return WorkerRecord.model_validate_json(record)
    except ValidationError:
        return None
