"""What a worker counts. Plain integers, added to on the hot path."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from marketdata.entries import PLANNED_CAUSES, GapCause
from worker.verification import Check

_NAMES_KEPT = 50


@dataclass(slots=True)
class Counters:
    """Counts since the worker started, over all its connections."""

    frames: int = 0
    bytes: int = 0
    price_changes: int = 0
    books: int = 0
    trades: int = 0
    tops: int = 0
    """Changes of a top of book that were accepted for publishing."""
    before_book: int = 0
    """Changes of tokens without a snapshot; not used."""
    foreign: int = 0
    """Messages of markets or tokens that were not asked for."""
    time_back: int = 0
    """Messages whose venue time lies before the market's last one."""
    malformed: int = 0
    quarantined: int = 0
    """Frames put aside."""
    quarantine_unwritten: int = 0
    """Frames put aside that are not in the quarantine stream: over its rate or with Redis away."""
    desyncs: int = 0
    hash_matches: int = 0
    hash_mismatches: int = 0
    hash_unable: int = 0
    opens: int = 0
    disconnects: int = 0
    pong_timeouts: int = 0
    first_books_overdue: int = 0
    first_book_retries: int = 0
    distrusted: int = 0
    """Markets given up because too few of their hashes matched."""
    stale: int = 0
    """Tokens found silent while the venue's book went on."""
    unwitnessed: int = 0
    """Quiet tokens asked for anew because REST could not vouch for them."""
    quarantined_tokens: int = 0
    """Tokens that nothing rescued."""
    moves: int = 0
    """Markets that changed their connection."""
    move_gaps: int = 0
    """Live tokens that got a gap because the books of both connections never agreed."""
    rotations: int = 0
    """Connections replaced because of their age."""
    entries: int = 0
    """Entries of market streams that Redis acknowledged."""
    batches: int = 0
    conflated: int = 0
    """Updates that gave way to a newer one of their token; also in `skipped` of the entries."""
    redis_away: int = 0
    redis_holes: int = 0
    refused: int = 0
    """Entries that Redis refused with an error."""
    disowned: int = 0
    """Updates dropped because their partition had been lost to another worker."""
    interrupted: int = 0
    """Handover gaps in streams whose former writer had not ended them."""
    recorded: int = 0
    """Frames of the raw capture that were written."""
    recording_lost: int = 0
    """Frames that the raw capture does not hold because the disk did not take them."""
    recording_deleted: int = 0
    """Hourly files deleted to keep RECORD_RAW_MAX_MB."""
    gaps: Counter[str] = field(default_factory=Counter)
    """By cause."""
    rescues: Counter[str] = field(default_factory=Counter)
    """Silent tokens that came back, by what helped: resubscribe, move or slow."""
    closes: Counter[str] = field(default_factory=Counter)
    """Ends of connections, by close code."""
    events: Counter[str] = field(default_factory=Counter)
    """Rare message types, unknown types and texts, by name; bounded."""

    def gap(self, cause: GapCause) -> None:
        self.gaps[cause] += 1

    @property
    def fault_gaps(self) -> int:
        """Gaps that are no part of ordinary life: all but shutdowns, and handovers that interrupted nothing."""
        faults = sum(count for cause, count in self.gaps.items() if cause not in PLANNED_CAUSES)
        return faults + self.interrupted

    def seen(self, name: str) -> None:
        self.events[name] += 1

    def unknown(self, event_type: str) -> None:
        self._named(f"unknown:{event_type}")

    def text(self, text: str) -> None:
        self._named(f"text:{text}")

    def hash_result(self, result: Check) -> None:
        if result is Check.MATCH:
            self.hash_matches += 1
        elif result is Check.MISMATCH:
            self.hash_mismatches += 1
        else:
            self.hash_unable += 1

    def _named(self, name: str) -> None:
        if name not in self.events and len(self.events) >= _NAMES_KEPT:
            name = "other"
        self.events[name] += 1
