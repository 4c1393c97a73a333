"""Reads the opportunity streams, while their page is on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from redis.asyncio import Redis

from consumers.dashboard.found import Found, parse_found
from consumers.dashboard.plain import plain
from consumers.dashboard.reading import EngineWord
from marketdata.keys import Keys

LOOKS_BACK_MS: Final = 3_600_000
"""What was found in the last hour is shown; older ones are in the streams."""

_READ: Final = 200
_READS_AT_ONCE: Final = 5


class FoundReader:
    """One XREAD over all partitions, and who writes. Lets the client's own errors (`redis.RedisError`) through."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._positions: dict[bytes, str | bytes] = {}
        self._written: int | None = None
        self._asked = 0

    def forget(self) -> None:
        """Begins anew."""
        self._positions.clear()
        self._written = None

    @property
    def begins(self) -> bool:
        """Whether nothing was read yet, or all of it is read again."""
        return not self._positions

    async def read(self, partitions: int, now_ms: int) -> list[Found]:
        """Entries that are new since last time, by id."""
        numbers = {self._keys.opportunities(one).encode(): one for one in range(partitions)}
        for key in numbers:
            self._positions.setdefault(key, f"{now_ms - LOOKS_BACK_MS}-0")
        found: list[Found] = []
        for _ in range(_READS_AT_ONCE):
            reply = await self._client.xread(dict(self._positions), count=_READ)  # type: ignore[arg-type]
            pages = cast(Sequence[tuple[bytes, Sequence[tuple[bytes, Mapping[bytes, bytes]]]]], reply or ())
            for key, raw in pages:
                self._positions[key] = raw[-1][0]
                self._written = numbers[key]
                parsed = (parse_found(one, numbers[key], fields) for one, fields in raw)
                found.extend(one for one in parsed if one is not None)
            if not any(len(raw) >= _READ for _, raw in pages):
                break
        return sorted(found, key=lambda one: (one.id, one.partition))

    async def engine(self, partitions: int) -> EngineWord:
        """Who writes. A member of the engine's group that stopped in good order is off its list."""
        # One group writes all partitions. Where something was found it has left its name; else one is asked a time.
        asked = self._asked if self._written is None else self._written
        group = cast(bytes | None, await self._client.hget(self._keys.arbitrage(asked), "group"))
        if group is None:
            self._asked = (self._asked + 1) % partitions
            return EngineWord()
        name = group.decode(errors="replace")
        newest = await self._client.zrange(self._keys.group(name), 0, 0, desc=True, withscores=True)
        listed = cast(Sequence[tuple[bytes, float]], newest)
        return EngineWord(plain(name), int(listed[0][1]) if listed else 0)
