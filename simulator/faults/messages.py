"""Edits of the venue's messages. Pure: a frame's bytes in, bytes out; untouched bytes stay as they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from marketdata.decimals import MICROS, from_micros, to_micros
from marketdata.errors import DecimalError
from marketdata.venue import is_no_ask, is_no_bid

Message = dict[str, Any]
Edit = Callable[[Message], Message | None]
"""The message itself where nothing is to be changed, another one, or None: it is left out."""


def edited(data: bytes, edit: Edit) -> bytes | None:
    """A frame with each of its messages edited; None: nothing of it is left. What is no JSON is left alone."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return data
    rows = found if isinstance(found, list) else [found]
    if not all(isinstance(row, dict) for row in rows):
        return data
    after = [edit(row) for row in rows]
    if all(new is old for new, old in zip(after, rows, strict=True)):
        return data
    left = [row for row in after if row is not None]
    if not left:
        return None
    return orjson.dumps(left if isinstance(found, list) else left[0])


def messages(data: bytes) -> Iterator[Message]:
    """The messages of a frame; none where it cannot be read."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    for row in found if isinstance(found, list) else [found]:
        if isinstance(row, dict):
            yield row


def entries_of(message: Message) -> list[Message]:
    """The entries of a price_change; none where it is none, or is not as the venue writes it."""
    found = message.get("price_changes")
    if not isinstance(found, list):
        return []
    whole = all(isinstance(entry, dict) and isinstance(entry.get("asset_id"), str) for entry in found)
    return found if whole else []


def without(message: Message, is_gone: Callable[[str], bool]) -> Message | None:
    """A message without what it says of some tokens; what names no single token stays."""
    token = message.get("asset_id")
    if isinstance(token, str):
        return None if is_gone(token) else message
    changes = entries_of(message)
    left = [change for change in changes if not is_gone(str(change["asset_id"]))]
    if len(left) == len(changes):
        return message
    return {**message, "price_changes": left} if left else None


def each_token(message: Message, change: Callable[[str, Message], Message]) -> Message:
    """A message with `change` made to whatever holds a token's hash: itself, or its price changes."""
    if entries := entries_of(message):
        after = [change(str(entry["asset_id"]), entry) for entry in entries]
        same = all(new is old for new, old in zip(after, entries, strict=True))
        return message if same else {**message, "price_changes": after}
    token = message.get("asset_id")
    return change(token, message) if isinstance(token, str) else message


def unit_micros(price: str) -> int:
    """One in the last place of a price, a hundredth at most, in millionths: 10000 for "0.5", 1000 for "0.031"."""
    places = len(price.partition(".")[2])
    return int(MICROS // 10 ** min(6, max(2, places)))


def shifted_best(entry: Message) -> Message:
    """A price change whose best bid is one off, or its best ask where there is no bid to shift."""
    bid, ask = _best(entry)
    if not is_no_bid(bid) and to_micros(bid) > unit_micros(bid):
        return {**entry, "best_bid": from_micros(to_micros(bid) - unit_micros(bid))}
    if not is_no_ask(ask) and to_micros(ask) + unit_micros(ask) < MICROS:
        return {**entry, "best_ask": from_micros(to_micros(ask) + unit_micros(ask))}
    return entry


def mirrored(price: str) -> str:
    """The other token's price."""
    return from_micros(MICROS - to_micros(price))


def crossing(entry: Message) -> tuple[str, str] | None:
    """Side and price of a level that crosses the book behind a price change; None where none can.

    On the far side of the other side's best there is no level of this side, so nothing real is overwritten.
    """
    bid, ask = _best(entry)
    if not is_no_ask(ask) and to_micros(ask) + unit_micros(ask) < MICROS:
        return "BUY", from_micros(to_micros(ask) + unit_micros(ask))
    if not is_no_bid(bid) and to_micros(bid) > unit_micros(bid):
        return "SELL", from_micros(to_micros(bid) - unit_micros(bid))
    return None


def _best(entry: Message) -> tuple[str, str]:
    """Best bid and ask; none where they cannot be read: a recording holds what it holds."""
    bid, ask = str(entry.get("best_bid", "")), str(entry.get("best_ask", ""))
    try:
        to_micros(bid or "0"), to_micros(ask or "0")
    except DecimalError:
        return "", ""
    return bid, ask
