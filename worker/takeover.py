"""Becoming the writer of streams: what an earlier writer left is read from their ends.

First each stream's last id is lifted above the former owner's id limit: from then on Redis refuses whatever the former
owner may still send. An entry of its that came after the reading would let our counters fall. Then the new owner writes
a `handover` gap to every stream, above that id.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import redis.asyncio

from marketdata.entries import Entry, EntryId, gap_note
from marketdata.errors import EntryError
from marketdata.keys import Keys
from marketdata.logs import get_logger
from marketdata.market import Market
from worker.streams import MarketStream, Update

STREAMS_A_ROUND: Final = 200
WRONG_TYPE: Final = "WRONGTYPE"
_FENCE: Final = """
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then return 0 end
for i = 1, #info, 2 do
  -- XSETID would lower an id as well.
  if info[i] == 'last-generated-id' and tonumber(string.match(info[i + 1], '^%d+')) <= tonumber(ARGV[1]) then
    redis.call('XSETID', KEYS[1], string.format('%.0f-0', tonumber(ARGV[1]) + 1))
    return 1
  end
end
return 0
"""
"""Lifts the last id of a stream that exists; a key of another type is left to the publisher to complain of."""

LOOK_BACK: Final = (20, 500, 20_000)
"""How many entries from the end are read until both tokens' counters are found."""


class Tail(NamedTuple):
    """The end of a stream.

    Attributes:
        last: its newest entry, if it has one that can be read.
        ours: this worker wrote it until it let it go, in good order.
    """

    stream: MarketStream
    last: Entry | None
    ours: bool = False


async def read_tails(client: redis.asyncio.Redis, keys: Keys, markets: Iterable[Market]) -> list[Tail]:
    """Reads generation, counters and last id of each market's stream; streams may not exist yet.

    Raises:
        RedisError: Redis could not be asked.
    """
    wanted = list(markets)
    tails: list[Tail] = []
    for start in range(0, len(wanted), STREAMS_A_ROUND):
        tails += await _round(client, keys, wanted[start : start + STREAMS_A_ROUND])
    return tails


async def fence(
    client: redis.asyncio.Redis, keys: Keys, markets: Iterable[Market], old_limit_ms: int
) -> None:
    """Lets Redis refuse every id up to `old_limit_ms` in the streams of these markets that exist.

    Raises:
        RedisError: Redis could not be asked.
    """
    wanted = [keys.book(market.partition, market.condition_id) for market in markets]
    for start in range(0, len(wanted), STREAMS_A_ROUND):
        pipe = client.pipeline(transaction=False)
        for key in wanted[start : start + STREAMS_A_ROUND]:
            pipe.eval(_FENCE, 1, key, old_limit_ms)
        await pipe.execute()


async def _round(client: redis.asyncio.Redis, keys: Keys, markets: Sequence[Market]) -> list[Tail]:
    streams = [
        MarketStream(market.condition_id, keys.book(market.partition, market.condition_id), market.partition)
        for market in markets
    ]
    pipe = client.pipeline(transaction=False)
    for stream in streams:
        pipe.xinfo_stream(stream.key)
    infos = await pipe.execute(raise_on_error=False)
    tails: dict[str, Tail] = {}
    unread: list[MarketStream] = []
    for stream, info in zip(streams, infos, strict=True):
        tails[stream.key] = Tail(stream, None)
        if isinstance(info, Exception):
            # A key of another type is in the way: its market alone suffers, and the publisher says so.
            if "no such key" not in str(info) and WRONG_TYPE not in str(info):
                raise info
            continue
        stream.exists = True
        stream.last_id = EntryId.parse(info["last-generated-id"])
        unread.append(stream)
    for count in LOOK_BACK:
        if not unread:
            break
        pipe = client.pipeline(transaction=False)
        for stream in unread:
            pipe.xrevrange(stream.key, count=count)
        replies = await pipe.execute()
        still: list[MarketStream] = []
        for stream, rows in zip(unread, replies, strict=True):
            last, complete = _read(stream, rows)
            stream.over = last is not None and last.kind == "resolved"
            tails[stream.key] = Tail(stream, last)
            if not complete and len(rows) == count:
                still.append(stream)
        unread = still
    return list(tails.values())


def _read(stream: MarketStream, rows: Sequence[tuple[bytes, Any]]) -> tuple[Entry | None, bool]:
    """Takes generation and counters from entries, newest first. Returns the newest and whether all was found."""
    newest: Entry | None = None
    found: set[int] = set()
    floor = 0
    for _, fields in rows:
        try:
            entry = Entry.from_fields(fields)
        except EntryError as error:
            get_logger("takeover").error(f"{stream.key} holds a foreign entry: {error}")
            continue
        newest = newest or entry
        stream.gen = max(stream.gen, entry.gen)
        if entry.outcome is None:
            floor = max(floor, entry.seq)
        elif entry.outcome not in found:
            found.add(entry.outcome)
            stream.seq[entry.outcome] = max(stream.seq[entry.outcome], entry.seq)
            if len(found) == 2:
                return newest, True
    # An entry of the whole market carries the larger counter: with it no counter ever falls.
    for outcome in {0, 1} - found:
        stream.seq[outcome] = floor
    return newest, False


def handover(tail: Tail, worker_id: str, at_us: int) -> Update:
    """The first entry of a new owner: nothing is known from the last entry on."""
    stream = tail.stream
    stream.gen += 1
    start_us = tail.last.recv_us if tail.last is not None else at_us
    return Update(stream, "gap", None, recv_us=at_us, note=gap_note("handover", start_us, worker_id))


def ended(tail: Tail) -> bool:
    """Whether the stream's last word is that nothing more is to be expected."""
    return tail.last is not None and tail.last.is_ending


def interrupts(tail: Tail) -> bool:
    """Whether its handover gap is a fault: the former writer left the stream without a word."""
    return tail.stream.exists and not (tail.ours or ended(tail))
