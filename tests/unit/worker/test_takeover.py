"""What a new owner reads from the end of a stream: generation and counters that never fall."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from marketdata.entries import Entry, EntryId, Kind, gap_note
from marketdata.proof import ProofChecker
from worker import takeover
from worker.streams import MarketStream
from worker.takeover import Tail, ended, handover, interrupts

Row = tuple[bytes, Any]


def entry(kind: Kind, outcome: int | None, seq: int, gen: int = 1, note: str = "") -> Entry:
    return Entry(kind, outcome, "0.5", "1", "", "", 5, 1_000 + seq, gen, seq, 0, note)


def rows(*newest_first: Entry) -> list[Row]:
    return [
        (b"1-1", {name.encode(): value.encode() for name, value in one.to_fields().items()})
        for one in newest_first
    ]


def read(*newest_first: Entry) -> tuple[MarketStream, Entry | None, bool]:
    stream = MarketStream("0xab", "book:{07}:0xab", 7)
    newest, complete = takeover._read(stream, rows(*newest_first))
    return stream, newest, complete


def test_each_tokens_newest_counter_is_taken() -> None:
    stream, newest, complete = read(entry("top", 0, 9, 3), entry("trade", 1, 4, 2), entry("top", 0, 8))
    assert (stream.seq, stream.gen, complete) == ([9, 4], 3, True)
    assert newest is not None
    assert newest.seq == 9


def test_a_token_that_is_not_found_starts_above_what_the_whole_market_carried() -> None:
    gap = entry("gap", None, 12, 5, gap_note("redis", 1, "w1"))
    stream, newest, complete = read(gap, entry("top", 0, 9))
    assert (stream.seq, stream.gen, complete) == ([9, 12], 5, False)
    assert newest == gap


def test_an_empty_stream_begins_at_the_beginning() -> None:
    stream, newest, complete = read()
    assert (stream.seq, stream.gen, newest, complete) == ([0, 0], 0, None, False)


def test_a_foreign_entry_is_passed_over() -> None:
    stream = MarketStream("0xab", "book:{07}:0xab", 7)
    foreign: Row = (b"2-1", {b"hello": b"world"})
    newest, _ = takeover._read(stream, [foreign, *rows(entry("top", 0, 9))])
    assert newest is not None
    assert stream.seq == [9, 0]


def test_the_new_owner_begins_with_a_gap_from_the_last_entry_on() -> None:
    stream, newest, _ = read(entry("top", 0, 9, 3))
    update = handover(Tail(stream, newest), "w2", 77)
    assert (update.kind, update.outcome, update.gen, stream.gen) == ("gap", None, 4, 4)
    assert update.note == "handover 1009 w2"
    fresh = handover(Tail(MarketStream("0xcd", "b", 7), None), "w2", 77)
    assert fresh.note == "handover 77 w2"


def test_a_stream_has_ended_with_its_resolution_or_a_shutdown() -> None:
    stream = MarketStream("0xab", "b", 7)
    assert ended(Tail(stream, entry("resolved", None, 9, note="1")))
    assert ended(Tail(stream, entry("gap", None, 9, note=gap_note("shutdown", 1, "w1"))))
    assert not ended(Tail(stream, entry("gap", None, 9, note=gap_note("redis", 1, "w1"))))
    assert not ended(Tail(stream, entry("top", 0, 9)))
    assert not ended(Tail(stream, None))


def test_a_handover_is_planned_in_a_new_stream_and_behind_a_good_end_only() -> None:
    stream = MarketStream("0xab", "b", 7)
    assert not interrupts(Tail(stream, None)), "a stream that is not there yet"
    stream.exists = True
    assert interrupts(Tail(stream, entry("top", 0, 9)))
    for cause in ("handover", "redis", "disconnect"):
        assert interrupts(Tail(stream, entry("gap", None, 9, note=gap_note(cause, 1, "w1"))))  # type: ignore[arg-type]
    assert interrupts(Tail(stream, None)), "nothing of it can be read, so nothing says that it ended well"
    assert not interrupts(Tail(stream, entry("gap", None, 9, note=gap_note("shutdown", 1, "w1"))))
    assert not interrupts(Tail(stream, None, ours=True)), "this worker let it go, and marked that"


@given(st.lists(st.tuples(st.sampled_from(["top", "trade", "whole"]), st.integers(0, 1)), max_size=40))
def test_what_the_new_owner_writes_proves_itself_behind_the_old_owners_entries(
    made: list[tuple[str, int]],
) -> None:
    seq = [0, 0]
    old: list[Entry] = []
    for kind, outcome in made:
        if kind == "whole":
            old.append(entry("gap", None, max(seq), note=gap_note("redis", 1, "w1")))
        else:
            seq[outcome] += 1
            side = ("", "") if kind == "trade" else ("0.6", "1")
            old.append(
                Entry(kind, outcome, "0.5", "1", *side, 5, 1, 1, seq[outcome], 0, "")  # type: ignore[arg-type]
            )
    stream, newest, _ = read(*reversed(old))
    assert stream.seq[0] >= seq[0]
    assert stream.seq[1] >= seq[1]
    gap = handover(Tail(stream, newest), "w2", 9)
    written = [*old, entry("gap", None, max(stream.seq), gap.gen, gap.note)]
    for outcome in (0, 1):
        written.append(Entry("top", outcome, "", "", "", "", 5, 9, gap.gen, stream.seq[outcome] + 1, 0, ""))
    checker = ProofChecker(stream.key)
    assert [checker.feed(EntryId(at, 0), one) for at, one in enumerate(written)] == [None] * len(written)
