"""Ids rise, whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marketdata.entries import EntryId
from worker.ids import IdClock

moves = st.lists(st.tuples(st.sampled_from(["next", "raise"]), st.integers(0, 20_000)), max_size=60)


@given(moves)
def test_every_id_is_above_every_earlier_one_and_never_before_its_update(made: list[tuple[str, int]]) -> None:
    ids = IdClock()
    given_out: list[EntryId] = []
    floor_ms = -1
    for move, number in made:
        if move == "raise":
            ids.raise_above(number)
            floor_ms = max(floor_ms, number)
            continue
        foretold_ms = ids.peek_ms(number)
        entry_id = ids.next(number)
        assert entry_id.ms == foretold_ms
        assert entry_id.ms >= number // 1000
        assert entry_id.ms > floor_ms
        given_out.append(entry_id)
    assert given_out == sorted(set(given_out))


def test_the_counter_starts_anew_with_each_millisecond() -> None:
    ids = IdClock()
    assert [str(ids.next(us)) for us in (5_000, 5_999, 4_000, 6_000)] == ["5-0", "5-1", "5-2", "6-0"]


def test_raising_below_what_was_given_out_changes_nothing() -> None:
    ids = IdClock()
    ids.next(9_000)
    ids.raise_above(8)
    assert str(ids.next(9_000)) == "9-1"
    ids.raise_above(9)
    assert ids.next(9_000) > EntryId(9, 10**9)
