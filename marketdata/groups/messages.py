"""What a group's handler is given: entries, and notices about what cannot be read (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from marketdata.entries import FIELDS, Entry, EntryId, Kind
from marketdata.errors import EntryError
from marketdata.market import Market

_NAMES: Final = [name.encode() for name in FIELDS]
_CLOCK_NAMES: Final = [b"worker", b"epoch", b"live", b"stale"]
_LAST_N: Final = 2**64 - 1


class Message(NamedTuple):
    """One entry of a market's stream.

    Attributes:
        id: its id; the key by which a second delivery is recognised.
        stream: the stream's key.
        partition: of the market.
        entry: the twelve fields.
        market: the catalog's record, None where the catalog does not know the market.
        again: whether it was delivered before and not acknowledged, so that it may have been handled already.
    """

    id: EntryId
    stream: str
    partition: int
    entry: Entry
    market: Market | None
    again: bool

    @property
    def kind(self) -> Kind:
        """top, trade, tick, gap or resolved."""
        return self.entry.kind

    @property
    def condition_id(self) -> str:
        """Of the market."""
        return self.stream.rpartition(":")[2]

    @property
    def question(self) -> str:
        """What the market asks; its condition id where the catalog does not know it."""
        return self.market.question if self.market is not None else self.condition_id

    @property
    def outcome_name(self) -> str:
        """What the outcome is called; empty where the entry is about the whole market."""
        outcome = self.entry.outcome
        if outcome is None:
            return ""
        return self.market.outcomes[outcome] if self.market is not None else f"outcome {outcome}"


class Clock(NamedTuple):
    """The writer's word of a second: all tokens of the partition outside a gap are proven as of `id`.

    Attributes:
        worker: who writes the partition.
        epoch: of its lease.
        live, stale: tokens of the partition.
    """

    id: EntryId
    stream: str
    partition: int
    worker: str
    epoch: int
    live: int
    stale: int


class Lost(NamedTuple):
    """Entries went away (trimmed, or forgotten by Redis) before the group read them.

    Attributes:
        stream: the stream's key.
        partition: of the market.
        market: the catalog's record, None where it is not known.
        first, last: what is missing lies between these ids, both included.
    """

    stream: str
    partition: int
    market: Market | None
    first: EntryId
    last: EntryId

    def __str__(self) -> str:
        return (
            f"entries of {self.stream} between {self.first} and {self.last} went away before they were read"
        )


class Silent(NamedTuple):
    """Nobody vouches for a partition: no clock entry was read for five seconds. Tops may be old.

    Attributes:
        last: id of the newest clock entry that was read, None if none was.
        over: whether a clock entry came after all, and the silence ends with this notice.
    """

    partition: int
    last: EntryId | None
    over: bool = False

    def __str__(self) -> str:
        if self.over:
            return f"the writer of partition {self.partition} speaks again"
        return f"no word from the writer of partition {self.partition} since {self.last or 'it is read'}"


Notice = Lost | Silent
"""What a handler is told besides entries. A partition that changes hands is no notice: nothing is wrong."""


def entry_of(fields: Sequence[bytes]) -> Entry:
    """The entry in a flat list of names and values; quick where the fields stand in the contract's order.

    Raises:
        EntryError: it does not follow the contract.
    """
    if fields[::2] != _NAMES:
        return Entry.from_fields(fields)
    try:
        kind, outcome, bid, bid_size, ask, ask_size, venue_ms, recv_us, gen, seq, skipped, note = [
            value.decode() for value in fields[1::2]
        ]
        if outcome not in ("0", "1", "") or kind not in ("top", "trade", "tick", "gap", "resolved"):
            return Entry.from_fields(fields)
        return Entry(
            kind,  # type: ignore[arg-type]
            int(outcome) if outcome else None,
            bid,
            bid_size,
            ask,
            ask_size,
            int(venue_ms) if venue_ms else None,
            int(recv_us),
            int(gen),
            int(seq),
            int(skipped),
            note,
        )
    except ValueError:
        # The slow way says what is wrong.
        return Entry.from_fields(fields)


def clock_of(entry_id: EntryId, stream: str, partition: int, fields: Sequence[bytes]) -> Clock:
    """The clock entry in a flat list of names and values.

    Raises:
        EntryError: it does not follow the contract.
    """
    values = dict(zip(fields[::2], fields[1::2], strict=False))
    try:
        worker, epoch, live, stale = (values[name].decode() for name in _CLOCK_NAMES)
        return Clock(entry_id, stream, partition, worker, int(epoch), int(live), int(stale))
    except (KeyError, ValueError) as error:
        raise EntryError(f"a clock entry cannot be read: {error}") from None


def after(entry_id: EntryId) -> EntryId:
    """The smallest id above."""
    return EntryId(entry_id.ms, entry_id.n + 1)


def before(entry_id: EntryId) -> EntryId:
    """The largest id below; 0-0 has none and stays."""
    if entry_id.n > 0:
        return EntryId(entry_id.ms, entry_id.n - 1)
    return EntryId(entry_id.ms - 1, _LAST_N) if entry_id.ms > 0 else entry_id
