"""A plain reading of a venue's frames: Decimals, whole books, every checksum made anew. Shares no code with the
simulator's matching engine nor with the worker's books."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from marketdata.venue import book_hash, last_trade_candidates

Row = dict[str, Any]
Side = dict[Decimal, tuple[str, str]]


@dataclass
class NaiveToken:
    """One token as the frames tell it."""

    market: str
    tick_size: str
    version: str
    neg_risk: bool
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    step: tuple[str, str, str, str] | None = None
    hashed: str = ""

    def top(self) -> tuple[str, str, str, str]:
        bid = self.bids[max(self.bids)] if self.bids else ("", "")
        ask = self.asks[min(self.asks)] if self.asks else ("", "")
        return (*bid, *ask)

    def wire(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        return [self.bids[p] for p in sorted(self.bids)], [
            self.asks[p] for p in sorted(self.asks, reverse=True)
        ]


class NaiveVenue:
    """All tokens, and what was found wrong.

    Attributes:
        kinds: messages by event type.
        ends: by token, (venue_ms, hash, top) of each end of a step.
    """

    def __init__(self, dumps: Iterable[tuple[bytes, bool]]) -> None:
        self.tokens: dict[str, NaiveToken] = {}
        self.kinds: Counter[str] = Counter()
        self.ends: dict[str, list[tuple[int, str, tuple[str, ...]]]] = {}
        self.last_trades: dict[str, dict[str, None]] = {}
        self.newest_ms: dict[str, int] = {}
        self.best_told: dict[str, tuple[str, str]] = {}
        self._doubtful: list[tuple[str, str, str, list[Any], list[Any], str]] = []
        for data, neg_risk in dumps:
            row = json.loads(data)
            token = NaiveToken(row["market"], row["tick_size"], row.get("version", ""), neg_risk)
            self.tokens[row["asset_id"]] = token
            self.last_trades.setdefault(row["market"], {})[row["last_trade_price"]] = None
            self._book(token, row)
            self._end(row["asset_id"], token)

    def read(self, data: bytes) -> Row:
        """Takes one frame."""
        row: Row = json.loads(data)
        kind, market = row["event_type"], row["market"]
        self.kinds[kind] += 1
        if kind in ("new_market", "market_resolved") or market not in self.last_trades:
            return row
        ms = int(row["timestamp"])
        assert ms >= self.newest_ms.get(market, 0), f"time went back in {market}: {row}"
        self.newest_ms[market] = ms
        if kind == "price_change":
            self._change(row)
        elif kind == "last_trade_price":
            for price in last_trade_candidates(row["price"]):
                self.last_trades[market][price] = None
        elif kind == "best_bid_ask":
            self.best_told[row["asset_id"]] = row["best_bid"], row["best_ask"]
            spread = (Decimal(row["best_ask"])) - Decimal(row["best_bid"])
            assert Decimal(row["spread"]) == spread
        else:
            token = self.tokens[row["asset_id"]]
            if token.step is not None and (token.step[0], token.step[1]) != (
                row["timestamp"],
                row.get("hash"),
            ):
                self._end(row["asset_id"], token)
            if kind == "tick_size_change":
                assert token.tick_size == row["old_tick_size"]
                token.tick_size = row["new_tick_size"]
            else:
                assert kind == "book"
                self._book(token, row)
        return row

    def finish(self) -> None:
        """Closes all steps and checks every hash that waited for its trade to be told."""
        for name, token in self.tokens.items():
            if token.step is not None:
                self._end(name, token)
        for name, ms, wanted, bids, asks, tick in self._doubtful:
            token = self.tokens[name]
            spelled = self.last_trades[token.market]
            assert any(_hash(name, token, ms, bids, asks, tick, one) == wanted for one in spelled), (
                f"no last trade explains the hash of {name} at {ms}"
            )

    def _change(self, row: Row) -> None:
        first, second = row["price_changes"]
        assert {first["side"], second["side"]} == {"BUY", "SELL"}
        assert Decimal(first["price"]) + Decimal(second["price"]) == 1
        assert first["size"] == second["size"]
        for change in (first, second):
            name = change["asset_id"]
            token = self.tokens[name]
            assert token.market == row["market"]
            step = (row["timestamp"], change["hash"], change["best_bid"], change["best_ask"])
            if token.step is not None and token.step[:2] != step[:2]:
                self._end(name, token)
            side = token.bids if change["side"] == "BUY" else token.asks
            price = Decimal(change["price"])
            assert price % Decimal(token.tick_size) == 0, "off the grid"
            if change["size"] == "0":
                side.pop(price, None)
            else:
                side[price] = change["price"], change["size"]
            if token.step is not None:
                assert token.step == step, "every message of a step carries its final prices"
            token.step = step

    def _book(self, token: NaiveToken, row: Row) -> None:
        token.bids = {Decimal(one["price"]): (one["price"], one["size"]) for one in row["bids"]}
        token.asks = {Decimal(one["price"]): (one["price"], one["size"]) for one in row["asks"]}
        assert list(token.bids) == sorted(token.bids)
        assert list(token.asks) == sorted(token.asks, reverse=True)
        bid, _, ask, _ = token.top()
        token.step = row["timestamp"], row["hash"], bid or "0", ask or "1"

    def _end(self, name: str, token: NaiveToken) -> None:
        assert token.step is not None
        ms, wanted, best_bid, best_ask = token.step
        token.step = None
        bid, _, ask, _ = token.top()
        assert (bid or "0", ask or "1") == (best_bid, best_ask), f"{name} at {ms}"
        assert not (bid and ask) or Decimal(bid) < Decimal(ask), "crossed at the end of a step"
        ended = self.ends.setdefault(name, [])
        assert (int(ms), wanted) not in [one[:2] for one in ended[-20:]], "two steps look like one"
        ended.append((int(ms), wanted, token.top()))
        bids, asks = token.wire()
        for spelled in (token.hashed, *self.last_trades[token.market]):
            if _hash(name, token, ms, bids, asks, token.tick_size, spelled) == wanted:
                token.hashed = spelled
                return
        # A fill changes the last trade before the trade is told.
        self._doubtful.append((name, ms, wanted, bids, asks, token.tick_size))


def _hash(
    name: str, token: NaiveToken, ms: str, bids: list[Any], asks: list[Any], tick: str, last_trade: str
) -> str:
    return book_hash(
        market=token.market,
        asset_id=name,
        timestamp=ms,
        bids=bids,
        asks=asks,
        tick_size=tick,
        neg_risk=token.neg_risk,
        last_trade_price=last_trade,
        version=token.version,
    )
