"""What a group's handler is given: entries, and notices about what cannot be read (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self, get_args

from marketdata.entries import FIELDS, Entry, EntryId, Kind
from marketdata.errors import EntryError
from marketdata.market import Market

SILENT_AFTER_S: Final = 5.0
"""Who speaks once a second, and was not heard for so long, is silent."""

_NAMES: Final = [name.encode() for name in FIELDS]
_CLOCK_NAMES: Final = [b"worker", b"epoch", b"live", b"stale"]
_KINDS: Final[dict[str, Kind]] = {kind: kind for kind in get_args(Kind)}
_OUTCOMES: Final = {"0": 0, "1": 1, "": None}
_LAST_N: Final = 2**64 - 1


class Values(NamedTuple):
    """What an entry says, checked: attributes and order are those of `Entry`."""

    kind: Kind
    outcome: int | None
    bid: str
    bid_size: str
    ask: str
    ask_size: str
    venue_ms: int | None
    recv_us: int
    gen: int
    seq: int
    skipped: int
    note: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Those of an entry."""
        return cls(*(getattr(entry, name) for name in FIELDS))


class Message:
    """One entry of a market's stream.

    Attributes:
        id: its id; the key by which a second delivery is recognised.
        stream: the stream's key.
        partition: of the market.
        values: what the entry says. `entry` is the same and made when it is asked for: that takes longer than
            all the rest of reading one.
        market: the catalog's record, None where the catalog does not know the market.
        again: whether it was delivered before and not acknowledged, so that it may have been handled already.
    """

    __slots__ = ("_entry", "again", "id", "market", "partition", "stream", "values")

    def __init__(
        self, at: EntryId, stream: str, partition: int, values: Values, market: Market | None, again: bool
    ) -> None:
        self.id = at
        self.stream = stream
        self.partition = partition
        self.values = values
        self.market = market
        self.again = again
        self._entry: Entry | None = None

    def __repr__(self) -> str:
        return f"Message({self.id} of {self.stream}: {self.entry})"

    @property
    def entry(self) -> Entry:
        """The twelve fields."""
        if self._entry is None:
            self._entry = Entry(*self.values)
        return self._entry

    @property
    def kind(self) -> Kind:
        """top, trade, tick, gap or resolved."""
        return self.values.kind

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
        outcome = self.values.outcome
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


def values_of(fields: Sequence[bytes]) -> Values:
    """What the entry in a flat list of names and values says; quick where they stand in the contract's order.

    Raises:
        EntryError: it does not follow the contract.
    """
    if fields[::2] != _NAMES:
        return Values.of(Entry.from_fields(fields))
    try:
        # One text for all: a value that holds a line break makes too many of them, and goes the slow way.
        kind, outcome, bid, bid_size, ask, ask_size, venue_ms, recv_us, gen, seq, skipped, note = (
            b"\n".join(fields[1::2]).decode().split("\n")
        )
        return Values(
            _KINDS[kind],
            _OUTCOMES[outcome],
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
    except (KeyError, ValueError):
        # The slow way says what is wrong.
        return Values.of(Entry.from_fields(fields))


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
