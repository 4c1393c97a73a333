"""Entries: twelve fields there and back, and nothing that is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.entries import (
    COUNTED_KINDS,
    FIELDS,
    GAP_CAUSES,
    KINDS,
    PLANNED_CAUSES,
    Entry,
    EntryId,
    gap_note,
)
from marketdata.errors import EntryError

words = st.text("0123456789. abc", max_size=8)
counts = st.integers(0, 10**18)
entries = st.builds(
    Entry,
    kind=st.sampled_from(sorted(KINDS)),
    outcome=st.sampled_from([None, 0, 1]),
    bid=words,
    bid_size=words,
    ask=words,
    ask_size=words,
    venue_ms=st.none() | counts,
    recv_us=counts,
    gen=counts,
    seq=counts,
    skipped=counts,
    note=st.text(st.characters(codec="utf-8"), max_size=20),
)
GOOD = Entry("top", 0, "0.4", "1", "0.5", "2", 5, 6, 1, 2, 0, "")


def raw(entry: Entry = GOOD, **changed: str) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in {**entry.to_fields(), **changed}.items()}


@given(entries)
def test_an_entry_survives_the_stream_as_mapping_and_as_list(entry: Entry) -> None:
    fields = entry.to_fields()
    assert tuple(fields) == FIELDS
    assert Entry.from_fields(raw(entry)) == entry
    assert Entry.from_fields([word for pair in raw(entry).items() for word in pair]) == entry


def test_fields_of_a_later_contract_are_passed_over() -> None:
    assert Entry.from_fields(raw(GOOD, colour="red")) == GOOD


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_an_error(name: str) -> None:
    with pytest.raises(EntryError, match=name):
        Entry.from_fields({key: value for key, value in raw().items() if key != name.encode()})


@pytest.mark.parametrize(
    "changed",
    [{"kind": "tops"}, {"kind": ""}, {"outcome": "2"}, {"outcome": "-1"}]
    + [{name: "x"} for name in ("venue_ms", "recv_us", "gen", "seq", "skipped")]
    + [{name: ""} for name in ("recv_us", "gen", "seq", "skipped")],
)
def test_what_the_contract_does_not_know_is_an_error(changed: dict[str, str]) -> None:
    with pytest.raises(EntryError):
        Entry.from_fields(raw(GOOD, **changed))


@pytest.mark.parametrize("fields", [[], [b"kind"], [*list(sum(raw().items(), ()))[:-1]]])
def test_a_torn_list_is_an_error(fields: list[bytes]) -> None:
    with pytest.raises(EntryError):
        Entry.from_fields(fields)


def test_bytes_that_are_no_text_are_an_error() -> None:
    with pytest.raises(EntryError):
        Entry.from_fields({**raw(), b"note": b"\xff"})


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_ids_are_read_and_written_alike(ms: int, n: int) -> None:
    entry_id = EntryId(ms, n)
    assert EntryId.parse(str(entry_id)) == EntryId.parse(str(entry_id).encode()) == entry_id


def test_an_id_without_a_counter_is_the_first_of_its_millisecond() -> None:
    assert EntryId.parse("17") == EntryId(17, 0)


@pytest.mark.parametrize(
    "text", ["", "-", "1-", "-1", "1-2-3", "a", "1-b", "١", " 1", "1.5", "*", "$", b"\xff-1"]
)
def test_what_is_no_id_is_an_error(text: str | bytes) -> None:
    with pytest.raises(EntryError):
        EntryId.parse(text)


def test_ids_compare_in_the_order_of_writing() -> None:
    texts = ["9-2", "9-10", "10-0", "10-1"]
    assert [str(one) for one in sorted(map(EntryId.parse, reversed(texts)))] == texts


def test_a_gap_says_its_cause() -> None:
    note = gap_note("desync", 17, "w1")
    assert note == "desync 17 w1"
    gap = Entry("gap", None, "", "", "", "", None, 6, 1, 2, 0, note)
    assert gap.gap_cause == "desync"
    assert GOOD.gap_cause == ""


def test_the_words_of_the_contract() -> None:
    assert {"top", "trade", "tick", "gap", "resolved"} == KINDS
    assert KINDS - {"gap", "resolved"} == COUNTED_KINDS
    assert {"disconnect", "stale", "desync", "redis", "handover", "shutdown"} == GAP_CAUSES
    assert PLANNED_CAUSES < GAP_CAUSES
