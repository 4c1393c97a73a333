"""Malformed frames, put aside in Redis for whoever wants to look: first 4 kB, length, SHA-256, reason."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from typing import Final, NamedTuple

import redis.asyncio
from redis.exceptions import RedisError

from marketdata.clock import now_ms
from marketdata.keys import Keys
from marketdata.logs import get_logger
from worker.counters import Counters

KEPT_BYTES: Final = 4_096
A_MINUTE: Final = 10
MAXLEN: Final = 1_000
WAITING: Final = 100
REASONS: Final = 200


class _Caught(NamedTuple):
    frame: bytes
    length: int
    sha256: str
    reason: str
    connection: str
    at_ms: int


class Quarantine:
    """Takes frames at any rate; writes at most ten a minute a reason, counts the rest."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, worker_id: str, counters: Counters) -> None:
        self._client = client
        self._key = keys.quarantine
        self._worker_id = worker_id
        self._counters = counters
        self._waiting: deque[_Caught] = deque(maxlen=WAITING)
        self._something = asyncio.Event()
        self._minute = 0
        self._in_minute: dict[str, int] = {}
        self._log = get_logger("quarantine")

    def add(self, frame: bytes, reason: str, connection: str) -> None:
        """Puts a frame aside; never waits."""
        self._counters.quarantined += 1
        at_ms = now_ms()
        minute = at_ms // 60_000
        if minute != self._minute:
            self._minute, self._in_minute = minute, {}
        kind = reason.split(":", 1)[0]
        if kind not in self._in_minute and len(self._in_minute) >= REASONS:
            kind = "other"
        count = self._in_minute[kind] = self._in_minute.get(kind, 0) + 1
        if count > A_MINUTE or len(self._waiting) == WAITING:
            self._counters.quarantine_unwritten += 1
            return
        self._log.warning("a frame was put aside", reason=reason, length=len(frame), connection=connection)
        digest = hashlib.sha256(frame).hexdigest()
        self._waiting.append(_Caught(frame[:KEPT_BYTES], len(frame), digest, reason, connection, at_ms))
        self._something.set()

    async def run(self) -> None:
        """Writes what was put aside until cancelled; what Redis does not take is counted."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                caught = self._waiting.popleft()
                fields: dict[str | bytes, str | bytes | int] = {
                    "reason": caught.reason,
                    "length": caught.length,
                    "sha256": caught.sha256,
                    "worker": self._worker_id,
                    "connection": caught.connection,
                    "recv_ms": caught.at_ms,
                    "frame": caught.frame,
                }
                try:
                    await self._client.xadd(self._key, fields, maxlen=MAXLEN, approximate=True)  # type: ignore[arg-type]
                except RedisError as error:
                    self._counters.quarantine_unwritten += 1
                    self._log.warning("could not write to the quarantine", why=str(error)[:200])
