"""Markets that are over for good: their streams and their records go, so that neither grows for ever.

A family goes as a whole, because readers need all of its markets to judge one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import redis.asyncio

from marketdata.catalog import Catalog
from marketdata.clock import now_ms
from marketdata.entries import EntryId
from marketdata.keys import Keys
from marketdata.logs import get_logger
from marketdata.market import Market
from worker.takeover import WRONG_TYPE

UNDECIDED_KEPT_S: Final = 30 * 86_400.0
"""For so much longer a market is kept that ended, or is listed no more, and was never resolved."""

STREAMS_A_ROUND: Final = 200
_UNLINK_IF_OLD: Final = """
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return 1 end
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' and tonumber(string.match(info[i + 1], '^%d+')) <= tonumber(ARGV[1]) then
    redis.call('UNLINK', KEYS[1])
    return 1
  end
end
return 0
"""
"""Between our look and our word somebody may have written: then the stream stays."""


class Forgetting:
    """Drops families whose last entry is older than what streams keep.

    Args:
        written: keys of the streams that are written, or were a moment ago.
        max_age_s: STREAM_MAX_AGE_S.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        catalog: Catalog,
        written: Callable[[], Collection[str]],
        *,
        max_age_s: float,
    ) -> None:
        self._client = client
        self._keys = keys
        self._catalog = catalog
        self._written = written
        self._max_age_ms = int(max_age_s * 1000)
        self._log = get_logger("markets")

    async def sweep(
        self, known: Mapping[str, Market], *, owned: Collection[int], listed: Collection[str]
    ) -> set[str]:
        """Forgets what is over for good; returns the condition ids.

        Args:
            known: the catalog.
            owned: the partitions that are ours; other families are their owner's business.
            listed: condition ids that the venue's catalog was just seen to hold.

        Raises:
            CatalogError, RedisError: the rest is forgotten at the next sweep.
        """
        written = self._written()
        families = [
            family
            for family in over(known.values(), listed)
            if all(one.partition in owned and self._key(one) not in written for one in family)
        ]
        ended_ms = await self._ends([one for family in families for one in family])
        at_ms = now_ms()
        old = [
            family
            for family in families
            if all(self._is_old(one, ended_ms[one.condition_id], at_ms) for one in family)
        ]
        left = await self._unlink([one for family in old for one in family], at_ms - self._max_age_ms)
        gone = [family for family in old if left.isdisjoint(one.condition_id for one in family)]
        dropped = {one.condition_id for family in gone for one in family}
        if not dropped:
            return dropped
        await self._catalog.drop(dropped)
        self._log.info("markets that are over were forgotten", markets=len(dropped))
        return dropped

    def _is_old(self, market: Market, ended_ms: int | None, at_ms: int) -> bool:
        if market.state == "resolved":
            return ended_ms is None or ended_ms < at_ms - self._max_age_ms
        if ended_ms is None:
            ended_ms = _end_date_ms(market)
        kept_ms = self._max_age_ms + int(UNDECIDED_KEPT_S * 1000)
        return ended_ms is not None and ended_ms < at_ms - kept_ms

    async def _ends(self, markets: Iterable[Market]) -> dict[str, int | None]:
        """When each stream's newest entry was written, Unix milliseconds; None where there is no stream."""
        wanted = list(markets)
        found: dict[str, int | None] = {}
        for start in range(0, len(wanted), STREAMS_A_ROUND):
            chunk = wanted[start : start + STREAMS_A_ROUND]
            pipe = self._client.pipeline(transaction=False)
            for market in chunk:
                pipe.xinfo_stream(self._key(market))
            for market, info in zip(chunk, await pipe.execute(raise_on_error=False), strict=True):
                found[market.condition_id] = _last_ms(info)
        return found

    async def _unlink(self, markets: list[Market], until_ms: int) -> set[str]:
        """Removes the streams; returns the condition ids of those that are there still."""
        left: set[str] = set()
        for start in range(0, len(markets), STREAMS_A_ROUND):
            chunk = markets[start : start + STREAMS_A_ROUND]
            pipe = self._client.pipeline(transaction=False)
            for market in chunk:
                pipe.eval(_UNLINK_IF_OLD, 1, self._key(market), until_ms)
            for market, is_gone in zip(chunk, await pipe.execute(), strict=True):
                if not is_gone:
                    left.add(market.condition_id)
        return left

    def _key(self, market: Market) -> str:
        return self._keys.book(market.partition, market.condition_id)


def over(markets: Iterable[Market], listed: Collection[str]) -> list[list[Market]]:
    """Families of which nothing more is to be expected: each market is resolved, or listed no more (pure)."""
    families: dict[str, list[Market]] = {}
    going_on: set[str] = set()
    for market in markets:
        families.setdefault(market.family, []).append(market)
        if market.state != "resolved" and market.condition_id in listed:
            going_on.add(market.family)
    return [members for family, members in families.items() if family not in going_on]


def _last_ms(info: Any) -> int | None:
    if isinstance(info, Exception):
        if "no such key" in str(info):
            return None
        if WRONG_TYPE in str(info):
            # A key of another type is in the way; it is not ours to remove.
            return sys.maxsize
        raise info
    return EntryId.parse(info["last-generated-id"]).ms


def _end_date_ms(market: Market) -> int | None:
    try:
        moment = datetime.fromisoformat(market.end_date)
    except ValueError:
        return None
    return int(moment.timestamp() * 1000) if moment.tzinfo else None
