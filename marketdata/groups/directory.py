"""Which streams a partition has, and what the catalog says of their markets.

A market's record is in the catalog before its stream appears. So a reader that knows the catalog's revision knows
all streams that can exist; streams without a record are found by looking at all keys now and then.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis

from marketdata.catalog import NO_REVISION, Catalog
from marketdata.errors import CatalogError
from marketdata.keys import Keys
from marketdata.market import Market

SCAN_EVERY_S: Final = 10.0
_CHANGES: Final = 1_000
_SCAN_COUNT: Final = 1_000
_GLOB: Final = re.compile(r"([*?\[\]\\^])")


class Directory:
    """Streams and markets, kept up to date by whoever reads. Shared by all partitions of a member.

    Attributes:
        markets: by condition id.
        revision: the catalog's, as of which `markets` is.
    """

    def __init__(self, client: Redis, keys: Keys, log: Callable[[str], None]) -> None:
        self.markets: dict[str, Market] = {}
        self.revision = ""
        self._client = client
        self._keys = keys
        self._log = log
        self._catalog = Catalog(client, keys)
        self._streams: dict[int, dict[str, str]] = defaultdict(dict)
        self._turn = asyncio.Lock()
        self._size = -1
        self._scanned_s = -SCAN_EVERY_S
        self._book = re.compile(re.escape(keys.prefix) + r"book:\{(\d\d)\}:(\S+)", re.ASCII)
        self._told = ""

    def streams(self, partition: int) -> dict[str, str]:
        """Condition ids by stream key, of all streams that the partition may have."""
        return self._streams[partition]

    def market(self, condition_id: str) -> Market | None:
        """The catalog's record."""
        return self.markets.get(condition_id)

    async def follow(self, revision: str) -> None:
        """Brings the catalog to this revision at least, or to the newest."""
        async with self._turn:
            if revision != self.revision:
                await self._read_catalog()

    async def look(self) -> None:
        """Looks at the catalog, and for streams that it does not list. The client's errors go through."""
        async with self._turn:
            if await self._catalog.revision() != self.revision:
                await self._read_catalog()
            now_s = asyncio.get_running_loop().time()
            if now_s - self._scanned_s >= SCAN_EVERY_S:
                await self._scan(now_s)

    async def look_for(self, partition: int) -> None:
        """A partition without known streams spoke: looks for them now."""
        async with self._turn:
            now_s = asyncio.get_running_loop().time()
            if not self._streams[partition] and now_s - self._scanned_s >= 1.0:
                await self._read_catalog()
                self._size = -1
                await self._scan(now_s)

    async def _scan(self, now_s: float) -> None:
        size = await self._client.dbsize()
        self._scanned_s = now_s
        if size == self._size:
            return
        self._size = size
        pattern = _GLOB.sub(r"\\\1", self._keys.prefix) + "book:{[0-9][0-9]}:*"
        async for key in self._client.scan_iter(match=pattern, count=_SCAN_COUNT, _type="stream"):
            name = key.decode(errors="replace")
            if match := self._book.fullmatch(name):
                self._streams[int(match[1])].setdefault(name, match[2])

    async def _read_catalog(self) -> None:
        try:
            if not await self._read_changes():
                snapshot = await self._catalog.snapshot()
                if snapshot.markets or not self.markets:
                    self.markets = snapshot.markets
                self._note(snapshot.markets)
                self.revision = snapshot.revision
            self._told = ""
        except CatalogError as error:
            # Entries are handled all the same, without the facts of markets.
            if self._told != str(error):
                self._told = str(error)
                self._log(str(error))
            self.revision = await self._catalog.revision()

    async def _read_changes(self) -> bool:
        """Reads what the log says since our revision; False where it does not reach back so far."""
        if self.revision in ("", NO_REVISION):
            return False
        rows: Any = await self._client.xrange(self._keys.catalog_log, self.revision, "+", _CHANGES)
        if not rows or rows[0][0].decode() != self.revision or len(rows) == _CHANGES:
            return False
        ids = list(dict.fromkeys(fields[b"id"].decode() for _, fields in rows[1:]))
        if ids:
            records: Any = await self._client.hmget(self._keys.catalog, ids)
            found = {
                one: Market.from_json(record)
                for one, record in zip(ids, records, strict=True)
                if record is not None
            }
            for one in ids:
                self.markets.pop(one, None)
            self.markets.update(found)
            self._note(found)
        self.revision = rows[-1][0].decode()
        return True

    def _note(self, markets: dict[str, Market]) -> None:
        for market in markets.values():
            key = self._keys.book(market.partition, market.condition_id)
            self._streams[market.partition][key] = market.condition_id
