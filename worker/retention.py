"""Streams kept short: by length and by age, and a warning before a slow group loses entries.

Age alone never takes the end of a stream that is still written: a quiet market's top stands for days, and its next
writer goes on from the counters found there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError

from marketdata.clock import now_ms
from marketdata.entries import EntryId
from marketdata.logs import get_logger
from worker.laggards import Behind, Laggards

SWEEP_EVERY_S: Final = 60.0
STREAMS_A_ROUND: Final = 200
ENTRY_BYTES: Final = 100
"""About what an entry of twelve short fields costs in Redis."""

WARN_AT: Final = 0.9
END_KEPT: Final = 20
"""So many entries of a stream that is not over stay, however old: both tokens' last ones are nearly always there."""

_NEVER: Final = EntryId(2**63, 0)


class Retention:
    """Trims all our streams once a minute."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Callable[[], Iterable[str]],
        *,
        maxlen: int,
        max_age_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._keys = keys
        self._maxlen = maxlen
        self._max_age_s = max_age_s
        self._clock = clock
        self._laggards = Laggards(maxlen)
        self._log = get_logger("retention")

    def worst_case_bytes(self, streams: int) -> int:
        """The memory that so many full streams take, about."""
        return streams * self._maxlen * ENTRY_BYTES

    async def run(self) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            try:
                await self.sweep()
            except RedisError as error:
                self._log.warning(f"streams were not trimmed, next try in a minute: {str(error)[:200]}")

    async def sweep(self) -> int:
        """Trims every stream; returns how many entries went.

        Raises:
            RedisError: Redis could not be asked.
        """
        keys = list(self._keys())
        oldest = EntryId(now_ms() - int(self._max_age_s * 1000), 0)
        gone = 0
        behind: dict[str, Behind] = {}
        for start in range(0, len(keys), STREAMS_A_ROUND):
            chunk = keys[start : start + STREAMS_A_ROUND]
            await self._look_behind(chunk, behind)
            ends = await self._ends(chunk)
            pipe = self._client.pipeline(transaction=False)
            for key, end in zip(chunk, ends, strict=True):
                pipe.xtrim(key, maxlen=self._maxlen, approximate=True)
                pipe.xtrim(key, minid=str(min(oldest, end)), approximate=True)
            for reply in await pipe.execute(raise_on_error=False):
                if isinstance(reply, int):
                    gone += reply
                else:
                    # One key that cannot be trimmed must not let all others grow.
                    self._log.warning(f"a stream was not trimmed, next try in a minute: {str(reply)[:200]}")
        for line in self._laggards.look(behind, self._clock()):
            self._log.warning(line)
        return gone

    async def _ends(self, keys: list[str]) -> list[EntryId]:
        """From where on each stream is kept whatever its age."""
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.xrevrange(key, count=END_KEPT)
        return [_end(rows) for rows in await pipe.execute(raise_on_error=False)]

    async def _look_behind(self, keys: list[str], behind: dict[str, Behind]) -> None:
        """Adds the groups that a trim may soon pass."""
        pipe = self._client.pipeline(transaction=False)
        for key in keys:
            pipe.xinfo_groups(key)
        for groups in await pipe.execute(raise_on_error=False):
            if isinstance(groups, Exception):
                continue
            for group in groups:
                lag = group.get("lag")
                if lag is not None and lag >= WARN_AT * self._maxlen:
                    name = group["name"].decode(errors="replace")
                    streams, most = behind.get(name, Behind(0, 0))
                    behind[name] = Behind(streams + 1, max(most, lag))


def _end(rows: Any) -> EntryId:
    """The oldest of a stream's newest entries; the end of all ids where none of them needs to be kept."""
    if isinstance(rows, list) and rows:
        _, newest = rows[0]
        over = newest.get(b"kind") == b"resolved" or newest.get(b"note", b"").startswith(b"shutdown ")
        if not over:
            return EntryId.parse(rows[-1][0])
    return _NEVER
