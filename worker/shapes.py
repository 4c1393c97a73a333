"""The venue's messages as the worker knows them (pure data)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

KNOWN_TEXTS: Final = frozenset({"PONG", "PING", "INVALID OPERATION", "NO NEW ASSETS"})

Level = tuple[int, str, str]
"""A price level: price in millionths, price and size as the venue spelt them."""


class Text(NamedTuple):
    """A text that is not JSON: PONG and the venue's short complaints."""

    text: str

    @property
    def known(self) -> bool:
        return self.text in KNOWN_TEXTS


class Malformed(NamedTuple):
    """Something that cannot be used. `market` is the condition id if one could be read, else empty."""

    reason: str
    market: str


class Book(NamedTuple):
    """A whole book of one token. It replaces all that was known."""

    market: str
    token: str
    venue_ms: int | None
    hash: str
    bids: list[Level]
    asks: list[Level]
    tick_size: str
    last_trade_price: str | None
    version: str


class Change(NamedTuple):
    """The new total size at one price of one token. Size "0" removes the level. `hash` is empty if there is none."""

    token: str
    is_bid: bool
    price_micros: int
    price: str
    size_micros: int
    size: str
    hash: str
    best_bid: str | None
    best_ask: str | None


class PriceChange(NamedTuple):
    """Changes of one market. Without best prices (`best_*` None) each message is a step of its own."""

    market: str
    venue_ms: int | None
    changes: list[Change]
    legacy: bool


class Trade(NamedTuple):
    """A trade. `side` is the taker's."""

    market: str
    token: str
    venue_ms: int | None
    price: str
    size: str
    side: str


class TickSizeChange(NamedTuple):
    """A new price grid for one token."""

    market: str
    token: str
    venue_ms: int | None
    new_tick_size: str


class BestBidAsk(NamedTuple):
    """The venue's own best prices; may run ahead of the levels, so it is counted and not used."""

    market: str
    token: str


class NewMarket(NamedTuple):
    """A market was listed somewhere on the exchange. `row` is the message."""

    market: str
    tokens: tuple[str, ...]
    row: Mapping[str, Any]


class MarketResolved(NamedTuple):
    """A market ended; `winning_token` is empty where the message names none."""

    market: str
    venue_ms: int | None
    winning_token: str


class Unknown(NamedTuple):
    """An object of no known type: counted, never fatal."""

    event_type: str


Message = (
    Text
    | Malformed
    | Book
    | PriceChange
    | Trade
    | TickSizeChange
    | BestBidAsk
    | NewMarket
    | MarketResolved
    | Unknown
)
