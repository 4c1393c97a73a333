"""One batch: which updates, under which ids, as which bytes; what Redis answered (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from marketdata.entries import COUNTED_KINDS, EntryId
from worker.ids import IdClock
from worker.packing import EXEC, MULTI, pack_clock, pack_entry, pack_publish
from worker.pending import CLOCK, Pending
from worker.streams import Update

MAX_BATCH = 2_000


class Item(NamedTuple):
    """One update under its id."""

    update: Update
    id: EntryId
    packed: bytes


@dataclass(slots=True)
class Batch:
    """Entries of one MULTI/EXEC, and the channels to wake."""

    items: list[Item] = field(default_factory=list)
    wakes: list[bytes] = field(default_factory=list)

    def commands(self) -> list[bytes]:
        """The bytes to send."""
        return [MULTI, *(item.packed for item in self.items), *self.wakes, EXEC]

    @property
    def replies(self) -> int:
        """How many replies come before EXEC's own: MULTI's and one QUEUED each."""
        return 1 + len(self.items) + len(self.wakes)


@dataclass(slots=True)
class Built:
    """A batch, and what stood in the way of a longer one."""

    batch: Batch
    disowned: int = 0
    over_limit: bool = False


def build_batch(
    pending: Pending,
    ids: IdClock,
    limits: Mapping[int, int],
    wake_channel: Callable[[int], str],
) -> Built:
    """Takes up to MAX_BATCH updates and gives them ids, seqs and bytes.

    Args:
        limits: the id limit of each partition that is ours, Unix milliseconds. Updates of other partitions are
            dropped and counted: their new owner has marked the gap. An id above a limit is not made.
    """
    built = Built(Batch())
    items = built.batch.items
    woken: dict[int, EntryId] = {}
    while len(items) < MAX_BATCH and (update := pending.peek()) is not None:
        stream = update.stream
        limit_ms = limits.get(stream.partition)
        if limit_ms is None:
            pending.pop()
            built.disowned += 1
            continue
        if ids.peek_ms(update.recv_us) > limit_ms:
            built.over_limit = True
            break
        pending.pop()
        if stream.forgotten_us and update.kind not in ("gap", "resolved"):
            # The gap that is owed covers it, and the current top follows the gap. Nothing follows a resolution.
            continue
        entry_id = ids.next(update.recv_us)
        if update.kind == CLOCK:
            items.append(Item(update, entry_id, pack_clock(update, entry_id)))
        else:
            items.append(Item(update, entry_id, _pack(update, entry_id)))
            woken[stream.partition] = entry_id
    built.batch.wakes = [
        pack_publish(wake_channel(partition), str(entry_id)) for partition, entry_id in woken.items()
    ]
    return built


def _pack(update: Update, entry_id: EntryId) -> bytes:
    stream, outcome = update.stream, update.outcome
    # A gap put in front of the queue may carry a newer generation than what waited there.
    update.gen = stream.packed_gen = max(update.gen, stream.packed_gen)
    if update.kind in COUNTED_KINDS:
        assert outcome is not None, "what counts is of one token"
        skipped = update.skipped + stream.skipped[outcome]
        stream.skipped[outcome] = 0
        stream.seq[outcome] += 1 + skipped
        return pack_entry(update, entry_id, stream.seq[outcome], skipped)
    seq = max(stream.seq) if outcome is None else stream.seq[outcome]
    return pack_entry(update, entry_id, seq, 0)
