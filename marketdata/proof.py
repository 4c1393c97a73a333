"""The proof rule: what a reader checks to know that it has seen everything.

An entry's seq is the previous one of its token + 1 + skipped, or a gap of that outcome or of the whole market
lies between. Over a gap seq still rises; gen never falls; ids strictly rise. `docs/streams.md` says the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from marketdata.decimals import to_micros
from marketdata.entries import COUNTED_KINDS, GAP_CAUSES, Entry, EntryId
from marketdata.errors import DecimalError, EntryError

Rule = Literal["seq", "gen", "id", "form"]
"""Which rule was broken; `seq` is an unmarked hole (or a repetition), the others break the contract."""


@dataclass(frozen=True, slots=True)
class Hole:
    """One place where a stream does not prove itself.

    Attributes:
        stream: its key.
        rule: which rule is broken.
        before: the entry it is compared with; None where there is none.
        at: the entry that breaks the rule.
        outcome: of that entry; None: the whole market, or unknown.
        expected, found: what the rule asks for and what stands there.
    """

    stream: str
    rule: Rule
    before: EntryId | None
    at: EntryId
    outcome: int | None
    expected: str
    found: str

    def __str__(self) -> str:
        after = f" after {self.before}" if self.before is not None else ""
        whose = f" outcome {self.outcome}" if self.outcome is not None else ""
        place = f"{self.stream} {self.at}{after}{whose}"
        return f"{place}: {self.rule}: expected {self.expected}, found {self.found}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; ids are strings."""
        return {
            "stream": self.stream,
            "rule": self.rule,
            "before": None if self.before is None else str(self.before),
            "at": str(self.at),
            "outcome": self.outcome,
            "expected": self.expected,
            "found": self.found,
        }


@dataclass(slots=True)
class _Token:
    """What is known of one token so far."""

    seq: int | None = None
    at: EntryId | None = None
    gap: bool = False


class ProofChecker:
    """Holds the rule against the entries of ONE stream, fed in the order of reading.

    The first entry of a token has no predecessor and is accepted, so a range may begin anywhere. After a
    broken rule the check goes on from what was found: each break is told once.

    Attributes:
        entries: how many were fed.
        skipped: sum of their `skipped`.
        gaps: by cause.
    """

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.entries = 0
        self.skipped = 0
        self.gaps: Counter[str] = Counter()
        self._tokens = (_Token(), _Token())
        self._last_id: EntryId | None = None
        self._last_gen: int | None = None

    def forget_tokens(self) -> None:
        """What came between was trimmed: the next entry of a token has no predecessor to be held to."""
        self._tokens = (_Token(), _Token())

    def feed_fields(self, entry_id: EntryId, fields: Mapping[bytes, bytes] | Sequence[bytes]) -> Hole | None:
        """As `feed`, from fields as Redis returns them; unreadable ones break the rule `form`."""
        try:
            entry = Entry.from_fields(fields)
        except (EntryError, ValueError) as error:
            self.entries += 1
            before, self._last_id = self._last_id, entry_id
            return Hole(self.stream, "form", before, entry_id, None, "twelve readable fields", str(error))
        return self.feed(entry_id, entry)

    def feed(self, entry_id: EntryId, entry: Entry) -> Hole | None:
        """Takes the next entry; says which rule it breaks first, None if none."""
        self.entries += 1
        self.skipped += entry.skipped
        before_id, before_gen = self._last_id, self._last_gen
        self._last_id, self._last_gen = entry_id, entry.gen
        hole = self._follow_seq(entry_id, entry)
        if entry.kind == "gap":
            self.gaps[entry.gap_cause if entry.gap_cause in GAP_CAUSES else "unknown"] += 1
        if before_id is not None and entry_id <= before_id:
            return self._hole("id", before_id, entry_id, entry, f"above {before_id}", str(entry_id))
        if (wrong := _malformed(entry)) is not None:
            return self._hole("form", before_id, entry_id, entry, *wrong)
        if before_gen is not None and entry.gen < before_gen:
            return self._hole(
                "gen", before_id, entry_id, entry, f"gen {before_gen} or more", f"gen {entry.gen}"
            )
        return hole

    def _follow_seq(self, entry_id: EntryId, entry: Entry) -> Hole | None:
        if entry.kind in COUNTED_KINDS:
            return self._count(entry_id, entry)
        if entry.outcome is None:
            tokens: tuple[_Token, ...] = self._tokens
        else:
            tokens = (self._tokens[entry.outcome],)
        known = [token for token in tokens if token.seq is not None]
        newest = max(known, key=lambda token: token.seq or 0, default=None)
        hole = None
        if newest is not None and entry.seq < (newest.seq or 0):
            hole = self._hole(
                "seq", newest.at, entry_id, entry, f"seq {newest.seq} or more", f"seq {entry.seq}"
            )
        if entry.kind == "gap":
            for token in tokens:
                token.gap = True
                # The seq of a gap of both tokens is the larger one and says nothing about the other.
                if entry.outcome is not None:
                    token.seq, token.at = max(entry.seq, token.seq or 0), entry_id
        return hole

    def _count(self, entry_id: EntryId, entry: Entry) -> Hole | None:
        if entry.outcome is None:
            return None
        token = self._tokens[entry.outcome]
        before, at, marked = token.seq, token.at, token.gap
        token.seq, token.at, token.gap = entry.seq, entry_id, False
        if before is None:
            return None
        expected = before + 1 + entry.skipped
        if marked and entry.seq <= before:
            return self._hole("seq", at, entry_id, entry, f"seq above {before}", f"seq {entry.seq}")
        if not marked and entry.seq != expected:
            return self._hole("seq", at, entry_id, entry, f"seq {expected}", f"seq {entry.seq}")
        return None

    def _hole(
        self, rule: Rule, before: EntryId | None, at: EntryId, entry: Entry, expected: str, found: str
    ) -> Hole:
        return Hole(self.stream, rule, before, at, entry.outcome, expected, found)


def _malformed(entry: Entry) -> tuple[str, str] | None:
    """What the contract asks of this kind and what stands there; None if the two agree."""
    if entry.kind in COUNTED_KINDS and (entry.outcome is None or entry.seq < 1):
        return f"outcome 0 or 1 and a seq of a {entry.kind}", f"outcome {entry.outcome} seq {entry.seq}"
    if min(entry.skipped, entry.gen, entry.seq) < 0:
        return "no negative count", f"gen {entry.gen} seq {entry.seq} skipped {entry.skipped}"
    bid, ask = (entry.bid, entry.bid_size), (entry.ask, entry.ask_size)
    if entry.kind == "top" and not (_is_side(bid) and _is_side(ask)):
        return "a price and a size, or neither, on each side of a top", f"{bid} {ask}"
    if entry.kind == "trade" and not (_is_side(bid) and _is_side(ask) and any(bid) != any(ask)):
        return "one side of a trade", f"{bid} {ask}"
    if entry.kind == "tick" and not _is_decimal(entry.note):
        return "a tick size as the note of a tick", repr(entry.note[:60])
    if entry.kind == "resolved" and entry.note not in ("0", "1", "split"):
        return "0, 1 or split as the note of a resolution", repr(entry.note[:60])
    if entry.kind == "gap" and not _is_gap_note(entry.note):
        return "'cause start_us worker' as the note of a gap", repr(entry.note[:60])
    return None


def _is_side(side: tuple[str, str]) -> bool:
    return side == ("", "") or all(_is_decimal(text) for text in side)


def _is_decimal(text: str) -> bool:
    try:
        to_micros(text)
    except DecimalError:
        return False
    return True


def _is_gap_note(note: str) -> bool:
    words = note.split(" ")
    return len(words) == 3 and words[0] in GAP_CAUSES and words[1].isdigit() and bool(words[2])
