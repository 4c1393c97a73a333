"""Frames as the venue sends them, for tests of what reads them; hashes are made here from the documented object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from marketdata.market import Market
from worker.counters import Counters
from worker.feeds import MarketFeed
from worker.notices import Close, Send
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionProtocol
from worker.streams import MarketStream, Update

Row = dict[str, Any]
Levels = Sequence[tuple[str, str]]

MS = 1_790_000_000_000
"""A venue time, Unix milliseconds."""
US = MS * 1000
"""The same in microseconds."""
BIDS: Levels = (("0.4", "10"), ("0.48", "30"))
ASKS: Levels = (("0.6", "11"), ("0.52", "25"))


def frame(*rows: Row, array: bool = False) -> bytes:
    """One frame: an object, or an array of several."""
    return json.dumps(rows if array or len(rows) != 1 else rows[0]).encode()


def sides(bids: Levels, asks: Levels) -> Row:
    """Both sides as the wire has them."""
    return {
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
    }


def wire_hash(
    market: Market, outcome: int, ms: int, bids: Levels, asks: Levels, last_trade: str = "", tick: str = ""
) -> str:
    """The checksum of a book, from the object that the documentation describes."""
    described = {
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "timestamp": str(ms),
        "hash": "",
        **sides(bids, asks),
        "min_order_size": market.min_order_size,
        "tick_size": tick or market.tick_size,
        "neg_risk": market.neg_risk,
        "last_trade_price": last_trade,
    }
    return hashlib.sha1(json.dumps(described, separators=(",", ":")).encode()).hexdigest()


def book(
    market: Market,
    outcome: int,
    bids: Levels = BIDS,
    asks: Levels = ASKS,
    ms: int = MS,
    last_trade: str | None = "",
    **changed: Any,
) -> Row:
    """A `book` message; None in `changed` removes a key."""
    row = {
        "event_type": "book",
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "timestamp": str(ms),
        "hash": wire_hash(market, outcome, ms, bids, asks, last_trade or ""),
        **sides(bids, asks),
        "tick_size": market.tick_size,
        "last_trade_price": last_trade,
    }
    row.update(changed)
    return {key: value for key, value in row.items() if value is not None}


def item(
    market: Market,
    outcome: int,
    side: str,
    price: str,
    size: str,
    best: tuple[str, str] | None = None,
    book_hash: str = "",
) -> Row:
    """One element of `price_changes`."""
    row = {
        "asset_id": market.tokens[outcome],
        "side": side,
        "price": price,
        "size": size,
        "hash": book_hash,
    }
    return row if best is None else {**row, "best_bid": best[0], "best_ask": best[1]}


def price_change(market: Market, *items: Row, ms: int = MS + 1) -> Row:
    """A `price_change` message."""
    return {
        "event_type": "price_change",
        "market": market.condition_id,
        "price_changes": list(items),
        "timestamp": str(ms),
    }


def trade(
    market: Market, outcome: int = 0, price: str = "0.52", side: str = "BUY", ms: int = MS + 5, **changed: Any
) -> Row:
    """A `last_trade_price` message."""
    return {
        "event_type": "last_trade_price",
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "price": price,
        "size": "7",
        "side": side,
        "timestamp": str(ms),
        **changed,
    }


def tick_size_change(market: Market, outcome: int = 0, new: str = "0.001", ms: int = MS + 3) -> Row:
    """A `tick_size_change` message."""
    return {
        "event_type": "tick_size_change",
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "old_tick_size": market.tick_size,
        "new_tick_size": new,
        "timestamp": str(ms),
    }


def resolved(market: Market, winner: int | None = 0, ms: int = MS + 9) -> Row:
    """A `market_resolved` message."""
    row = {"event_type": "market_resolved", "market": market.condition_id, "timestamp": str(ms)}
    return row if winner is None else {**row, "winning_asset_id": market.tokens[winner]}


def feed_of(market: Market) -> MarketFeed:
    """A market as a connection takes it on."""
    key = f"book:{{{market.partition:02d}}}:{market.condition_id}"
    return MarketFeed(market, MarketStream(market.condition_id, key, market.partition))


class Line:
    """A connection's rules with a clock in memory, and what came out of them.

    Attributes:
        now_us: the clock, Unix microseconds; moves only when a test says so.
        said: all updates so far.
    """

    def __init__(
        self, markets: Iterable[Market] = (), policy: ProtocolPolicy | None = None, *, is_open: bool = True
    ) -> None:
        self.counters = Counters()
        self.protocol = ConnectionProtocol("w1", policy or ProtocolPolicy(), self.counters)
        self.now_us = US
        self.said: list[Update] = []
        self.add(*markets)
        if is_open:
            self.open()

    def add(self, *markets: Market) -> None:
        self.protocol.add([feed_of(market) for market in markets], self.now_us)

    def open(self) -> None:
        self.protocol.connecting()
        self.protocol.opened(self.now_us)

    def close(self) -> list[Update]:
        self.protocol.closed(self.now_us)
        return self.take()

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)

    def take(self) -> list[Update]:
        """The updates since the last call."""
        new = list(self.protocol.updates)
        self.protocol.updates.clear()
        self.said += new
        return new

    def hear(self, *rows: Row, array: bool = False) -> list[Update]:
        """One frame arrives; returns what is to be written."""
        return self.hear_bytes(frame(*rows, array=array))

    def hear_bytes(self, data: bytes) -> list[Update]:
        self.protocol.frame(data, self.now_us)
        return self.take()

    def tick(self, after_s: float = 0.0) -> list[Update]:
        """The once-a-second call, `after_s` later."""
        self.wait(after_s)
        self.protocol.tick(self.now_us)
        return self.take()

    def sent(self) -> list[Any]:
        """Texts sent since the last call: PING as it is, JSON parsed."""
        texts = [command.text for command in self.protocol.commands if isinstance(command, Send)]
        self.protocol.commands[:] = [one for one in self.protocol.commands if not isinstance(one, Send)]
        return [text if text == "PING" else json.loads(text) for text in texts]

    def closes(self) -> list[Close]:
        """Close commands since the last call."""
        found = [command for command in self.protocol.commands if isinstance(command, Close)]
        self.protocol.commands[:] = [one for one in self.protocol.commands if not isinstance(one, Close)]
        return found

    def noticed(self, kind: type) -> list[Any]:
        """Notices of this kind since the last call; others are thrown away."""
        found = [one for one in self.protocol.notices if isinstance(one, kind)]
        self.protocol.notices.clear()
        return found
