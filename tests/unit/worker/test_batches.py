"""One batch: ids rise, counters follow, what is not ours is not written."""

from __future__ import annotations

from marketdata.entries import EntryId, gap_note
from marketdata.proof import ProofChecker
from tests.unit.worker.redis_commands import arguments, written
from worker.batches import MAX_BATCH, Batch, Built, build_batch
from worker.ids import IdClock
from worker.packing import EXEC, MULTI
from worker.pending import CLOCK, Pending
from worker.streams import MarketStream, Update

MS = 1_790_000_000_000


def stream(partition: int = 7, name: str = "0xa") -> MarketStream:
    return MarketStream(name, f"book:{{{partition:02d}}}:{name}", partition)


def build(*updates: Update, limit_ms: int = MS + 10**6, pending: Pending | None = None) -> Built:
    queue = Pending(10_000) if pending is None else pending
    for update in updates:
        queue.append(update)
    return build_batch(queue, IdClock(), {7: limit_ms, 8: limit_ms}, lambda partition: f"wake:{partition}")


def top(one: MarketStream, outcome: int = 0, at_us: int = MS * 1000) -> Update:
    return Update(one, "top", outcome, recv_us=at_us, bid="0.5", bid_size="1")


def ids(batch: Batch) -> list[str]:
    return [str(item.id) for item in batch.items]


def test_a_batch_is_one_transaction_with_a_wake_a_partition() -> None:
    one, other = stream(7), stream(8)
    batch = build(top(one), top(other), top(one, 1, MS * 1000 + 5_000)).batch
    commands = batch.commands()
    assert (commands[0], commands[-1]) == (MULTI, EXEC)
    assert batch.replies == len(commands) - 1
    assert [arguments(wake) for wake in batch.wakes] == [
        [b"PUBLISH", b"wake:7", f"{MS + 5}-0".encode()],
        [b"PUBLISH", b"wake:8", f"{MS}-1".encode()],
    ]
    assert ids(batch) == [f"{MS}-0", f"{MS}-1", f"{MS + 5}-0"]


def test_ids_never_fall_when_the_clock_does() -> None:
    one = stream()
    assert ids(build(top(one), top(one, at_us=MS * 1000 - 9_000_000)).batch) == [f"{MS}-0", f"{MS}-1"]


def test_a_clock_wakes_nobody_and_counts_nothing() -> None:
    clock = stream(7, "")
    batch = build(Update(clock, CLOCK, None, recv_us=MS * 1000, note="w1 3 10 2")).batch
    assert batch.wakes == []
    assert arguments(batch.items[0].packed)[3:] == [
        *(b"worker", b"w1", b"epoch", b"3"),
        *(b"live", b"10", b"stale", b"2"),
    ]


def test_what_belongs_to_another_worker_is_dropped_and_counted() -> None:
    built = build(top(stream(9)), top(stream(7)), top(stream(9)))
    assert built.disowned == 2
    assert len(built.batch.items) == 1


def test_no_id_above_the_limit_is_made() -> None:
    pending = Pending(100)
    one = stream()
    built = build(top(one), top(one, at_us=(MS + 1) * 1000), limit_ms=MS, pending=pending)
    assert built.over_limit
    assert ids(built.batch) == [f"{MS}-0"]
    assert len(pending) == 1, "it waits for the limit to rise"


def test_a_batch_has_an_end() -> None:
    pending = Pending(10_000)
    one = stream()
    assert len(build(*(top(one) for _ in range(MAX_BATCH + 5)), pending=pending).batch.items) == MAX_BATCH
    assert len(pending) == 5


def test_each_token_counts_for_itself_and_what_is_of_both_carries_the_larger_counter() -> None:
    one = stream()
    one.seq, one.skipped = [10, 3], [2, 0]
    gap = Update(one, "gap", 1, recv_us=MS * 1000, note=gap_note("desync", 1, "w1"))
    whole = Update(one, "gap", None, recv_us=MS * 1000, note=gap_note("redis", 1, "w1"))
    conflated = top(one, 1)
    conflated.skipped = 4
    trade = Update(one, "trade", 0, recv_us=MS * 1000, bid="0.5", bid_size="1")
    batch = build(top(one), gap, conflated, whole, trade).batch
    found = [written(item.packed)[2] for item in batch.items]
    assert [(e.kind, e.outcome, e.seq, e.skipped) for e in found] == [
        ("top", 0, 13, 2),
        ("gap", 1, 3, 0),
        ("top", 1, 8, 4),
        ("gap", None, 13, 0),
        ("trade", 0, 14, 0),
    ]
    assert one.skipped == [0, 0]
    checker = ProofChecker(one.key)
    assert [checker.feed(item.id, entry) for item, entry in zip(batch.items, found, strict=True)] == [
        None
    ] * 5


def test_a_stream_that_owes_a_gap_writes_gaps_and_its_end_only() -> None:
    one, other = stream(), stream(7, "0xb")
    one.forgotten_us = 5
    gap = Update(one, "gap", None, recv_us=MS * 1000, note=gap_note("redis", 5, "w1"))
    end = Update(one, "resolved", None, recv_us=MS * 1000, note="1")
    batch = build(gap, top(one), Update(one, "trade", 0, recv_us=MS * 1000), top(other), end).batch
    assert [(item.update.stream.condition_id, item.update.kind) for item in batch.items] == [
        ("0xa", "gap"),
        ("0xb", "top"),
        ("0xa", "resolved"),
    ]
    assert one.seq == [0, 0], "what was not written was not counted"


def test_a_generation_never_falls_behind_a_gap_that_was_put_in_front() -> None:
    one = stream()
    one.gen = 3
    waiting = Update(one, "gap", 0, recv_us=MS * 1000, note=gap_note("disconnect", 5, "w1"))
    one.gen = 4
    pending = Pending(100)
    pending.append(waiting)
    pending.push_front(Update(one, "gap", None, recv_us=MS * 1000, note=gap_note("redis", 5, "w1")))
    found = [written(item.packed) for item in build(pending=pending).batch.items]
    assert [entry.gen for _, _, entry in found] == [4, 4]


def test_an_entry_goes_to_its_stream_under_its_id() -> None:
    one = stream()
    one.exists = True
    (item,) = build(top(one, 1)).batch.items
    key, entry_id, entry = written(item.packed)
    assert (key, entry_id) == (one.key, EntryId(MS, 0))
    assert (entry.kind, entry.outcome, entry.bid) == ("top", 1, "0.5")
    assert arguments(item.packed)[2] == b"NOMKSTREAM"
