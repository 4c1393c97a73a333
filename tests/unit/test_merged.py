"""Chunks of many streams come out in the total order, however large the chunks are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from consumers.merged import RangeReader, Reply, chunk_for, merged
from consumers.replay.group import GroupReader
from consumers.replay.pace import Pace
from marketdata.entries import EntryId

KEYS = ("book:{01}:0xa", "book:{01}:0xb", "book:{02}:0xa", "clock:{01}")
IDS = st.sets(st.tuples(st.integers(1, 40), st.integers(0, 2)).map(lambda one: EntryId(*one)), max_size=60)


def rows(ids: set[EntryId]) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return [(str(one).encode(), {b"id": str(one).encode()}) for one in sorted(ids)]


async def read(streams: dict[str, set[EntryId]], readers: list[RangeReader]) -> list[tuple[EntryId, str]]:
    async def fetch(asked: Sequence[RangeReader]) -> None:
        for reader in asked:
            key, first, _, count = reader.range
            start = EntryId(0, 0) if first == "-" else EntryId.parse(first)
            reader.take(rows({one for one in streams[key] if one >= start})[:count])

    return [(one.id, one.key) async for one in merged(readers, fetch)]


@given(st.lists(IDS, min_size=4, max_size=4), st.integers(2, 9))
def test_any_chunk_gives_the_total_order(found: list[set[EntryId]], chunk: int) -> None:
    streams = dict(zip(KEYS, found, strict=True))
    readers = [RangeReader(key, "-", "+", chunk) for key in reversed(KEYS)]
    got = asyncio.run(read(streams, readers))
    assert got == sorted((one, key) for key, ids in streams.items() for one in ids)
    assert not any(reader.trims for reader in readers)


def test_what_is_held_does_not_grow_with_the_streams() -> None:
    assert chunk_for(1) == 500
    for streams in (50, 500, 5_000):
        assert streams * chunk_for(streams) <= 25_000
    assert chunk_for(1_000_000) == 2


def reply(*ids: int) -> Reply:
    return rows({EntryId(one, 0) for one in ids})


def taken(reader: GroupReader) -> list[int]:
    return [one.id.ms for one in reader.in_hand]


def test_a_group_reads_what_is_pending_before_what_is_new() -> None:
    reader = GroupReader("k", EntryId(9, 0), 2)
    assert reader.position == "0-0"
    reader.take(reply(1, 2))
    assert reader.position == "2-0"
    reader.take(reply(3))
    assert (reader.position, reader.at_end) == (">", False)
    reader.take(reply(4))
    assert reader.at_end
    assert taken(reader) == [1, 2, 3, 4]


def test_a_lost_reply_is_read_again_from_what_is_pending() -> None:
    reader = GroupReader("k", EntryId(9, 0), 2)
    reader.take(())
    reader.take(reply(1, 2))
    assert reader.position == ">"
    reader.doubt()
    assert reader.position == "2-0"


def test_a_group_stops_at_the_end_of_the_range() -> None:
    reader = GroupReader("k", EntryId(2, 0), 5)
    reader.take(())
    reader.take(reply(1, 2, 3, 4, 5))
    assert taken(reader) == [1, 2]
    assert reader.at_end
    assert reader.went_beyond


def test_pending_entries_that_were_trimmed_are_counted() -> None:
    reader = GroupReader("k", EntryId(9, 0), 5)
    reader.take([(b"1-0", {}), *reply(2)])
    assert taken(reader) == [2]
    assert reader.lost == [EntryId(1, 0)]


def test_the_pace_is_the_entries_own_and_lateness_delays_nothing() -> None:
    now = [100.0]
    pace = Pace(10, lambda: now[0])
    assert pace.wait_s(5_000) == 0
    assert round(pace.wait_s(6_000), 6) == 0.1
    now[0] = 100.25
    assert pace.wait_s(7_000) == 0
    assert round(pace.wait_s(8_000), 6) == 0.05
    assert Pace(0, lambda: now[0]).wait_s(9_000) == 0
