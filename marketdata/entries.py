"""Entries of a market's stream: twelve fields, always all of them, always in this order.

This is the contract with readers in any language; `docs/streams.md` says the same in prose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Self, get_args

from marketdata.errors import EntryError

Kind = Literal["top", "trade", "tick", "gap", "resolved"]
KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))
COUNTED_KINDS: Final[frozenset[str]] = frozenset({"top", "trade", "tick"})
"""Kinds that raise their token's seq."""

GapCause = Literal["disconnect", "stale", "desync", "redis", "handover", "shutdown"]
GAP_CAUSES: Final[frozenset[str]] = frozenset(get_args(GapCause))
PLANNED_CAUSES: Final[frozenset[str]] = frozenset({"handover", "shutdown"})
"""Causes that belong to ordinary life, unless a handover breaks off what no shutdown had ended: `Entry.is_ending`."""

FIELDS: Final = (
    "kind",
    "outcome",
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "venue_ms",
    "recv_us",
    "gen",
    "seq",
    "skipped",
    "note",
)


class EntryId(NamedTuple):
    """A stream id: Unix milliseconds and a counter within them. Compares in writing order."""

    ms: int
    n: int

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Reads "1700000000000-3".

        Raises:
            EntryError: not a stream id.
        """
        if isinstance(text, bytes):
            text = text.decode(errors="replace")
        ms, dash, n = text.partition("-")
        if not (ms.isascii() and ms.isdigit() and (not dash or (n.isascii() and n.isdigit()))):
            raise EntryError(f"not a stream id: {text[:60]!r}")
        return cls(int(ms), int(n) if dash else 0)

    def __str__(self) -> str:
        return f"{self.ms}-{self.n}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a market's stream.

    Attributes:
        kind: top, trade, tick, gap or resolved.
        outcome: 0 or 1, the token's place in the market; None: the whole market.
        bid, bid_size, ask, ask_size: strings as the venue wrote them; empty where there is none.
        venue_ms: the venue's time, Unix milliseconds; None where the venue gave none.
        recv_us: when the worker received it, Unix microseconds.
        gen: generation of the subscription, rising in this stream.
        seq: the token's counter; for a gap or resolution of the whole market the larger one of both tokens.
        skipped: updates conflated into this entry, or not shown before it because they contradicted the book.
        note: by kind, see `docs/streams.md`.
    """

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
    def from_fields(cls, fields: Mapping[bytes, bytes] | Sequence[bytes]) -> Self:
        """Reads the fields of one entry as Redis returns them: a mapping, or a flat sequence.

        Raises:
            EntryError: a field is missing or not what the contract says.
        """
        if not isinstance(fields, Mapping):
            # A name without a value is missed below.
            fields = dict(zip(fields[::2], fields[1::2], strict=False))
        try:
            text = {name: fields[name.encode()].decode() for name in FIELDS}
        except KeyError as error:
            raise EntryError(f"an entry lacks the field {error.args[0].decode()!r}") from None
        except UnicodeDecodeError as error:
            raise EntryError(f"a field of an entry is no text: {error}") from None
        if text["kind"] not in KINDS or text["outcome"] not in ("", "0", "1"):
            raise EntryError(f"kind {text['kind'][:20]!r} or outcome {text['outcome'][:20]!r} is not known")
        try:
            return cls(
                kind=text["kind"],  # type: ignore[arg-type]
                outcome=int(text["outcome"]) if text["outcome"] else None,
                bid=text["bid"],
                bid_size=text["bid_size"],
                ask=text["ask"],
                ask_size=text["ask_size"],
                venue_ms=int(text["venue_ms"]) if text["venue_ms"] else None,
                recv_us=int(text["recv_us"]),
                gen=int(text["gen"]),
                seq=int(text["seq"]),
                skipped=int(text["skipped"]),
                note=text["note"],
            )
        except ValueError as error:
            raise EntryError(f"a number of an entry cannot be read: {error}") from None

    def to_fields(self) -> dict[str, str]:
        """The twelve fields in order, as plain strings."""
        return {
            "kind": self.kind,
            "outcome": "" if self.outcome is None else str(self.outcome),
            "bid": self.bid,
            "bid_size": self.bid_size,
            "ask": self.ask,
            "ask_size": self.ask_size,
            "venue_ms": "" if self.venue_ms is None else str(self.venue_ms),
            "recv_us": str(self.recv_us),
            "gen": str(self.gen),
            "seq": str(self.seq),
            "skipped": str(self.skipped),
            "note": self.note,
        }

    @property
    def gap_cause(self) -> str:
        """The cause of a gap; empty for other kinds."""
        return self.note.split(" ", 1)[0] if self.kind == "gap" else ""

    @property
    def is_ending(self) -> bool:
        """Whether its writer ended the stream in good order: what comes next may begin with a planned handover."""
        return self.kind == "resolved" or self.gap_cause == "shutdown"


def gap_note(cause: GapCause, start_us: int, worker: str) -> str:
    """The note of a gap: its cause, the Unix microseconds from which updates may be missing, who says so."""
    return f"{cause} {start_us} {worker}"
