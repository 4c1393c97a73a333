"""What waits for Redis: in order, bounded, and what gives way is always told."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.entries import COUNTED_KINDS, Entry, EntryId, gap_note
from marketdata.proof import Hole, ProofChecker
from tests.unit.worker.redis_commands import written
from worker.batches import build_batch
from worker.ids import IdClock
from worker.pending import CLOCK, Pending
from worker.streams import MarketStream, Update

MAX = 3
STREAMS = 2
IRREDUCIBLE = STREAMS * (2 * 2 + 2) + 1
"""Top and gap a token, gap and resolution a market, and the clock."""
LIMITS = {7: 10**15}
Offer = tuple[str, int, int]

what = st.sampled_from(["top"] * 5 + ["trade"] * 4 + ["tick", "gap", "gap", "whole", CLOCK])
offers = st.tuples(what, st.integers(0, STREAMS - 1), st.integers(0, 1))
bursts = st.lists(st.lists(offers, max_size=60), max_size=4)
"""What is offered while Redis is away, again and again; after each burst it is back."""


@dataclass
class Life:
    """Everything that was offered and everything that was written, for two markets.

    An update's `recv_us` is its place among all that were offered.
    """

    pending: Pending = field(default_factory=lambda: Pending(MAX, lambda count: None))
    ids: IdClock = field(default_factory=IdClock)
    streams: list[MarketStream] = field(default_factory=list)
    offered: list[Update] = field(default_factory=list)
    rows: list[tuple[str, EntryId, Entry]] = field(default_factory=list)
    longest: int = 0
    clock: MarketStream = field(default_factory=lambda: MarketStream("", "clock:{07}", 7))

    def __post_init__(self) -> None:
        self.streams = [MarketStream(f"0x{n}", f"book:{{07}}:0x{n}", 7) for n in range(STREAMS)]

    def offer(self, kind: str, market: int, outcome: int) -> None:
        stream, at = self.streams[market], len(self.offered) + 1
        if kind == CLOCK:
            self.pending.append(Update(self.clock, CLOCK, None, recv_us=at, note="w1 1 2 0"))
            return
        if kind in ("gap", "whole"):
            stream.gen += 1
            note = gap_note("desync", at, "w1")
            update = Update(stream, "gap", outcome if kind == "gap" else None, recv_us=at, note=note)
        elif kind == "resolved":
            update = Update(stream, "resolved", None, recv_us=at, note="1")
        elif kind == "tick":
            update = Update(stream, "tick", outcome, recv_us=at, note="0.001")
        else:
            update = Update(stream, kind, outcome, recv_us=at, bid="0.5", bid_size="1")  # type: ignore[arg-type]
        self.offered.append(update)
        self.pending.append(update)
        self.longest = max(self.longest, len(self.pending))

    def drain(self) -> None:
        while len(self.pending):
            built = build_batch(self.pending, self.ids, LIMITS, lambda partition: "wake")
            self.rows += [written(one.packed) for one in built.batch.items if one.update.kind != CLOCK]

    def holes(self) -> list[Hole]:
        checkers: dict[str, ProofChecker] = {}
        found = []
        for key, entry_id, entry in self.rows:
            hole = checkers.setdefault(key, ProofChecker(key)).feed(entry_id, entry)
            if hole is not None:
                found.append(hole)
        return found

    def of_token(self, stream: MarketStream, outcome: int) -> tuple[list[Update], list[int]]:
        """What was offered for a token, whole-market entries too; places of what was written."""
        offered = [u for u in self.offered if u.stream is stream and u.outcome in (outcome, None)]
        places = [
            entry.recv_us
            for key, _, entry in self.rows
            if key == stream.key and entry.outcome in (outcome, None)
        ]
        return offered, places

    def check(self) -> None:
        assert self.holes() == []
        assert [entry_id for _, entry_id, _ in self.rows] == sorted(
            {entry_id for _, entry_id, _ in self.rows}
        )
        for stream in self.streams:
            for outcome in (0, 1):
                self.check_token(stream, outcome)

    def check_token(self, stream: MarketStream, outcome: int) -> None:
        offered, places = self.of_token(stream, outcome)
        assert places == sorted(set(places)), "the order of a token is kept, nothing is written twice"
        counted = sum(u.kind in COUNTED_KINDS for u in offered)
        told = sum(
            1 + entry.skipped
            for key, _, entry in self.rows
            if key == stream.key and entry.outcome == outcome and entry.kind in COUNTED_KINDS
        )
        assert told + stream.skipped[outcome] == counted, "what gave way is counted"
        shown = set(places)
        standing = doubt = False
        for update in offered:
            if update.kind == "resolved":
                assert update.recv_us in shown, "a resolution is never lost"
            elif update.kind == "gap":
                doubt = doubt or standing
                if update.recv_us in shown:
                    standing = doubt = False
            elif update.kind == "top" and update.recv_us in shown:
                assert not doubt, "between two shown tops stands the gap that was between them"
                standing = True
        assert not doubt, "no top is left standing for which there was a gap"
        last = [u for u in offered if u.kind in ("top", "gap")][-1:]
        if last and last[0].kind == "top":
            assert last[0].recv_us in shown, "the newest top is never lost"
        elif last:
            final = [e for k, _, e in self.rows if k == stream.key and e.outcome in (outcome, None)]
            assert [e.kind for e in final if e.kind in ("top", "gap")][-1] == "gap"


@settings(max_examples=500)
@given(bursts, st.booleans())
def test_whatever_gives_way_the_streams_prove_themselves(made: list[list[Offer]], ends: bool) -> None:
    life = Life()
    for burst in made:
        life.drain()
        for offer in burst:
            life.offer(*offer)
    if ends:
        life.offer("resolved", 0, 0)
        life.offer("resolved", 1, 0)
    life.drain()
    life.check()
    assert life.longest <= max(3 * MAX, IRREDUCIBLE * 3 // 2) + 1


@given(st.lists(offers, max_size=MAX))
def test_up_to_its_bound_everything_is_kept_as_it_is(made: list[Offer]) -> None:
    life = Life()
    for move in made:
        life.offer(*move)
    life.drain()
    assert [entry.recv_us for _, _, entry in life.rows] == [update.recv_us for update in life.offered]
    assert all(entry.skipped == 0 for _, _, entry in life.rows)


def test_only_tops_give_way_at_first() -> None:
    counts: list[int] = []
    life = Life(Pending(8, counts.append))
    for kind in ("top", "trade", "top", "tick", "top", "gap", "top", "top", "top"):
        life.offer(kind, 0, 0)
    assert counts == [4]
    life.drain()
    assert [(entry.kind, entry.seq, entry.skipped) for _, _, entry in life.rows] == [
        ("trade", 1, 0),
        ("tick", 2, 0),
        ("top", 5, 2),
        ("gap", 5, 0),
        ("top", 8, 2),
    ]


def test_a_gap_of_the_whole_market_parts_the_tops_of_both_tokens() -> None:
    life = Life()
    for outcome in (0, 1):
        for kind in ("top", "whole", "top"):
            life.offer(kind, 0, outcome)
    life.drain()
    assert [(entry.kind, entry.outcome) for _, _, entry in life.rows] == [
        *(("top", 0), ("gap", None), ("top", 0)),
        *(("top", 1), ("gap", None), ("top", 1)),
    ]


def test_beyond_twice_the_bound_trades_and_ticks_give_way_too() -> None:
    life = Life()
    life.offer("top", 0, 0)
    for _ in range(40):
        life.offer("trade", 0, 0)
        life.offer("tick", 0, 0)
    assert len(life.pending) <= 3 * MAX
    life.drain()
    life.check()
    assert sum(1 + entry.skipped for _, _, entry in life.rows) + life.streams[0].skipped[0] == 81


def test_what_was_dropped_behind_the_last_entry_is_told_by_the_next_one() -> None:
    life = Life()
    for _ in range(3 * MAX + 1):
        life.offer("trade", 0, 1)
    life.drain()
    life.offer("top", 0, 1)
    life.drain()
    assert life.rows[-1][2].seq == 3 * MAX + 2
    assert life.streams[0].skipped == [0, 0]
    life.check()


def test_gaps_without_a_top_between_become_the_first_of_them() -> None:
    life = Life()
    for _ in range(3 * MAX):
        life.offer("gap", 0, 0)
        life.offer("whole", 0, 0)
    life.drain()
    life.check()
    assert [entry.outcome for _, _, entry in life.rows][:2] == [0, None]


def test_clocks_give_way_to_the_newest_a_partition() -> None:
    pending = Pending(2)
    stream = MarketStream("", "clock:{07}", 7)
    for at in range(50):
        pending.append(Update(stream, CLOCK, None, recv_us=at, note=f"w1 {at} 0 0"))
    kept = [pending.pop().recv_us for _ in range(len(pending))]
    assert kept[-1] == 49
    assert len(kept) <= 6


def test_a_long_queue_is_not_gone_through_at_each_update() -> None:
    passes: list[int] = []
    life = Life(Pending(MAX, passes.append))
    for place in range(2000):
        life.offer("resolved", place % 2, 0)
    assert len(passes) < 20, "each pass waits until the queue has grown by half"
    life.drain()
    assert len(life.rows) == 2000
    passes.clear()
    for _ in range(MAX + 1):
        life.offer("top", 0, 0)
    assert len(passes) == 1, "once empty, the bound is the old one again"


def test_a_lost_partition_is_forgotten() -> None:
    pending = Pending(8)
    mine, theirs = MarketStream("0xa", "a", 1), MarketStream("0xb", "b", 2)
    for stream in (mine, theirs, mine, theirs, theirs):
        pending.append(Update(stream, "top", 0, recv_us=1))
    assert pending.drop_partitions(frozenset({2, 3})) == 3
    assert len(pending) == 2
    assert pending.pop().stream is mine


def test_the_front_is_looked_at_taken_and_put_before() -> None:
    pending = Pending(MAX)
    assert pending.peek() is None
    stream = MarketStream("0xa", "a", 1)
    first, second = Update(stream, "top", 0, recv_us=1), Update(stream, "gap", None, recv_us=2)
    pending.append(first)
    pending.push_front(second)
    assert pending.peek() is second
    assert pending.pop() is second
    assert pending.pop() is first
