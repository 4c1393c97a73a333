"""What the entries of one market's stream come to, for the screen (pure)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from marketdata.decimals import from_micros, to_micros
from marketdata.entries import Entry, EntryId
from marketdata.errors import DecimalError

KEPT: Final = 2_000
"""Entries of an opened market that its page remembers."""


@dataclass(slots=True)
class Side:
    """One side of a token's top, and how it moved last.

    Attributes:
        price, size: as the venue wrote them; empty: the side is.
        moved: 1 up, -1 down, 0: only the size.
        moved_ms: when, by the reader's clock; 0: never since it was first seen.
    """

    price: str = ""
    size: str = ""
    moved: int = 0
    moved_ms: int = 0

    def set(self, price: str, size: str, seen_ms: int) -> None:
        """Takes a newer price and size; `seen_ms` is 0 where the change is not news."""
        if price != self.price:
            self.moved = _compared(price, self.price)
            self.moved_ms = seen_ms
        elif size != self.size:
            self.moved, self.moved_ms = 0, seen_ms
        self.price, self.size = price, size


@dataclass(slots=True)
class Quote:
    """One token's top of book as its entries tell it.

    Attributes:
        bid, ask: the two sides.
        known: whether any top was seen.
        last_trade: price of the newest trade; empty before the first.
        taker_sold: whether its taker sold.
        recv_us: when the newest entry was received, Unix microseconds of the worker's clock.
        gap: cause of the gap that no top has ended yet; empty outside one.
        resolved: 0, 1 or split once the market is over.
        seq, gen: of the newest entry.
    """

    bid: Side = field(default_factory=Side)
    ask: Side = field(default_factory=Side)
    known: bool = False
    last_trade: str = ""
    taker_sold: bool = False
    recv_us: int = 0
    gap: str = ""
    resolved: str = ""
    seq: int = 0
    gen: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether older entries could not change what is shown of the top."""
        return self.known or bool(self.gap) or bool(self.resolved)

    @property
    def is_trusted(self) -> bool:
        """Whether the top stands: outside a gap, and the market is not over."""
        return self.known and not self.gap and not self.resolved

    @property
    def spread(self) -> str:
        """Ask less bid in decimal spelling; empty where a side is empty or not known."""
        if not (self.known and self.bid.price and self.ask.price):
            return ""
        try:
            return from_micros(to_micros(self.ask.price) - to_micros(self.bid.price))
        except DecimalError:
            return "?"

    def apply(self, entry: Entry, seen_ms: int) -> None:
        """Takes the next entry of its token or of the whole market."""
        self.recv_us, self.gen, self.seq = entry.recv_us, entry.gen, max(entry.seq, self.seq)
        if entry.kind == "top":
            news_ms = seen_ms if self.known else 0
            self.bid.set(entry.bid, entry.bid_size, news_ms)
            self.ask.set(entry.ask, entry.ask_size, news_ms)
            self.known, self.gap = True, ""
        elif entry.kind == "trade":
            self.last_trade, self.taker_sold = entry.bid or entry.ask, bool(entry.bid)
        elif entry.kind == "gap":
            self.gap = entry.gap_cause
        elif entry.kind == "resolved":
            self.resolved = entry.note


@dataclass(slots=True)
class Seen:
    """An entry and its id."""

    id: EntryId
    entry: Entry


@dataclass(slots=True)
class MarketView:
    """One market on the screen.

    Attributes:
        quotes: of both outcomes.
        entries: the newest ones, oldest first; kept for an opened market alone.
    """

    quotes: tuple[Quote, Quote] = field(default_factory=lambda: (Quote(), Quote()))
    entries: deque[Seen] = field(default_factory=lambda: deque(maxlen=KEPT))

    def apply(self, seen: Seen, seen_ms: int, *, keep: bool) -> None:
        """Takes the next entry of its stream.

        Args:
            seen: the entry.
            seen_ms: now, for the mark of a change; 0 for what happened before anyone looked.
            keep: whether the market is opened.
        """
        for outcome, quote in enumerate(self.quotes):
            if seen.entry.outcome in (None, outcome):
                quote.apply(seen.entry, seen_ms)
        if keep:
            self.entries.append(seen)


def _compared(new: str, old: str) -> int:
    if not (new and old):
        return 0
    try:
        difference = to_micros(new) - to_micros(old)
    except DecimalError:
        return 0
    return (difference > 0) - (difference < 0)
