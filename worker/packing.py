"""Updates to Redis commands, packed by hiredis: the cheapest way known to us in Python.

A batch goes as one MULTI/EXEC. It costs a few percent, and buys that a batch is written whole or not at all: when
Redis is out of memory or read-only no entry of it is accepted, so that a later one never overtakes a lost one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import hiredis

from marketdata.entries import EntryId
from worker.streams import Update

# Its stub knows tuples of one element only.
pack_command: Final[Callable[[tuple[str | int, ...]], bytes]] = cast(Any, hiredis.pack_command)

MULTI: Final = pack_command(("MULTI",))
EXEC: Final = pack_command(("EXEC",))

_NUMBERS: Final = tuple(str(number) for number in range(256))


def pack_entry(update: Update, entry_id: EntryId, seq: int, skipped: int) -> bytes:
    """XADD of one entry. NOMKSTREAM where the stream should exist: nil then says that Redis forgot it."""
    outcome = update.outcome
    fields = (
        "kind",
        update.kind,
        "outcome",
        "" if outcome is None else _NUMBERS[outcome],
        "bid",
        update.bid,
        "bid_size",
        update.bid_size,
        "ask",
        update.ask,
        "ask_size",
        update.ask_size,
        "venue_ms",
        "" if update.venue_ms is None else str(update.venue_ms),
        "recv_us",
        str(update.recv_us),
        "gen",
        str(update.gen),
        "seq",
        str(seq),
        "skipped",
        str(skipped),
        "note",
        update.note,
    )
    key, id_text = update.stream.key, f"{entry_id.ms}-{entry_id.n}"
    if update.stream.exists:
        return pack_command(("XADD", key, "NOMKSTREAM", id_text, *fields))
    return pack_command(("XADD", key, id_text, *fields))


def pack_clock(update: Update, entry_id: EntryId) -> bytes:
    """XADD of a partition's once-a-second entry; its note holds "worker epoch live stale"."""
    worker, epoch, live, stale = update.note.split(" ")
    fields = ("worker", worker, "epoch", epoch, "live", live, "stale", stale)
    key, id_text = update.stream.key, f"{entry_id.ms}-{entry_id.n}"
    if update.stream.exists:
        return pack_command(("XADD", key, "NOMKSTREAM", id_text, *fields))
    return pack_command(("XADD", key, id_text, *fields))


def pack_publish(channel: str, message: str) -> bytes:
    """PUBLISH: readers of a partition wake up."""
    return pack_command(("PUBLISH", channel, message))


def pack(*arguments: str | int) -> bytes:
    """Any other command."""
    return pack_command(tuple(arguments))
