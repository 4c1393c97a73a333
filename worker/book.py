"""One token's book: its levels, its top, its hash (pure).

Levels are kept by price in millionths, each with the venue's own spelling of price and size: the spelling is what
goes into the stream and into the hash. The best price of a side is kept up to date, never searched on reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from marketdata.decimals import MICROS, to_micros, with_leading_zero
from worker.shapes import Change, Level

NO_BID: Final = 0
"""The best bid of a book without bids, in millionths: what the venue writes as "0"."""

NO_ASK: Final = MICROS
"""The best ask of a book without asks, in millionths: what the venue writes as "1"."""


class Top(NamedTuple):
    """Best bid and ask with their sizes, as the venue wrote them; empty strings where a side is empty."""

    bid: str
    bid_size: str
    ask: str
    ask_size: str


EMPTY_TOP: Final = Top("", "", "", "")


class Book:
    """Price levels of one token."""

    __slots__ = ("asks", "best_ask", "best_bid", "bids")

    def __init__(self, bids: Iterable[Level] = (), asks: Iterable[Level] = ()) -> None:
        self.bids: dict[int, tuple[str, str]] = {micros: (price, size) for micros, price, size in bids}
        self.asks: dict[int, tuple[str, str]] = {micros: (price, size) for micros, price, size in asks}
        self.best_bid = max(self.bids, default=NO_BID)
        """Millionths; NO_BID without bids."""
        self.best_ask = min(self.asks, default=NO_ASK)
        """Millionths; NO_ASK without asks."""

    def apply(self, change: Change) -> None:
        """Sets the total size at one price; a size of zero removes the level."""
        price = change.price_micros
        if change.is_bid:
            if change.size_micros:
                self.bids[price] = (change.price, change.size)
                if price > self.best_bid:
                    self.best_bid = price
            elif self.bids.pop(price, None) is not None and price == self.best_bid:
                self.best_bid = max(self.bids, default=NO_BID)
        elif change.size_micros:
            self.asks[price] = (change.price, change.size)
            if price < self.best_ask:
                self.best_ask = price
        elif self.asks.pop(price, None) is not None and price == self.best_ask:
            self.best_ask = min(self.asks, default=NO_ASK)

    def agrees_with(self, best_bid: str, best_ask: str) -> bool:
        """Whether the local best pair is the venue's. "0" or empty: no bids; "1", "0" or empty: no asks."""
        venue_bid = to_micros(best_bid) if best_bid else NO_BID
        venue_ask = to_micros(best_ask) if best_ask else NO_ASK
        return self.best_bid == venue_bid and self.best_ask == (venue_ask or NO_ASK)

    def top(self) -> Top:
        """The top of the book, each number in the venue's spelling with a leading zero added."""
        bid = self.bids.get(self.best_bid)
        ask = self.asks.get(self.best_ask)
        return Top(
            with_leading_zero(bid[0]) if bid else "",
            with_leading_zero(bid[1]) if bid else "",
            with_leading_zero(ask[0]) if ask else "",
            with_leading_zero(ask[1]) if ask else "",
        )

    def in_wire_order(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """(price, size) of the bids and of the asks as the venue sends and hashes them: worst first."""
        return (
            [self.bids[price] for price in sorted(self.bids)],
            [self.asks[price] for price in sorted(self.asks, reverse=True)],
        )

    def same_levels(self, bids: Iterable[Level], asks: Iterable[Level]) -> bool:
        """Whether another book has the same prices and sizes, however they are spelt."""
        return _numbers(self.bids) == {micros: to_micros(size) for micros, _, size in bids} and _numbers(
            self.asks
        ) == {micros: to_micros(size) for micros, _, size in asks}

    def same_as(self, other: Book) -> bool:
        """Whether another book has the same prices and sizes, however they are spelt."""
        return _numbers(self.bids) == _numbers(other.bids) and _numbers(self.asks) == _numbers(other.asks)


def _numbers(side: dict[int, tuple[str, str]]) -> dict[int, int]:
    return {micros: to_micros(size) for micros, (_, size) in side.items()}


def same_top(one: Top, other: Top) -> bool:
    """Whether two tops are the same numbers: "0.60" is "0.6", an empty side is only like an empty side."""
    return one == other or (
        _same(one.bid_size, other.bid_size)
        and _same(one.ask_size, other.ask_size)
        and _same(one.bid, other.bid)
        and _same(one.ask, other.ask)
    )


def _same(a: str, b: str) -> bool:
    return a == b or (a != "" and b != "" and to_micros(a) == to_micros(b))
