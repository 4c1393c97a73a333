"""Follows the streams of the markets that are on the screen, and of no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from redis.asyncio import Redis

from consumers.dashboard.markets import MarketLine
from consumers.dashboard.quotes import KEPT, Quote, Seen
from consumers.dashboard.reading import Page, Wish
from marketdata.entries import Entry, EntryId
from marketdata.errors import EntryError
from marketdata.keys import Keys

BEGUN_AT_ONCE: Final = 40
"""Streams whose ends are looked up in one go; whoever leafs through thousands of markets waits for none of them."""

_FIRST_PAGE: Final = 30
_MORE: Final = 300
_LOOKS_BACK: Final = 2
_READ: Final = 200

Fields = Mapping[bytes, bytes]
Raw = Sequence[tuple[bytes, Fields]]


class StreamReader:
    """One XREAD over all that is followed; the end of a new one is looked up first.

    Lets the client's own errors (`redis.RedisError`) through, and goes on after them.
    """

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._positions: dict[str, bytes] = {}
        self._opened = ""

    def forget(self) -> None:
        """Begins anew: Redis may have lost what was read."""
        self._positions.clear()

    def lack(self, condition_ids: Iterable[str]) -> None:
        """What was read of these is shown no more: their ends are looked up again when they are asked for."""
        for one in condition_ids:
            self._positions.pop(one, None)

    async def read(self, wish: Wish, markets: Mapping[str, MarketLine]) -> list[Page]:
        """New entries of what the screen shows; a market seen for the first time comes with its end."""
        wanted = [one for one in dict.fromkeys((wish.opened, *wish.follow)) if one in markets]
        if wish.opened != self._opened:
            # The page of a market wants more of its past than a row does.
            self._positions.pop(wish.opened, None)
            self._opened = wish.opened
        for left in self._positions.keys() - set(wanted):
            del self._positions[left]
        known = [one for one in wanted if one in self._positions]
        fresh = [one for one in wanted if one not in self._positions][:BEGUN_AT_ONCE]
        pages = await self._news(known, markets)
        if fresh:
            pages += await self._begin(fresh, markets)
        return pages

    async def _news(self, known: Sequence[str], markets: Mapping[str, MarketLine]) -> list[Page]:
        if not known:
            return []
        names = {self._key(markets[one]).encode(): one for one in known}
        streams: dict[Any, Any] = {key: self._positions[one] for key, one in names.items()}
        replies = cast(Sequence[tuple[bytes, Raw]] | None, await self._client.xread(streams, count=_READ))
        pages = []
        for key, raw in replies or ():
            one = names[key]
            if len(raw) >= _READ:
                # Too far behind to catch up entry by entry: its end is looked up anew.
                del self._positions[one]
                continue
            self._positions[one] = raw[-1][0]
            pages.append(Page(one, _entries(raw), first=False))
        return pages

    async def _begin(self, fresh: Sequence[str], markets: Mapping[str, MarketLine]) -> list[Page]:
        found: dict[str, list[tuple[bytes, Fields]]] = {one: [] for one in fresh}
        unsettled = list(fresh)
        for _ in range(1 + _LOOKS_BACK):
            if not unsettled:
                break
            pipe = self._client.pipeline(transaction=False)
            for one in unsettled:
                last = f"({found[one][-1][0].decode()}" if found[one] else "+"
                pipe.xrevrange(self._key(markets[one]), last, count=self._count(one, bool(found[one])))
            replies = cast(Sequence[Raw], await pipe.execute())
            still = []
            for one, raw in zip(unsettled, replies, strict=True):
                complete = len(raw) < self._count(one, bool(found[one]))
                found[one].extend(raw)
                if not complete and not _settled(found[one]):
                    still.append(one)
            unsettled = still
        for one, raw in found.items():
            self._positions[one] = raw[0][0] if raw else b"0"
        return [Page(one, _entries(raw[::-1]), first=True) for one, raw in found.items()]

    def _count(self, condition_id: str, again: bool) -> int:
        if again:
            return _MORE
        return KEPT if condition_id == self._opened else _FIRST_PAGE

    def _key(self, market: MarketLine) -> str:
        return self._keys.book(market.partition, market.condition_id)


def _entries(raw: Raw) -> list[Seen]:
    seen = []
    for entry_id, fields in raw:
        # An entry that breaks the contract is for `verify` to tell; the screen shows what can be read.
        with suppress(EntryError):
            seen.append(Seen(EntryId.parse(entry_id), Entry.from_fields(fields)))
    return seen


def _settled(raw: Raw) -> bool:
    quotes = (Quote(), Quote())
    for seen in _entries(raw[::-1]):
        for outcome, quote in enumerate(quotes):
            if seen.entry.outcome in (None, outcome):
                quote.apply(seen.entry, 0)
    return all(quote.is_settled for quote in quotes)
