"""From Redis to the picture's data; reads nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

from redis.asyncio import Redis

from consumers.dashboard.state import Activity, DashboardState, MarketRow, Rate
from consumers.workers import WorkerWord, read_workers
from marketdata.catalog import Catalog
from marketdata.entries import Entry
from marketdata.errors import EntryError
from marketdata.keys import Keys
from marketdata.market import Market

LOOK_EVERY_MS: Final = 1000
"""Workers, the catalog and the choice of markets are looked at this often; streams on the screen each time."""

_PAGE: Final = 200
_PAGES: Final = 5
_READ: Final = 2000

Fields = Mapping[bytes, bytes]
Page = Sequence[tuple[bytes, Fields]]


class DashboardReader:
    """Takes pictures. Lets the client's own errors (`redis.RedisError`) through, and goes on after them.

    Args:
        client, keys: where to read.
        clock: Unix milliseconds.
    """

    def __init__(self, client: Redis, keys: Keys, clock: Callable[[], int]) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._catalog = Catalog(client, keys)
        self._revision: str | None = None
        self._markets: dict[str, Market] = {}
        self._activity = Activity()
        self._rate = Rate()
        self._looked_ms = 0
        self._words: list[WorkerWord] = []
        self._per_s = 0.0
        self._rows: dict[str, MarketRow] = {}
        self._positions: dict[str, bytes] = {}

    async def picture(self, rows: int) -> DashboardState:
        """The state of now, with at most `rows` markets.

        Raises:
            CatalogError: a record of the catalog cannot be read.
        """
        now_ms = self._clock()
        if now_ms - self._looked_ms >= LOOK_EVERY_MS or now_ms < self._looked_ms:
            await self._look(now_ms)
            self._looked_ms = now_ms
        shown = [one for one in self._activity.newest(rows) if one in self._markets]
        await self._follow(shown)
        return DashboardState(
            now_ms=now_ms,
            workers=self._words,
            updates_per_s=self._per_s,
            rows=[self._rows[one] for one in shown],
            markets_known=len(self._markets),
        )

    async def _look(self, now_ms: int) -> None:
        self._words = await read_workers(self._client, self._keys)
        self._activity.update(self._words)
        self._per_s = self._rate.update(self._words, now_ms)
        if await self._catalog.revision() != self._revision:
            snapshot = await self._catalog.snapshot()
            self._markets, self._revision = snapshot.markets, snapshot.revision

    async def _follow(self, shown: Sequence[str]) -> None:
        for left in self._rows.keys() - set(shown):
            del self._rows[left]
            self._positions.pop(left, None)
        for condition_id in shown:
            if condition_id not in self._rows:
                await self._begin(self._markets[condition_id])
        streams = {self._key(one): one for one in shown}
        if not streams:
            return
        replies = await self._client.xread(
            {key: self._positions[one] for key, one in streams.items()}, count=_READ
        )
        for key, page in cast(Sequence[tuple[bytes, Page]], replies or ()):
            self._apply(streams[key.decode()], page)

    async def _begin(self, market: Market) -> None:
        """Reads a stream backwards until both outcomes are known, or far enough."""
        row = MarketRow(market.condition_id, market.question, market.outcomes)
        pages: list[Page] = []
        last = "+"
        while len(pages) < _PAGES:
            page = cast(Page, await self._client.xrevrange(self._key(market.condition_id), last, count=_PAGE))
            pages.append(page)
            row = MarketRow(market.condition_id, market.question, market.outcomes)
            for one in reversed(pages):
                _fold(row, one[::-1])
            if len(page) < _PAGE or all(quote.is_settled for quote in row.quotes):
                break
            last = f"({page[-1][0].decode()}"
        self._rows[market.condition_id] = row
        self._positions[market.condition_id] = pages[0][0][0] if pages[0] else b"0"

    def _apply(self, condition_id: str, page: Page) -> None:
        _fold(self._rows[condition_id], page)
        if page:
            self._positions[condition_id] = page[-1][0]

    def _key(self, condition_id: str) -> str:
        return self._keys.book(self._markets[condition_id].partition, condition_id)


def _fold(row: MarketRow, page: Page) -> None:
    for _, fields in page:
        # An entry that breaks the contract is for `verify` to tell; the screen shows what can be read.
        with suppress(EntryError):
            row.apply(Entry.from_fields(fields))
