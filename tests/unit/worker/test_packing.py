"""The bytes that go to Redis."""

from __future__ import annotations

import pytest

from marketdata.entries import FIELDS, EntryId
from tests.unit.worker.redis_commands import arguments, written
from worker.packing import EXEC, MULTI, pack, pack_clock, pack_entry, pack_publish
from worker.streams import MarketStream, Update


def update(*, exists: bool, outcome: int | None = 1, venue_ms: int | None = 5) -> Update:
    stream = MarketStream("0xab", "book:{07}:0xab", 7)
    stream.exists, stream.gen = exists, 4
    made = Update(
        stream, "top", outcome, recv_us=6, bid="0.4", bid_size="1", ask="0.5", ask_size="2", note="é"
    )
    made.venue_ms = venue_ms
    return made


@pytest.mark.parametrize("exists", [True, False])
def test_an_entry_has_all_twelve_fields_in_order(exists: bool) -> None:
    words = arguments(pack_entry(update(exists=exists), EntryId(9, 2), 8, 3))
    head = [b"XADD", b"book:{07}:0xab", *([b"NOMKSTREAM"] if exists else []), b"9-2"]
    assert words[: len(head)] == head
    names = words[len(head) :: 2]
    assert names == [name.encode() for name in FIELDS]
    values = words[len(head) + 1 :: 2]
    assert values == [
        *(b"top", b"1", b"0.4", b"1", b"0.5", b"2", b"5", b"6"),
        *(b"4", b"8", b"3", "é".encode()),
    ]


def test_what_is_not_there_is_empty() -> None:
    _, _, entry = written(pack_entry(update(exists=True, outcome=None, venue_ms=None), EntryId(9, 2), 8, 3))
    assert (entry.outcome, entry.venue_ms) == (None, None)


@pytest.mark.parametrize("exists", [True, False])
def test_a_clock_says_who_writes_and_how_much_is_live(exists: bool) -> None:
    made = update(exists=exists)
    made.note = "w1 3 10 2"
    words = arguments(pack_clock(made, EntryId(9, 2)))
    assert (b"NOMKSTREAM" in words) is exists
    assert words[-8:] == [b"worker", b"w1", b"epoch", b"3", b"live", b"10", b"stale", b"2"]


def test_other_commands() -> None:
    assert arguments(MULTI) == [b"MULTI"]
    assert arguments(EXEC) == [b"EXEC"]
    assert arguments(pack_publish("wake:{07}", "9-2")) == [b"PUBLISH", b"wake:{07}", b"9-2"]
    assert arguments(pack("XRANGE", "a b", 5)) == [b"XRANGE", b"a b", b"5"]
