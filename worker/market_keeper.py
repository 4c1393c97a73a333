"""Which markets there are and which of them are followed: discovery, catalog, selection, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from redis.exceptions import RedisError

from marketdata.backoff import Backoff
from marketdata.catalog import NO_REVISION, Catalog, Snapshot
from marketdata.errors import CatalogError, DiscoveryError
from marketdata.logs import get_logger
from marketdata.market import Market, Winner
from worker.discovery.found import Discovery
from worker.discovery.selection import Filters, Limits, Selection, select
from worker.endings import Endings
from worker.following import Following
from worker.forgetting import Forgetting

POKED_AT_MOST_EVERY_S: Final = 30.0
REFUSALS_SAID: Final = 1_000
"""So many of the markets that a refresh newly left out are named in the log."""


class MarketKeeper:
    """Keeps the followed markets in step with the venue's catalog and with the partitions that are ours."""

    def __init__(
        self,
        *,
        discovery: Discovery,
        catalog: Catalog,
        forgetting: Forgetting,
        following: Following,
        filters: Filters,
        limits: Limits,
        refresh_s: float,
        owned: Callable[[], Collection[int]],
        backoff: Backoff,
    ) -> None:
        self.known: dict[str, Market] = {}
        """The catalog, as last read."""
        self.loaded = False
        """Whether the venue's markets were read at all, and those that are wanted are followed."""
        self._discovery = discovery
        self._catalog = catalog
        self._forgetting = forgetting
        self._following = following
        self._filters = filters
        self._limits = limits
        self._refresh_s = refresh_s
        self._owned = owned
        self._backoff = backoff
        self._poked = asyncio.Event()
        self._selection: Selection | None = None
        self._said: tuple[str, ...] = ()
        self._refusals: set[str] = set()
        """Names that the last refresh left out."""
        self._read = Snapshot(NO_REVISION, {})
        self._turn = asyncio.Lock()
        self._endings = Endings(discovery, catalog, following, self._turn)
        self._log = get_logger("markets")

    async def run(self) -> None:
        """Refreshes until cancelled: at once, every CATALOG_REFRESH_S, and soon after a new market is heard of."""
        while True:
            try:
                await self.refresh()
            except (DiscoveryError, CatalogError, RedisError) as error:
                delay_s = self._backoff.next_delay_s()
                self._log.warning(f"markets not refreshed, again in {delay_s:.0f} s: {str(error)[:300]}")
                await asyncio.sleep(delay_s)
                continue
            self._backoff.reset()
            self._poked.clear()
            pause_s = min(POKED_AT_MOST_EVERY_S, self._refresh_s)
            await asyncio.sleep(pause_s)
            try:
                async with asyncio.timeout(self._refresh_s - pause_s):
                    await self._poked.wait()
            except TimeoutError:
                pass

    def heard_of(self, condition_id: str) -> None:
        """A new market was announced; a refresh follows soon if it is unknown."""
        if condition_id not in self.known:
            self._poked.set()

    async def refresh(self) -> None:
        """Reads the venue's markets, writes the catalog, follows what is selected.

        Raises:
            DiscoveryError: the venue could not be asked.
            CatalogError: the catalog cannot be read or written.
            RedisError: Redis could not be asked.
        """
        found = await self._discovery.fetch()
        self._say_refused(found.refused)
        selection = select(found.markets, self._filters, self._limits, self._following.condition_ids)
        # With thousands of markets each of these steps takes milliseconds: quotes may pass in between.
        await asyncio.sleep(0)
        known = [market for market in found.markets if market.condition_id in self.known]
        await self._catalog.put([*known, *selection.followed, *selection.recorded])
        if selection.left_out != self._said:
            self._said = selection.left_out
            for line in selection.left_out:
                self._log.warning(line)
        if not selection.followed:
            self._log.warning("no market to follow: is the catalog empty, or do the filters leave none?")
        trading = {market.condition_id for market in selection.followed}
        await self._endings.poll(self.known, trading, self._owned())
        self._selection = selection
        await self.apply()
        self.loaded = True
        listed = {market.condition_id for market in found.markets}
        for one in await self._forgetting.sweep(self.known, owned=self._owned(), listed=listed):
            self.known.pop(one, None)

    async def apply(self) -> None:
        """Follows those of the selected markets whose partitions are ours.

        Raises:
            CatalogError, RedisError: nothing was changed.
        """
        async with self._turn:
            if self._selection is None:
                return
            await self._read_catalog()
            await asyncio.sleep(0)
            owned = self._owned()
            wanted = [
                market
                for one in self._selection.followed
                if (market := self.known.get(one.condition_id, one)).partition in owned and market.tradable
            ]
            await self._following.follow(wanted)

    async def take_over(self, partitions: Collection[int], old_limit_ms: int) -> None:
        """These partitions became ours: marks their open streams, then follows their markets.

        Raises:
            CatalogError, RedisError: to be tried again.
        """
        async with self._turn:
            await self._read_catalog()
            theirs = [m for m in self.known.values() if m.partition in partitions and m.state != "resolved"]
            await self._following.take_over(theirs, old_limit_ms)
        await self.apply()

    async def resolved(self, condition_id: str, winner: Winner) -> None:
        """The socket said how a market ended, and its last entry is written."""
        market = self.known.get(condition_id)
        async with self._turn:
            await self._following.drop(condition_id)
        if market is not None:
            self.known[condition_id] = over = replace(market, state="resolved", winner=winner)
            await self._catalog.put([over])

    async def _read_catalog(self) -> None:
        self._read = await self._catalog.newer(self._read)
        self.known = dict(self._read.markets)

    def _say_refused(self, refused: Sequence[tuple[str, str]]) -> None:
        new = [(name, why) for name, why in refused if name not in self._refusals]
        for name, why in new[:REFUSALS_SAID]:
            self._log.info("a market was left out", market=name, why=why)
        if len(new) > REFUSALS_SAID:
            self._log.info(f"{len(new) - REFUSALS_SAID} more markets were left out")
        self._refusals = {name for name, _ in refused}
