"""The catalog as the screen wants it, kept up by what its log says has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from redis.asyncio import Redis

from consumers.dashboard.markets import MarketLine, parse_market
from marketdata.keys import Keys

WHOLE_EVERY_MS: Final = 300_000
"""Volumes move without a new revision, so all of it is read again this often."""

_CHANGES: Final = 500
_CHUNK: Final = 500
_START: Final = "0-0"


class CatalogReader:
    """Keeps `markets` as new as the last `follow`.

    Lets the client's own errors (`redis.RedisError`) through, and goes on after them.

    Attributes:
        markets: by condition id.
        changes: rises whenever `markets` changed.
    """

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], int]) -> None:
        self.markets: dict[str, MarketLine] = {}
        self.changes = 0
        self._client = client
        self._keys = keys
        self._clock = clock
        self._revision = ""
        self._whole_at_ms = 0

    async def follow(self) -> None:
        """Reads what changed since last time: one command if nothing did."""
        if not self._revision or self._clock() - self._whole_at_ms >= WHOLE_EVERY_MS:
            await self._read_all()
            return
        reply = await self._client.xrange(self._keys.catalog_log, self._revision, "+", count=_CHANGES)
        log = cast(Sequence[tuple[bytes, Mapping[bytes, bytes]]], reply)
        known = bool(log) and log[0][0].decode() == self._revision
        if not known and (log or self._revision != _START):
            # The log was trimmed past us, or Redis forgot it.
            await self._read_all()
            return
        changed = sorted({fields[b"id"].decode() for _, fields in log[known:] if b"id" in fields})
        if changed:
            records = cast(Sequence[bytes | None], await self._client.hmget(self._keys.catalog, changed))
            self._take(dict(zip(changed, records, strict=True)))
            self._revision = log[-1][0].decode()

    async def _read_all(self) -> None:
        newest = cast(
            Sequence[tuple[bytes, object]], await self._client.xrevrange(self._keys.catalog_log, count=1)
        )
        found: dict[str, MarketLine] = {}
        cursor = 0
        while True:
            reply = await self._client.hscan(self._keys.catalog, cursor, count=_CHUNK)
            cursor, records = cast(tuple[int, Mapping[bytes, bytes]], reply)
            for one, record in records.items():
                if (market := parse_market(record)) is not None:
                    found[one.decode()] = market
            # Thousands of records are parsed in between keys and frames.
            await asyncio.sleep(0)
            if cursor == 0:
                break
        if found != self.markets:
            self.markets = found
            self.changes += 1
        self._revision = newest[0][0].decode() if newest else _START
        self._whole_at_ms = self._clock()

    def _take(self, records: Mapping[str, bytes | None]) -> None:
        for one, record in records.items():
            market = parse_market(record) if record is not None else None
            if market is None:
                self.markets.pop(one, None)
            else:
                self.markets[one] = market
        self.changes += 1
