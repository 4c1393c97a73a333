"""The small pure parts of the group loop."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bookstream
from consumers.groups.lag import lag_of
from marketdata.entries import FIELDS, Entry, EntryId, gap_note
from marketdata.errors import EntryError
from marketdata.groups.dead import DeadLetter
from marketdata.groups.messages import Message, Values, after, before, clock_of, values_of
from marketdata.groups.sequence import Sequence
from marketdata.groups.shares import share_of
from marketdata.groups.streams import Standing

TOP = Entry("top", 0, "0.4", "10", "0.5", "7", 1, 1_000_000, 1, 1, 0, "")


@given(st.sets(st.text("abcdefg", min_size=1, max_size=3), min_size=1, max_size=70), st.integers(1, 100))
def test_shares_add_up_and_are_even(members: set[str], partitions: int) -> None:
    shares = [share_of(name, members, partitions) for name in members]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1


def test_who_is_not_listed_yet_counts() -> None:
    assert share_of("new", {"old"}, 64) == 32


def flat(entry: Entry) -> list[bytes]:
    return [text.encode() for pair in entry.to_fields().items() for text in pair]


@pytest.mark.parametrize(
    "entry",
    [
        TOP,
        replace(TOP, kind="gap", outcome=None, note=gap_note("stale", 1, "w1"), venue_ms=None),
        replace(TOP, kind="tick", outcome=1, note="0.001"),
    ],
)
def test_entries_are_read_as_the_contract_reads_them(entry: Entry) -> None:
    assert Entry(*values_of(flat(entry))) == entry == Entry.from_fields(flat(entry))
    # Another order of fields, and one more, is no other contract.
    fields = flat(entry)
    assert Entry(*values_of([*fields[2:], *fields[:2], b"later", b"1"])) == entry


@pytest.mark.parametrize(("at", "value"), [(1, b"toop"), (3, b"2"), (15, b"x"), (5, b"\xff")])
def test_what_is_no_entry_is_refused(at: int, value: bytes) -> None:
    fields = flat(TOP)
    fields[at] = value
    with pytest.raises(EntryError):
        values_of(fields)


def test_a_value_of_several_lines_stays_whole() -> None:
    entry = replace(TOP, note="one\ntwo", bid="\n")
    assert Entry(*values_of(flat(entry))) == entry


def test_a_message_makes_its_entry_when_asked() -> None:
    entry = replace(TOP, kind="trade", outcome=1)
    message = Message(EntryId(1, 0), "book:{07}:0xabc", 7, values_of(flat(entry)), None, False)
    assert Values._fields == FIELDS
    assert message.entry is message.entry
    assert message.entry == entry
    assert (message.kind, message.condition_id, message.outcome_name) == ("trade", "0xabc", "outcome 1")
    assert "0xabc" in repr(message)


def test_clocks_are_read_or_refused() -> None:
    fields = [b"worker", b"w1", b"epoch", b"3", b"live", b"10", b"stale", b"1"]
    clock = clock_of(EntryId(5, 0), "clock:{07}", 7, fields)
    assert (clock.worker, clock.epoch, clock.live, clock.stale) == ("w1", 3, 10, 1)
    with pytest.raises(EntryError, match="a clock entry cannot be read"):
        clock_of(EntryId(5, 0), "clock:{07}", 7, fields[:4])


@given(st.integers(1, 10**12), st.integers(0, 2**64 - 2))
def test_neighbours_of_an_id(ms: int, n: int) -> None:
    one = EntryId(ms, n)
    assert before(one) < one < after(one)
    assert before(after(one)) == one


def follow(*rows: tuple[int, Entry]) -> list[EntryId | None]:
    sequence = Sequence()
    return [sequence.follow("s", EntryId(ms, 0), values_of(flat(entry))) for ms, entry in rows]


def test_a_seq_that_jumps_tells_and_a_gap_explains_it() -> None:
    gap = replace(TOP, kind="gap", outcome=None)
    other = replace(TOP, outcome=1, seq=40)
    assert follow((1, TOP), (2, other), (3, replace(TOP, seq=2))) == [None, None, None]
    assert follow((1, TOP), (2, replace(TOP, seq=4))) == [None, EntryId(1, 0)]
    assert follow((1, TOP), (2, replace(TOP, seq=4, skipped=2))) == [None, None]
    assert follow((1, TOP), (2, gap), (3, replace(TOP, seq=9))) == [None, None, None]
    assert follow((1, TOP), (2, replace(gap, outcome=1)), (3, replace(TOP, seq=9)))[2] == EntryId(1, 0)


def at(ms: int) -> EntryId:
    return EntryId(ms, 0)


@pytest.mark.parametrize(
    ("standing", "lag"),
    [
        (Standing(True, True, delivered=at(9), first=at(1), last=at(9), length=9, read=9), 0),
        (Standing(True, True, delivered=at(4), first=at(1), last=at(9), length=9, read=4), 5),
        (Standing(True, True, first=at(1), last=at(9), length=9), 9),
        # All that was delivered is trimmed away, and more.
        (Standing(True, True, delivered=at(2), first=at(5), last=at(9), length=5, trimmed=4, read=2), 5),
        # Redis counts on from before the trim: only counting helps.
        (Standing(True, True, delivered=at(6), first=at(5), last=at(9), length=5, trimmed=4, read=4), None),
        (Standing(True, True, delivered=at(6), first=at(1), last=at(9), length=9, read=None), None),
        (Standing(True, True, delivered=at(9), first=None, last=at(9), length=0, trimmed=9), 0),
    ],
)
def test_lag(standing: Standing, lag: int | None) -> None:
    assert lag_of(standing) == lag


def test_a_dead_letter_comes_back_as_it_was() -> None:
    letter = DeadLetter("book:{07}:0xa", at(5), "ValueError: a\nb", 5, flat(TOP))
    words: Any = letter.command("dead:g")
    fields = [word if isinstance(word, bytes) else str(word).encode() for word in words[6:]]
    again = DeadLetter.of(fields)
    assert again == replace(letter, reason="ValueError: a b")


def test_all_public_names_are_there_and_none_is_loaded_before_it_is_asked_for() -> None:
    for name in bookstream.__all__:
        assert getattr(getattr(bookstream, name), "__name__", "Notice") == name
    assert "Group" in bookstream.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = bookstream.nothing
    code = "import sys, bookstream; print([one for one in sys.modules if one.startswith(('redis', 'marketdata'))])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
