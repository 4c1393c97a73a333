"""The books as the frames played so far leave them: `book` replaces, a price change edits. Pure.

All three price change schemas are known: a `price_changes` list (since September 2025), a `changes` list for
one token, and the change at top level (2024). Hash and timestamp are those of the token's last message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from marketdata.decimals import to_micros
from marketdata.errors import VenueFormatError
from marketdata.venue import last_trade_candidates
from simulator.captured.addressing import market_of
from simulator.captured.reader import Message

MIN_ORDER_SIZE: Final = "5"
"""The only value ever seen; a recording does not say it."""

Levels = list[tuple[str, str]]


@dataclass(slots=True)
class MarketState:
    """What both books of a market share.

    Attributes:
        tick_size: empty until known.
        last_trade_price: as the book hash spells it; one value for both tokens.
        version: "v2" for protocol v2, else empty.
        winner: the winning token once the market is resolved; empty before.
    """

    tick_size: str = ""
    neg_risk: bool = False
    last_trade_price: str = ""
    version: str = ""
    winner: str = ""


@dataclass(slots=True)
class TokenBook:
    """One token's book; a side maps a price in millionths to (price, size) as last written.

    `last_trade_price` is the market's at the token's last message, the one its hash covers: an excerpt may hold
    a later fill's book of the other token alone.
    """

    market: str
    timestamp: str = ""
    hash: str = ""
    last_trade_price: str = ""
    bids: dict[int, tuple[str, str]] = field(default_factory=dict)
    asks: dict[int, tuple[str, str]] = field(default_factory=dict)

    def wire_bids(self) -> Levels:
        """Worst first: ascending."""
        return [self.bids[price] for price in sorted(self.bids)]

    def wire_asks(self) -> Levels:
        """Worst first: descending."""
        return [self.asks[price] for price in sorted(self.asks, reverse=True)]


class Books:
    """All books of a feed."""

    def __init__(self) -> None:
        self.tokens: dict[str, TokenBook] = {}
        self.markets: dict[str, MarketState] = {}
        self._touched: list[TokenBook] = []

    def market(self, condition_id: str) -> MarketState:
        """The market's state, made when it is first asked for."""
        return self.markets.setdefault(condition_id, MarketState())

    def apply(self, messages: Sequence[Message], last_trades: Mapping[str, str]) -> None:
        """Takes over one frame.

        Args:
            messages: of the frame.
            last_trades: condition id to the last trade price from this frame on, where hashes show that it is
                in force before the trade is told.

        Raises:
            VenueFormatError: a level that cannot be read.
        """
        for message in messages:
            condition_id = market_of(message)
            if not condition_id:
                continue
            match message.get("event_type"):
                case "book":
                    self._replace(condition_id, message)
                case "price_change":
                    for change in _changes(message):
                        self._edit(message, change)
                case "tick_size_change":
                    self.market(condition_id).tick_size = _text(message, "new_tick_size")
                case "last_trade_price":
                    self._trade(condition_id, message)
                case "market_resolved":
                    self._resolve(condition_id, message)
        for condition_id, price in last_trades.items():
            self.market(condition_id).last_trade_price = price
        for book in self._touched:
            book.last_trade_price = self.market(book.market).last_trade_price
        self._touched.clear()

    def socket_book(self, token_id: str) -> bytes | None:
        """The token's book as the initial dump has it; None without one, or once the market is resolved."""
        book = self.tokens.get(token_id)
        if book is None or self.markets[book.market].winner:
            return None
        market = self.markets[book.market]
        body: dict[str, Any] = _head(token_id, book) | {
            "tick_size": market.tick_size,
            "event_type": "book",
            "last_trade_price": book.last_trade_price,
        }
        if market.version:
            body["version"] = market.version
        return orjson.dumps(body)

    def rest_book(self, token_id: str) -> bytes | None:
        """The token's book as `/book` answers it; None as for `socket_book`."""
        book = self.tokens.get(token_id)
        if book is None or self.markets[book.market].winner:
            return None
        market = self.markets[book.market]
        body: dict[str, Any] = _head(token_id, book) | {
            "min_order_size": MIN_ORDER_SIZE,
            "tick_size": market.tick_size,
            "neg_risk": market.neg_risk,
            "last_trade_price": book.last_trade_price,
        }
        return orjson.dumps(body)

    def _replace(self, condition_id: str, message: Message) -> None:
        market = self.market(condition_id)
        book = TokenBook(condition_id, bids=_levels(message, "bids"), asks=_levels(message, "asks"))
        self.tokens[_text(message, "asset_id")] = book
        self._stamp(book, message, message)
        market.tick_size = str(message.get("tick_size") or market.tick_size)
        market.version = str(message.get("version") or market.version)
        if isinstance(last_trade_price := message.get("last_trade_price"), str):
            market.last_trade_price = last_trade_price

    def _edit(self, message: Message, change: Message) -> None:
        book = self.tokens.get(str(change.get("asset_id") or message.get("asset_id")))
        price, size, side = _text(change, "price"), _text(change, "size"), _text(change, "side")
        if side not in ("BUY", "SELL"):
            raise VenueFormatError(f"side is neither BUY nor SELL: {side[:20]!r}")
        key, is_empty = to_micros(price), to_micros(size) == 0
        if book is None:
            return
        levels = book.bids if side == "BUY" else book.asks
        if is_empty:
            levels.pop(key, None)
        else:
            levels[key] = (price, size)
        self._stamp(book, message, change)

    def _stamp(self, book: TokenBook, message: Message, change: Message) -> None:
        book.timestamp = str(message.get("timestamp", book.timestamp))
        book.hash = str(change.get("hash") or message.get("hash") or "")
        self._touched.append(book)

    def _trade(self, condition_id: str, message: Message) -> None:
        market = self.market(condition_id)
        candidates = last_trade_candidates(_text(message, "price"))
        # The books after the trade came before it and may have shown the mirrored spelling.
        if market.last_trade_price not in candidates:
            market.last_trade_price = candidates[0]

    def _resolve(self, condition_id: str, message: Message) -> None:
        self.market(condition_id).winner = _text(message, "winning_asset_id")


def _changes(message: Message) -> list[Message]:
    for key in ("price_changes", "changes"):
        if key in message:
            changes = message[key]
            if not isinstance(changes, list) or not all(isinstance(change, dict) for change in changes):
                raise VenueFormatError(f"{key} is not a list of changes")
            return changes
    return [message]


def _levels(message: Message, side: str) -> dict[int, tuple[str, str]]:
    rows = message.get(side)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise VenueFormatError(f"{side} is not a list of levels")
    levels = [(_text(row, "price"), _text(row, "size")) for row in rows]
    return {to_micros(price): (price, size) for price, size in levels if to_micros(size)}


def _text(message: Message, key: str) -> str:
    value = message.get(key)
    if not isinstance(value, str):
        raise VenueFormatError(f"{key} is missing or not a string")
    return value


def _head(token_id: str, book: TokenBook) -> dict[str, Any]:
    return {
        "market": book.market,
        "asset_id": token_id,
        "timestamp": book.timestamp,
        "hash": book.hash,
        "bids": [{"price": price, "size": size} for price, size in book.wire_bids()],
        "asks": [{"price": price, "size": size} for price, size in book.wire_asks()],
    }
