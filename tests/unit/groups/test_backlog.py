"""Whatever a read answers: entries are due once, in the total order, and never before an older one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marketdata.entries import EntryId
from marketdata.groups.backlog import NEW, Backlog, Raw


class Streams:
    """Streams of one partition in a Redis of its own, as XREADGROUP and XACK see them."""

    def __init__(self) -> None:
        self.entries: dict[str, list[int]] = {}
        self.delivered: dict[str, int] = {}
        self.pending: dict[str, list[int]] = {}

    def write(self, key: str, ms: int) -> None:
        self.entries.setdefault(key, []).append(ms)
        self.delivered.setdefault(key, 0)
        self.pending.setdefault(key, [])

    def read(self, asked: dict[str, str], count: int) -> dict[str, list[Raw]]:
        found = {}
        for key, position in asked.items():
            if position == NEW:
                rows = [ms for ms in self.entries[key] if ms > self.delivered[key]][:count]
                self.pending[key] += rows
                self.delivered[key] = max([*rows, self.delivered[key]])
            else:
                rows = [ms for ms in self.pending[key] if ms > int(position.split("-")[0])][:count]
            if rows:
                found[key] = [Raw(EntryId(ms, 0), key, (b"x",), position != NEW) for ms in rows]
        return found

    def acknowledge(self, raw: Raw) -> None:
        self.pending[raw.key].remove(raw.id.ms)


def drained(streams: Streams, backlog: Backlog, most: int) -> list[Raw]:
    """Handles up to `most` entries that are due."""
    done = []
    while backlog.due and len(done) < most:
        raw = backlog.due.popleft()
        streams.acknowledge(raw)
        done.append(raw)
    return done


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("abcd")),
        st.tuples(st.just("read"), st.integers(1, 4)),
        st.tuples(st.just("handle"), st.integers(1, 5)),
        st.tuples(st.just("crash"), st.none()),
    ),
    max_size=60,
)


@given(STEPS)
def test_every_entry_once_and_in_order_over_crashes_and_new_streams(
    steps: list[tuple[str, object]],
) -> None:
    streams, backlog, ms = Streams(), Backlog(), 0
    done: list[Raw] = []

    def read(count: int) -> None:
        while True:
            for key in streams.entries.keys() - set(backlog.keys):
                backlog.add(key, pending=bool(streams.pending[key]))
            asked = backlog.wanted()
            backlog.take(asked, streams.read(asked, count), count)
            if backlog.due or not backlog.more:
                return

    for what, value in steps:
        if what == "write":
            ms += 1
            streams.write(str(value), ms)
        elif what == "read" and not backlog.due:
            read(int(str(value)))
        elif what == "handle":
            done += drained(streams, backlog, int(str(value)))
        elif what == "crash":
            backlog = Backlog()
    for _ in range(ms + 1):
        done += drained(streams, backlog, 10**6)
        read(2)
    done += drained(streams, backlog, 10**6)
    assert [raw.id.ms for raw in done] == list(range(1, ms + 1))


def test_equal_ids_are_ordered_by_key() -> None:
    backlog = Backlog()
    for key in "ba":
        backlog.add(key, pending=False)
    rows = {key: [Raw(EntryId(5, 0), key, (), False)] for key in "ba"}
    backlog.take(backlog.wanted(), rows, 10)
    assert [raw.key for raw in backlog.due] == ["a", "b"]


def test_nothing_is_due_while_a_stream_that_appeared_is_unread() -> None:
    backlog = Backlog()
    backlog.add("a", pending=False)
    backlog.take(backlog.wanted(), {"a": [Raw(EntryId(5, 0), "a", (), False)]}, 10, hold=True)
    assert not backlog.due
    assert backlog.more
    backlog.add("b", pending=False)
    assert backlog.wanted() == {"b": NEW}
    backlog.take(backlog.wanted(), {"b": [Raw(EntryId(4, 0), "b", (), False)]}, 10)
    assert [raw.id.ms for raw in backlog.due] == [4, 5]
