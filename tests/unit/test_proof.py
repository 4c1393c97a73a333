"""The proof rule finds what is missing, doubled or out of order, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.entries import Entry, EntryId, Kind, gap_note
from marketdata.proof import Hole, ProofChecker

KEY = "book:{07}:0xabc"
Row = tuple[EntryId, Entry]


def entry(kind: Kind = "top", outcome: int | None = 0, seq: int = 1, **changes: object) -> Entry:
    plain = Entry(
        kind=kind,
        outcome=outcome,
        bid="0.48" if kind in ("top", "trade") else "",
        bid_size="30" if kind in ("top", "trade") else "",
        ask="0.52" if kind == "top" else "",
        ask_size="25" if kind == "top" else "",
        venue_ms=1_700_000_000_000,
        recv_us=1_700_000_000_000_000,
        gen=1,
        seq=seq,
        skipped=0,
        note={"gap": gap_note("disconnect", 5, "w1"), "tick": "0.001", "resolved": "1"}.get(kind, ""),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def rows(*entries: Entry) -> list[Row]:
    return [(EntryId(1_700_000_000_000 + at, 0), one) for at, one in enumerate(entries)]


def holes(found: Iterable[Row]) -> list[Hole]:
    checker = ProofChecker(KEY)
    return [hole for entry_id, one in found if (hole := checker.feed(entry_id, one)) is not None]


def rules(*entries: Entry) -> list[str]:
    return [hole.rule for hole in holes(rows(*entries))]


def test_each_token_counts_for_itself() -> None:
    assert (
        rules(
            entry(outcome=0, seq=7),
            entry(outcome=1, seq=3),
            entry("trade", 1, 4),
            entry("tick", 0, 8),
            entry(outcome=1, seq=5),
        )
        == []
    )


def test_the_first_entry_of_a_token_needs_no_predecessor() -> None:
    assert rules(entry(seq=5000), entry(outcome=1, seq=1)) == []


def test_a_missing_entry_is_told_with_its_place() -> None:
    (hole,) = holes(rows(entry(seq=1), entry(outcome=1, seq=9), entry(seq=3)))
    assert hole == Hole(
        KEY, "seq", EntryId(1_700_000_000_000, 0), EntryId(1_700_000_000_002, 0), 0, "seq 2", "seq 3"
    )
    assert str(hole) == (
        "book:{07}:0xabc 1700000000002-0 after 1700000000000-0 outcome 0: seq: expected seq 2, found seq 3"
    )
    assert hole.to_dict()["at"] == "1700000000002-0"


def test_a_break_is_told_once() -> None:
    assert rules(entry(seq=1), entry(seq=3), entry(seq=4), entry(seq=5)) == ["seq"]


@pytest.mark.parametrize("seq", [1, 2])
def test_a_repeated_or_falling_seq_is_a_hole(seq: int) -> None:
    assert rules(entry(seq=1), entry(seq=2), entry(seq=seq)) == ["seq"]


def test_conflated_updates_are_counted() -> None:
    checker = ProofChecker(KEY)
    for row in rows(entry(seq=1), entry(seq=5, skipped=3)):
        assert checker.feed(*row) is None
    assert (checker.entries, checker.skipped) == (2, 3)
    assert rules(entry(seq=1), entry(seq=5, skipped=2)) == ["seq"]
    assert rules(entry(seq=1), entry(seq=2, skipped=1)) == ["seq"]


@pytest.mark.parametrize(("outcome", "excused"), [(0, True), (None, True), (1, False)])
def test_a_gap_excuses_its_outcome_or_the_whole_market(outcome: int | None, excused: bool) -> None:
    gap = entry("gap", outcome, seq=2)
    found = rules(entry(outcome=1, seq=2), entry(seq=2), gap, entry(seq=9))
    assert found == ([] if excused else ["seq"])


def test_a_gap_excuses_both_tokens_once() -> None:
    gap = entry("gap", None, seq=4)
    assert rules(
        entry(seq=4), entry(outcome=1, seq=2), gap, entry(seq=6), entry(outcome=1, seq=8), entry(seq=8)
    ) == ["seq"]


@pytest.mark.parametrize("seq", [3, 4])
def test_over_a_gap_seq_still_rises(seq: int) -> None:
    assert rules(entry(seq=4), entry("gap", None, seq=4), entry(seq=seq)) == ["seq"]


def test_a_gap_that_fell_back_is_a_hole() -> None:
    assert rules(entry(seq=4), entry("gap", 0, seq=3)) == ["seq"]
    assert rules(entry(outcome=1, seq=9), entry(seq=4), entry("gap", None, seq=4)) == ["seq"]


def test_gaps_are_counted_by_cause() -> None:
    checker = ProofChecker(KEY)
    for row in rows(
        entry("gap", 0, 0), entry("gap", 1, 0), entry("gap", None, 0, note=gap_note("handover", 5, "w2"))
    ):
        assert checker.feed(*row) is None
    assert checker.gaps == {"disconnect": 2, "handover": 1}


def test_a_resolution_excuses_nothing() -> None:
    assert rules(entry(seq=1), entry("resolved", None, 1), entry(seq=3)) == ["seq"]


def test_gen_never_falls() -> None:
    assert rules(entry(seq=1, gen=2), entry(seq=2, gen=3), entry(seq=3, gen=2), entry(seq=4, gen=2)) == [
        "gen"
    ]


def test_ids_strictly_rise() -> None:
    one = EntryId(1_700_000_000_000, 5)
    found = holes([(one, entry(seq=1)), (one, entry(seq=2)), (EntryId(1_700_000_000_000, 4), entry(seq=3))])
    assert [hole.rule for hole in found] == ["id", "id"]


@pytest.mark.parametrize(
    "bad",
    [
        entry(outcome=None, seq=1),
        entry(seq=0),
        entry(bid="0.48", bid_size=""),
        entry(ask="high"),
        entry("trade", ask="0.5", ask_size="2"),
        entry("trade", bid="", bid_size=""),
        entry("tick", note=""),
        entry("gap", note="disconnect"),
        entry("gap", note="weather 5 w1"),
        entry("gap", note="disconnect soon w1"),
        entry("resolved", note="yes"),
        entry(gen=-1),
    ],
    ids=lambda one: f"{one.kind}:{one.outcome}:{one.bid}:{one.ask}:{one.note}",
)
def test_a_malformed_entry_breaks_the_contract(bad: Entry) -> None:
    assert rules(bad) == ["form"]


@pytest.mark.parametrize(
    "good",
    [
        entry(bid="", bid_size=""),
        entry(bid="", bid_size="", ask="", ask_size=""),
        entry("trade", bid="", bid_size="", ask="0.5", ask_size="2"),
        entry("resolved", None, 0, note="split"),
        entry("gap", None, 0, note=gap_note("shutdown", 5, "host-1.a_b")),
    ],
    ids=lambda one: f"{one.kind}:{one.bid}:{one.ask}:{one.note}",
)
def test_every_legal_form_passes(good: Entry) -> None:
    assert rules(good) == []


def test_unreadable_fields_are_told_and_survived() -> None:
    checker = ProofChecker(KEY)
    hole = checker.feed_fields(EntryId(5, 0), {b"kind": b"top"})
    assert hole is not None
    assert (hole.rule, hole.at, hole.outcome) == ("form", EntryId(5, 0), None)
    fields = {name.encode(): value.encode() for name, value in entry(seq=1).to_fields().items()}
    assert checker.feed_fields(EntryId(6, 0), fields) is None
    assert checker.entries == 2


def test_trimmed_entries_leave_no_hole() -> None:
    checker = ProofChecker(KEY)
    (first, later) = rows(entry(seq=1), entry(seq=70))
    assert checker.feed(*first) is None
    checker.forget_tokens()
    assert checker.feed(*later) is None


@st.composite
def written(draw: st.DrawFn) -> list[Entry]:
    """What a correct writer may write: tops, trades and gaps of two tokens, with conflation and handovers."""
    seq, gen = [draw(st.integers(0, 9)), draw(st.integers(0, 9))], 1
    found: list[Entry] = []
    for _ in range(draw(st.integers(0, 30))):
        kind = draw(st.sampled_from(["top", "top", "top", "trade", "tick", "gap", "market gap", "resolved"]))
        outcome = draw(st.integers(0, 1))
        if kind == "gap":
            gen += draw(st.integers(0, 1))
            found.append(entry("gap", outcome, seq[outcome], gen=gen))
            seq[outcome] += draw(st.integers(0, 3))
        elif kind == "market gap":
            gen += 1
            found.append(entry("gap", None, max(seq), gen=gen, note=gap_note("handover", 5, "w")))
        elif kind == "resolved":
            found.append(entry("resolved", None, max(seq), gen=gen))
        else:
            skipped = draw(st.integers(0, 2))
            seq[outcome] += 1 + skipped
            counted: Kind = "top" if kind == "top" else "trade" if kind == "trade" else "tick"
            found.append(entry(counted, outcome, seq[outcome], gen=gen, skipped=skipped))
    return found


@given(written())
def test_a_correct_writer_is_never_accused(entries: list[Entry]) -> None:
    assert rules(*entries) == []


@given(written(), st.data())
def test_any_lost_entry_between_two_of_its_token_is_found(entries: list[Entry], data: st.DataObject) -> None:
    def between(at: int) -> bool:
        """Whether entry `at` has a neighbour of its token on both sides and no gap between these."""
        lost = entries[at]
        if lost.kind not in ("top", "trade", "tick"):
            return False
        sides = (entries[at - 1 :: -1] if at else [], entries[at + 1 :])
        return all(
            next(
                (
                    one.kind != "gap"
                    for one in side
                    if one.outcome == lost.outcome or (one.kind == "gap" and one.outcome is None)
                ),
                False,
            )
            for side in sides
        )

    places = [at for at in range(len(entries)) if between(at)]
    if not places:
        return
    at = data.draw(st.sampled_from(places))
    assert rules(*entries[:at], *entries[at + 1 :]) == ["seq"]
    marked = replace(
        entry("gap", entries[at].outcome, 0, gen=entries[at].gen),
        seq=entries[at].seq,
        note=gap_note("redis", 5, "w"),
    )
    assert rules(*entries[:at], marked, *entries[at + 1 :]) == []
