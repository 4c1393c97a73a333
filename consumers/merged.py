"""Many streams, read in chunks and merged into the total order: (ms, n, stream key)."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

from redis.asyncio import Redis

from marketdata.entries import EntryId

Fields = Mapping[bytes, bytes]
Reply = Sequence[tuple[bytes, Fields]]

ENTRIES_HELD: Final = 20_000
"""About so many entries are in memory at once; more only where there are more streams than a half of it."""

_CHUNK: Final = (2, 500)
_STREAMS_A_TRIP: Final = 100


class Read(NamedTuple):
    """One entry.

    Attributes:
        trimmed: whether entries of its stream may have been trimmed away, unread, right before it.
    """

    id: EntryId
    key: str
    fields: Fields
    trimmed: bool


class Reader(ABC):
    """One stream, a chunk at a time.

    Attributes:
        key: the stream's.
        at_end: whether nothing is left to be asked for.
        in_hand: what was read and not yet taken.
    """

    def __init__(self, key: str, chunk: int) -> None:
        self.key = key
        self.at_end = False
        self.in_hand: deque[Read] = deque()
        self.chunk = chunk

    @property
    def is_low(self) -> bool:
        """Whether the next chunk may as well be fetched now."""
        return not self.at_end and len(self.in_hand) <= self.chunk // 4

    @property
    def wants_more(self) -> bool:
        """Whether nothing is in hand and the stream may hold more."""
        return not self.in_hand and not self.at_end

    @abstractmethod
    def take(self, reply: Reply) -> None:
        """Takes the reply to what it asked for."""


class RangeReader(Reader):
    """Reads from `first` to `last`, both included, as XRANGE takes them.

    A chunk begins with the last entry of the one before, which shows whether the stream was trimmed meanwhile;
    so `chunk` is at least 2.

    Attributes:
        trims: how often it was.
    """

    def __init__(self, key: str, first: str, last: str, chunk: int) -> None:
        super().__init__(key, max(chunk, 2))
        self.trims = 0
        self._start = first
        self._last = last
        self._read: EntryId | None = None

    @property
    def range(self) -> tuple[str, str, str, int]:
        """What XRANGE needs for the next chunk: key, begin, end, count."""
        return self.key, self._start, self._last, self.chunk

    def take(self, reply: Reply) -> None:
        got = [(EntryId.parse(entry_id), fields) for entry_id, fields in reply]
        self.at_end = len(got) < self.chunk
        trimmed = False
        if self._read is not None:
            if got and got[0][0] == self._read:
                del got[0]
            else:
                trimmed = True
                self.trims += 1
        for entry_id, fields in got:
            self.in_hand.append(Read(entry_id, self.key, fields, trimmed))
            trimmed = False
        if got:
            self._read = got[-1][0]
            self._start = str(self._read)


R = TypeVar("R", bound=Reader)
Fetch = Callable[[Sequence[R]], Awaitable[None]]
"""Gives each reader the reply to what it asks for."""


def chunk_for(streams: int) -> int:
    """How much to read at once of each of so many streams."""
    return min(max(ENTRIES_HELD // max(streams, 1), _CHUNK[0]), _CHUNK[1])


def in_parts(readers: Sequence[R]) -> Iterable[Sequence[R]]:
    """As many at a time as one trip to Redis should ask for."""
    return (readers[at : at + _STREAMS_A_TRIP] for at in range(0, len(readers), _STREAMS_A_TRIP))


def fetch_ranges(client: Redis) -> Fetch[RangeReader]:
    """A `Fetch` that reads with XRANGE. If it fails, it can be called again."""

    async def fetch(readers: Sequence[RangeReader]) -> None:
        async with client.pipeline(transaction=False) as pipe:
            for reader in readers:
                pipe.xrange(*reader.range)
            replies = await pipe.execute()
        for reader, reply in zip(readers, replies, strict=True):
            reader.take(reply)

    return fetch


async def merged(readers: Iterable[R], fetch: Fetch[R]) -> AsyncIterator[Read]:
    """All entries of all readers in the total order.

    Args:
        readers: each of another stream; the order given does not matter.
        fetch: its errors go through.
    """
    ordered = sorted(readers, key=lambda reader: reader.key)
    low: dict[int, R] = {}
    for part in in_parts(ordered):
        await _fill(part, fetch)
    # Readers stand in the order of their keys, so a place breaks ties as the key would.
    heap = [(reader.in_hand[0].id, at) for at, reader in enumerate(ordered) if reader.in_hand]
    heapq.heapify(heap)
    while heap:
        at = heap[0][1]
        reader = ordered[at]
        yield reader.in_hand.popleft()
        if reader.is_low:
            low[at] = reader
        if reader.wants_more:
            # One that is empty must be asked now; those that soon will be go along.
            wanted = [reader, *(one for place, one in low.items() if place != at)][:_STREAMS_A_TRIP]
            await _fill(wanted, fetch)
            low = {place: one for place, one in low.items() if one.is_low}
        if reader.in_hand:
            heapq.heapreplace(heap, (reader.in_hand[0].id, at))
        else:
            heapq.heappop(heap)


async def _fill(readers: Sequence[R], fetch: Fetch[R]) -> None:
    await fetch(readers)
    while hungry := [reader for reader in readers if reader.wants_more]:
        await fetch(hungry)
