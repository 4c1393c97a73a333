"""One partition's streams, read in chunks and merged into the order in which they were written."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, cast

from redis.asyncio import Redis

from consumers.streams import MarketStream
from marketdata.entries import EntryId

Fields = Mapping[bytes, bytes]
Reply = Sequence[tuple[bytes, Fields]]

ENTRIES_HELD: Final = 20_000
"""So many entries of a partition are in memory at once; more only where it has more streams than a tenth."""

_CHUNK: Final = (10, 500)
_FIRST_READS: Final = 200


class StreamReader:
    """Reads one stream from `first` to `last`, a chunk at a time.

    Attributes:
        stream: which.
        trimmed: whether the newest chunk began after entries that were trimmed away unread.
    """

    def __init__(self, stream: MarketStream, first: str, last: str, chunk: int) -> None:
        self.stream = stream
        self.trimmed = False
        self._start = first
        self._last = last
        self._chunk = chunk
        self._read: EntryId | None = None
        self._buffer: deque[tuple[EntryId, Fields]] = deque()
        self._at_end = False

    @property
    def head(self) -> EntryId | None:
        """Id of the next entry in hand; None where there is none."""
        return self._buffer[0][0] if self._buffer else None

    @property
    def wants_more(self) -> bool:
        """Whether nothing is in hand and the stream may hold more."""
        return not self._buffer and not self._at_end

    def pop(self) -> tuple[EntryId, Fields]:
        """The next entry in hand."""
        return self._buffer.popleft()

    @property
    def range(self) -> tuple[str, str, str, int]:
        """What XRANGE needs for the next chunk: key, begin, end, count."""
        return self.stream.key, self._start, self._last, self._chunk

    def take(self, reply: Reply) -> None:
        """Takes the reply to `range`."""
        got = [(EntryId.parse(entry_id), fields) for entry_id, fields in reply]
        self._at_end = len(got) < self._chunk
        self.trimmed = False
        if self._read is not None:
            # A chunk begins with the last entry of the one before: if that is gone, so may be what came next.
            if got and got[0][0] == self._read:
                del got[0]
            else:
                self.trimmed = True
        if got:
            self._buffer.extend(got)
            self._read = got[-1][0]
            self._start = str(self._read)


async def merged(
    client: Redis, streams: Sequence[MarketStream], first: str, last: str
) -> AsyncIterator[tuple[StreamReader, EntryId, Fields]]:
    """All entries of one partition's streams, in the order of their ids.

    Args:
        client: raises its own errors.
        streams: of one partition.
        first, last: the range as XRANGE takes it, both included.

    Yields:
        the reader of the stream (its `trimmed` holds for the entry), the entry's id and its fields.
    """
    chunk = min(max(ENTRIES_HELD // max(len(streams), 1), _CHUNK[0]), _CHUNK[1])
    readers = [StreamReader(stream, first, last, chunk) for stream in streams]
    for at in range(0, len(readers), _FIRST_READS):
        part = readers[at : at + _FIRST_READS]
        async with client.pipeline(transaction=False) as pipe:
            for reader in part:
                pipe.xrange(*reader.range)
            for reader, reply in zip(part, await pipe.execute(), strict=True):
                reader.take(reply)
    heap = [(reader.head, at) for at, reader in enumerate(readers) if reader.head is not None]
    heapq.heapify(heap)
    while heap:
        reader = readers[heap[0][1]]
        yield (reader, *reader.pop())
        reader.trimmed = False
        if reader.wants_more:
            reader.take(cast(Reply, await client.xrange(*reader.range)))
        if reader.head is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (reader.head, heap[0][1]))
