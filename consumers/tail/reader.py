"""Reads many streams from where each stands, and finds those that appear later."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, cast

from redis.asyncio import Redis

from consumers.streams import MarketStream, chosen_markets, scan_streams
from consumers.tail.lines import Name
from consumers.tail.merge import Batch, Fields, Found, merge
from marketdata.catalog import Catalog
from marketdata.entries import EntryId
from marketdata.groups.messages import before
from marketdata.keys import Keys

ENTRIES_HELD: Final = 50_000
"""About so many entries are in memory at once."""

_COUNT: Final = (10, 1000)
_NEWEST_A_TRIP: Final = 500

Reply = Sequence[tuple[bytes, Fields]]


class TailReader:
    """Where each stream has been read to; after an error of the client reading goes on from there.

    Args:
        client: lets its own errors (`redis.RedisError`) through.
        keys: the key names.
        words: the markets that are meant, see `chosen_markets`; none: all, also those that appear later.
        first: where streams begin that are there from the start; None: behind their newest entry.

    Attributes:
        standing: where streams begin behind their newest entries, these, in the total order.
    """

    def __init__(self, client: Redis, keys: Keys, words: Sequence[str], first: EntryId | None) -> None:
        self.standing: list[Found] = []
        self._client = client
        self._keys = keys
        self._words = words
        self._first = first
        self._catalog = Catalog(client, keys)
        self._seen: tuple[str, int] | None = None
        self._wanted: frozenset[str] | None = None
        self._positions: dict[str, EntryId] = {}
        self._partitions: dict[int, list[str]] = defaultdict(list)
        self._names: dict[str, Name] = {}

    @property
    def partitions(self) -> Collection[int]:
        """Those that hold a stream of interest."""
        return self._partitions.keys()

    def name(self, key: str) -> Name:
        """What people call the market of a stream."""
        return self._names[key]

    async def find_streams(self) -> None:
        """Looks for streams, if the catalog or the number of keys changed since the last look.

        Raises:
            SettingsError: at the first look, if a word names no market or several.
        """
        seen = (await self._catalog.revision(), await self._client.dbsize())
        if seen == self._seen:
            return
        snapshot = await self._catalog.snapshot()
        streams = set(await scan_streams(self._client, self._keys))
        for market in snapshot.markets.values():
            streams.add(MarketStream.of(self._keys, market.partition, market.condition_id))
        if self._words and self._wanted is None:
            self._wanted = chosen_markets(self._words, snapshot.markets, streams)
        fresh = []
        for stream in sorted(streams):
            if self._wanted is not None and stream.condition_id not in self._wanted:
                continue
            market_of_it = snapshot.markets.get(stream.condition_id)
            self._names[stream.key] = (
                Name.of(market_of_it) if market_of_it is not None else Name(stream.condition_id)
            )
            if stream.key not in self._positions:
                fresh.append(stream)
        await self._begin(fresh, at_start=self._seen is None)
        self._seen = seen

    async def read(self, partitions: Iterable[int] | None = None) -> Batch:
        """What is new in the streams of these partitions (None: of all), in the total order.

        The streams' positions move past what is returned.
        """
        chosen = self._partitions.keys() if partitions is None else partitions
        keys = [key for partition in chosen for key in self._partitions.get(partition, ())]
        if not keys:
            return Batch([], False)
        count = min(max(ENTRIES_HELD // len(keys), _COUNT[0]), _COUNT[1])
        replies = await self._client.xread({key: str(self._positions[key]) for key in keys}, count=count)
        batch = merge(_parsed(cast(Sequence[tuple[bytes, Reply]], replies or ())), count)
        for entry_id, key, _ in batch.entries:
            self._positions[key] = entry_id
        return batch

    async def _begin(self, streams: Sequence[MarketStream], *, at_start: bool) -> None:
        positions: dict[MarketStream, EntryId] = {}
        standing: list[Found] = []
        if not at_start or self._first is not None:
            # A stream that appears later is new to the reader from its first entry on.
            first = self._first if at_start and self._first is not None else EntryId(0, 0)
            positions = dict.fromkeys(streams, before(first))
        else:
            for at in range(0, len(streams), _NEWEST_A_TRIP):
                part = streams[at : at + _NEWEST_A_TRIP]
                async with self._client.pipeline(transaction=False) as pipe:
                    for stream in part:
                        pipe.xrevrange(stream.key, count=1)
                    for stream, newest in zip(part, await pipe.execute(), strict=True):
                        positions[stream] = EntryId.parse(newest[0][0]) if newest else EntryId(0, 0)
                        standing += (Found(positions[stream], stream.key, fields) for _, fields in newest)
            self.standing = sorted(standing, key=lambda one: (one.id, one.key))
        for stream, position in positions.items():
            self._positions[stream.key] = position
            self._partitions[stream.partition].append(stream.key)


def _parsed(replies: Iterable[tuple[bytes, Reply]]) -> Mapping[str, list[tuple[EntryId, Fields]]]:
    return {
        key.decode(): [(EntryId.parse(entry_id), fields) for entry_id, fields in entries]
        for key, entries in replies
    }
