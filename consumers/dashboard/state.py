"""All that the screen shows, as plain data, and how it follows from what Redis holds (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consumers.workers import WorkerWord
from marketdata.entries import Entry


@dataclass(slots=True)
class Quote:
    """One token's top of book as its entries tell it.

    Attributes:
        bid, bid_size, ask, ask_size: empty where a side is empty.
        known: whether any top was seen.
        recv_us: when the newest entry was received, Unix microseconds.
        kind: of the newest entry; empty before the first.
        gap: cause of the gap that no top has ended yet; empty outside one.
        resolved: 0, 1 or split once the market is over.
    """

    bid: str = ""
    bid_size: str = ""
    ask: str = ""
    ask_size: str = ""
    known: bool = False
    recv_us: int = 0
    kind: str = ""
    gap: str = ""
    resolved: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether older entries could not change what is shown."""
        return self.known or bool(self.gap) or bool(self.resolved)

    def apply(self, entry: Entry) -> None:
        """Takes the next entry of its token or of the whole market."""
        self.recv_us, self.kind = entry.recv_us, entry.kind
        if entry.kind == "top":
            self.bid, self.bid_size, self.ask, self.ask_size = (
                *(entry.bid, entry.bid_size),
                *(entry.ask, entry.ask_size),
            )
            self.known, self.gap = True, ""
        elif entry.kind == "gap":
            self.gap = entry.gap_cause
        elif entry.kind == "resolved":
            self.resolved = entry.note


@dataclass(slots=True)
class MarketRow:
    """One market on the screen."""

    condition_id: str
    question: str
    outcomes: tuple[str, str]
    quotes: tuple[Quote, Quote] = field(default_factory=lambda: (Quote(), Quote()))

    def apply(self, entry: Entry) -> None:
        """Takes the next entry of its stream."""
        for outcome, quote in enumerate(self.quotes):
            if entry.outcome in (None, outcome):
                quote.apply(entry)


@dataclass(frozen=True, slots=True)
class DashboardState:
    """One picture.

    Attributes:
        now_ms: when it was taken, Unix milliseconds.
        workers: newest words, oldest worker first.
        updates_per_s: of all workers together.
        rows: markets on the screen, in order.
        markets_known: in the catalog.
        away: why Redis is not read at the moment; empty if it is.
        notes: newest things that happened, oldest first.
        title: what runs.
    """

    now_ms: int
    workers: Sequence[WorkerWord] = ()
    updates_per_s: float = 0.0
    rows: Sequence[MarketRow] = ()
    markets_known: int = 0
    away: str = ""
    notes: Sequence[str] = ()
    title: str = "bookstream"

    @property
    def is_live(self) -> bool:
        """Whether what is shown is of now: Redis is read and a worker that owns partitions is heard."""
        return not self.away and any(
            word.state == "running" and word.is_heard(self.now_ms) for word in self.workers
        )


class Rate:
    """Updates a second, from counters that workers repeat once a second."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int], tuple[int, int]] = {}
        self._rates: dict[tuple[str, int], float] = {}

    def update(self, words: Iterable[WorkerWord], now_ms: int) -> float:
        """Takes the newest words; gives the sum over the workers that are heard."""
        heard = {(word.worker, word.started_ms): word for word in words if word.is_heard(now_ms)}
        for key, word in heard.items():
            at_ms, count = self._before.get(key, (word.now_ms, word.count("updates")))
            if word.now_ms > at_ms:
                self._rates[key] = 1000 * (word.count("updates") - count) / (word.now_ms - at_ms)
            self._before[key] = (word.now_ms, word.count("updates"))
        self._before = {key: self._before[key] for key in heard}
        self._rates = {key: rate for key, rate in self._rates.items() if key in heard}
        return sum(self._rates.values())


class Activity:
    """Which markets were active last, from the entries that workers count for each."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], Mapping[str, int]] = {}
        self._last_active_ms: dict[str, int] = {}
        self._entries: dict[str, int] = {}
        self._shown: list[str] = []

    def update(self, words: Iterable[WorkerWord]) -> None:
        """Takes the newest words."""
        for word in words:
            key = (word.worker, word.started_ms)
            before = self._counts.get(key, {})
            for condition_id, count in word.entries_by_market.items():
                fresh = count - before.get(condition_id, 0)
                if fresh > 0:
                    self._last_active_ms[condition_id] = word.now_ms
                    self._entries[condition_id] = self._entries.get(condition_id, 0) + fresh
            self._counts[key] = word.entries_by_market
        alive = {(word.worker, word.started_ms) for word in words}
        self._counts = {key: counts for key, counts in self._counts.items() if key in alive}

    def newest(self, count: int) -> list[str]:
        """At most `count` condition ids, most recently active first among equals the busiest.

        Who is on the screen keeps the place while among twice as many: rows should not jump about.
        """
        ranked = sorted(
            self._last_active_ms,
            key=lambda one: (-self._last_active_ms[one], -self._entries[one], one),
        )
        near = set(ranked[: 2 * count])
        kept = [one for one in self._shown if one in near][:count]
        fresh = [one for one in ranked if one not in kept]
        self._shown = kept + fresh[: count - len(kept)]
        return list(self._shown)
