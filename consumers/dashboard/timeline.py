"""A market's recent entries as two rows of cells: where its price stood, and where updates may be missing (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consumers.dashboard.quotes import Seen
from marketdata.decimals import MICROS, to_micros
from marketdata.entries import Entry
from marketdata.errors import DecimalError


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when, Unix milliseconds of the worker's clock."""

    from_ms: int
    to_ms: int

    def cell(self, ms: int, cells: int) -> int:
        """Which of so many cells a moment falls into; moments outside fall into the first and the last."""
        length = max(self.to_ms - self.from_ms, 1)
        return min(max((ms - self.from_ms) * cells // length, 0), cells - 1)


def span_of(entries: Sequence[Seen], now_ms: int) -> Span | None:
    """From the oldest entry to now; None without entries."""
    return Span(entries[0].id.ms, max(now_ms, entries[-1].id.ms, entries[0].id.ms + 1)) if entries else None


def mids(entries: Sequence[Seen], outcome: int, span: Span, cells: int) -> list[float | None]:
    """Middle of bid and ask at the end of each cell; None before the first top and while it is not to be trusted."""
    made: list[float | None] = [None] * cells
    current: float | None = None
    at = 0
    for seen in entries:
        until = span.cell(seen.id.ms, cells)
        for filled in range(at, until):
            made[filled] = current
        at = max(at, until)
        if seen.entry.outcome not in (None, outcome):
            continue
        if seen.entry.kind == "top":
            current = _mid(seen.entry)
        elif seen.entry.kind in ("gap", "resolved"):
            current = None
    for filled in range(at, cells):
        made[filled] = current
    return made


def _mid(entry: Entry) -> float | None:
    try:
        sides = [to_micros(text) / MICROS for text in (entry.bid, entry.ask) if text]
    except DecimalError:
        return None
    return sum(sides) / len(sides) if sides else None


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which updates of an outcome may be missing; `to_ms` is None while it lasts."""

    cause: str
    outcome: int | None
    from_ms: int
    to_ms: int | None


def gaps(entries: Sequence[Seen]) -> list[Gap]:
    """Oldest first. A gap begins where its note says, and ends at the token's next top."""
    made: list[Gap] = []
    open_at: dict[int, int] = {}
    for seen in entries:
        entry = seen.entry
        if entry.kind == "gap":
            for outcome in (0, 1) if entry.outcome is None else (entry.outcome,):
                if outcome not in open_at:
                    open_at[outcome] = len(made)
                    made.append(Gap(entry.gap_cause, outcome, _start_ms(seen), None))
        elif entry.kind == "top" and entry.outcome in open_at:
            at = open_at.pop(entry.outcome)
            one = made[at]
            made[at] = Gap(one.cause, one.outcome, one.from_ms, seen.id.ms)
    return made


def _start_ms(seen: Seen) -> int:
    words = seen.entry.note.split(" ")
    start_us = int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
    return min(start_us // 1000, seen.id.ms) if start_us else seen.id.ms


def gap_cells(found: Sequence[Gap], outcome: int, span: Span, cells: int) -> list[bool]:
    """For each cell whether a gap of the outcome touches it."""
    made = [False] * cells
    for one in found:
        if one.outcome in (None, outcome):
            last = cells - 1 if one.to_ms is None else span.cell(one.to_ms, cells)
            for cell in range(span.cell(one.from_ms, cells), last + 1):
                made[cell] = True
    return made
