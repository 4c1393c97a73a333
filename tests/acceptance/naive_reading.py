"""A second reading of recorded traffic: slow, plain, and sharing no code with the worker or the simulator.

It keeps each token's levels in two dicts of Decimals and finds the best price by looking at all of them. For
every token it says what its stream must tell, in order, and what it may tell in between.

One step of the exchange may be several messages of one timestamp and hash. Its last top must be told. A top in
the middle of it may be told if its prices are the best ones that the messages carry, though its sizes are not
final; whether it is told depends on nothing but how soon the prices agree.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple


class Told(NamedTuple):
    """One thing that a token's stream tells; `must` is False for the middle of a step."""

    kind: str
    values: tuple[str, ...]
    must: bool = True


@dataclass
class Token:
    """One token's book and what was told of it."""

    bids: dict[Decimal, tuple[str, str]] = field(default_factory=dict)
    asks: dict[Decimal, tuple[str, str]] = field(default_factory=dict)
    has_book: bool = False
    step: tuple[str, str] | None = None
    told: list[Told] = field(default_factory=list)

    def top(self) -> tuple[str, ...]:
        bid = self.bids[max(self.bids)] if self.bids else ("", "")
        ask = self.asks[min(self.asks)] if self.asks else ("", "")
        return tuple(with_zero(text) for text in (*bid, *ask))

    def end_step(self) -> None:
        if self.step is not None:
            self.step = None
            self.told.append(Told("top", self.top()))

    def agrees(self, best_bid: str, best_ask: str) -> bool:
        here_bid = max(self.bids, default=Decimal(0))
        here_ask = min(self.asks, default=Decimal(1))
        # "0" and "" stand for "no ask" as well as "1" does.
        return here_bid == Decimal(best_bid or "0") and here_ask == (Decimal(best_ask or "1") or Decimal(1))


def read_capture(path: Path) -> dict[tuple[str, str], list[Told]]:
    """What must and may stand in the streams: by condition id and token id, in order.

    Key (condition id, "") holds the resolution of a market.
    """
    tokens: dict[tuple[str, str], Token] = {}
    ended: set[str] = set()
    for message in messages(path):
        market = message.get("market", "")
        if not market or market in ended:
            continue
        match message.get("event_type"):
            case "book":
                _book(tokens.setdefault((market, message["asset_id"]), Token()), message)
            case "price_change":
                for name, changes, step in _changes(message):
                    _change(tokens.setdefault((market, name), Token()), changes, step)
            case "last_trade_price":
                _trade(tokens.setdefault((market, message["asset_id"]), Token()), message)
            case "tick_size_change":
                token = tokens.setdefault((market, message["asset_id"]), Token())
                token.end_step()
                token.told.append(Told("tick", (with_zero(message["new_tick_size"]),)))
            case "market_resolved":
                ended.add(market)
                winner = str(message["assets_ids"].index(message["winning_asset_id"]))
                tokens[market, ""] = Token(told=[Told("resolved", (winner,))])
    for token in tokens.values():
        token.end_step()
    return {key: token.told for key, token in tokens.items() if token.told}


def messages(path: Path) -> Iterator[dict[str, Any]]:
    """The messages that came over the socket, in order, without any wrapper."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    try:
        records = [json.loads(text)]
    except json.JSONDecodeError:
        records = [json.loads(line) for line in text.splitlines() if line.strip()]
    for record in records:
        yield from _unwrapped(record)


def _unwrapped(record: Any) -> Iterator[dict[str, Any]]:
    if isinstance(record, list):
        for one in record:
            yield from _unwrapped(one)
        return
    if record.get("kind") == "rest_book" or record.get("dir", "recv") != "recv":
        return
    for name in ("payloadUtf8", "data", "message"):
        if name in record and "event_type" not in record:
            inner = record[name]
            if isinstance(inner, str):
                if inner[:1] not in ("{", "["):
                    return
                inner = json.loads(inner)
            yield from _unwrapped(inner)
            return
    # Books without a type are answers of the REST service; scores have none either.
    if "event_type" in record:
        yield record


def with_zero(text: str) -> str:
    return "0" + text if text.startswith(".") else text


def _book(token: Token, message: dict[str, Any]) -> None:
    token.end_step()
    for side, levels in ((token.bids, message["bids"]), (token.asks, message["asks"])):
        side.clear()
        for level in levels:
            if Decimal(level["size"]):
                side[Decimal(level["price"])] = (level["price"], level["size"])
    token.has_book = True
    token.told.append(Told("top", token.top()))


def _changes(message: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]], tuple[str, str] | None]]:
    """The changes of each token, and the step they belong to; None: the message is a step of its own."""
    if "price_changes" in message:
        names = dict.fromkeys(change["asset_id"] for change in message["price_changes"])
        for name in names:
            changes = [change for change in message["price_changes"] if change["asset_id"] == name]
            yield name, changes, (message["timestamp"], changes[-1]["hash"])
    else:
        yield message["asset_id"], message.get("changes", [message]), None


def _change(token: Token, changes: list[dict[str, Any]], step: tuple[str, str] | None) -> None:
    if not token.has_book:
        return
    if step is None or step != token.step:
        token.end_step()
    for change in changes:
        side = token.bids if change["side"] == "BUY" else token.asks
        price = Decimal(change["price"])
        side.pop(price, None)
        if Decimal(change["size"]):
            side[price] = (change["price"], change["size"])
    if step is None:
        token.told.append(Told("top", token.top()))
        return
    token.step = step
    if token.agrees(changes[-1]["best_bid"], changes[-1]["best_ask"]):
        token.told.append(Told("top", token.top(), must=False))


def _trade(token: Token, message: dict[str, Any]) -> None:
    token.end_step()
    price, size = with_zero(message["price"]), with_zero(message["size"])
    sell = message["side"] == "SELL"
    token.told.append(Told("trade", (price, size, "", "") if sell else ("", "", price, size)))


def explains(expected: Sequence[Told], found: Sequence[tuple[str, tuple[str, ...]]]) -> str:
    """Empty if the expected list explains what was found; else what is wrong, for people.

    A top that is numerically the one told before it is not told again; what is optional may be missing; nothing
    else may be there.
    """
    reachable = {0}
    shown: dict[int, tuple[str, ...]] = {0: ()}
    reached = 0
    for one in expected:
        following: set[int] = set()
        for place in reachable:
            last = shown[place]
            fresh = one.kind != "top" or not same(last, one.values)
            if not one.must or not fresh:
                following.add(place)
            if fresh and place < len(found) and found[place] == (one.kind, one.values):
                following.add(place + 1)
                shown[place + 1] = one.values if one.kind == "top" else last
        if not following:
            return f"entry {reached}: expected {one}, found {found[reached : reached + 3]}"
        reachable, reached = following, max(following)
    if len(found) in reachable:
        return ""
    return f"entry {reached}: nothing more was expected, found {found[reached : reached + 3]}"


def same(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two tops are the same numbers, or the same empty sides."""
    numbers = [[Decimal(text) if text else None for text in top] for top in (one, other)]
    return bool(one) and numbers[0] == numbers[1]
