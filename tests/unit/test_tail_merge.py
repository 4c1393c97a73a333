"""Replies of one read come out in the total order, and never past what may still be missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consumers.tail.merge import Fields, merge
from marketdata.entries import EntryId
from marketdata.groups.messages import before

FIELDS: Fields = {}


def ids(*numbers: int) -> list[tuple[EntryId, Fields]]:
    return [(EntryId(number, 0), FIELDS) for number in numbers]


def test_the_total_order_is_id_then_key() -> None:
    batch = merge({"b": ids(1, 3), "a": ids(3), "c": ids(2)}, count=10)
    assert [(one.id.ms, one.key) for one in batch.entries] == [(1, "b"), (2, "c"), (3, "a"), (3, "b")]
    assert not batch.more


def test_a_full_stream_bounds_all() -> None:
    batch = merge({"full": ids(1, 4), "other": ids(2, 5)}, count=2)
    assert [(one.id.ms, one.key) for one in batch.entries] == [(1, "full"), (2, "other"), (4, "full")]
    assert batch.more


def test_nothing_is_nothing() -> None:
    assert merge({}, count=5) == ([], False)


def test_before_is_the_next_smaller_id() -> None:
    assert before(EntryId(5, 3)) == EntryId(5, 2)
    assert before(EntryId(5, 0)) == EntryId(4, 2**64 - 1)
    assert before(EntryId(0, 0)) == EntryId(0, 0)


@given(
    st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(1, 40), min_size=1), max_size=3),
    st.integers(1, 6),
)
def test_reading_on_gives_all_in_order(streams: dict[str, set[int]], count: int) -> None:
    positions = dict.fromkeys(streams, 0)
    got: list[tuple[int, str]] = []
    for _ in range(200):
        replies = {
            key: ids(*found)
            for key, numbers in streams.items()
            if (found := sorted(number for number in numbers if number > positions[key])[:count])
        }
        batch = merge(replies, count)
        got += [(one.id.ms, one.key) for one in batch.entries]
        positions |= {one.key: one.id.ms for one in batch.entries}
        if not batch.more:
            break
    assert got == sorted((number, key) for key, numbers in streams.items() for number in numbers)
