"""The venue's messages, checked: bytes of one frame in, typed messages out (pure).

Every historic shape of the market channel is read: today's `price_changes`, the `changes` of 2024 and 2025, the
flat one before. What cannot be used becomes a `Malformed` with the market it names, if any: a bad message costs
its own market, never the connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from marketdata.decimals import MICROS, to_micros
from marketdata.errors import VenueFormatError
from marketdata.venue import padded_condition_id
from worker.shapes import (
    BestBidAsk,
    Book,
    Change,
    Level,
    Malformed,
    MarketResolved,
    Message,
    NewMarket,
    PriceChange,
    Text,
    TickSizeChange,
    Trade,
    Unknown,
)


class UnreadableFrameError(VenueFormatError):
    """A frame is not JSON; what it held is unknown."""


def parse_frame(frame: bytes) -> list[Message]:
    """All messages of one frame, in order.

    Raises:
        UnreadableFrameError: neither JSON nor one of the venue's short texts.
    """
    first = frame[:1]
    if first not in (b"{", b"["):
        stripped = frame.strip()
        if stripped[:1] not in (b"{", b"["):
            return [_text(stripped)]
    try:
        parsed = orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        raise UnreadableFrameError(f"not JSON: {error.msg}") from None
    if isinstance(parsed, dict):
        return [_message(parsed)]
    return [
        _message(item)
        if isinstance(item, dict)
        else Malformed("an array holds something else than objects", "")
        for item in parsed
    ]


def _text(stripped: bytes) -> Text:
    if len(stripped) <= 64:
        try:
            text = stripped.decode("ascii")
        except UnicodeDecodeError:
            pass
        else:
            if text and text.isprintable():
                return Text(text)
    raise UnreadableFrameError("neither JSON nor a short text")


def _message(row: dict[str, Any]) -> Message:
    event_type = row.get("event_type")
    try:
        reader = _READERS.get(event_type)  # type: ignore[arg-type]
        if reader is not None:
            return reader(row)
        if event_type is None:
            return _untyped(row)
        return Unknown(event_type[:64] if isinstance(event_type, str) else type(event_type).__name__)
    except VenueFormatError as error:
        return Malformed(str(error), _market_if_any(row))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        name = event_type[:40] if isinstance(event_type, str) else "message"
        return Malformed(f"{name}: {type(error).__name__} {str(error)[:80]}", _market_if_any(row))


def _untyped(row: dict[str, Any]) -> Message:
    """Objects without `event_type`: books by one schema, sport scores, errors."""
    if "bids" in row and "asks" in row and "asset_id" in row:
        return _book(row)
    return Unknown("error" if "error" in row else "untyped")


def _shown(value: Any) -> str:
    """A value for a reason. Lists and objects by their type only: they may be nested too deeply to be spelt."""
    if isinstance(value, str):
        return repr(value[:40])
    return type(value).__name__ if isinstance(value, dict | list) else str(value)


def _market_if_any(row: dict[str, Any]) -> str:
    market = row.get("market")
    return padded_condition_id(market) if isinstance(market, str) and market.startswith("0x") else ""


def _word(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if type(value) is not str or not value:
        raise VenueFormatError(f"{key} is not a string: {_shown(value)}")
    return value


def _market(row: Mapping[str, Any]) -> str:
    return padded_condition_id(_word(row, "market"))


def _token(row: Mapping[str, Any]) -> str:
    token = row["asset_id"]
    if type(token) is not str or not (token.isascii() and token.isdigit()):
        raise VenueFormatError(f"asset_id is not a token id: {_shown(token)}")
    return token


def _venue_ms(row: Mapping[str, Any]) -> int | None:
    value = row.get("timestamp")
    if value is None or value == "":
        return None
    if type(value) is not str or not (value.isascii() and value.isdigit() and len(value) <= 15):
        raise VenueFormatError(f"timestamp is not Unix milliseconds: {_shown(value)}")
    return int(value)


def _price(text: Any) -> int:
    if type(text) is not str:
        raise VenueFormatError(f"a price is not a string: {_shown(text)}")
    micros = to_micros(text)
    if micros > MICROS:
        raise VenueFormatError(f"a price is above 1: {text[:40]!r}")
    return micros


def _size(text: Any) -> int:
    if type(text) is not str:
        raise VenueFormatError(f"a size is not a string: {_shown(text)}")
    return to_micros(text)


def _optional_text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise VenueFormatError(f"{key} is not a string: {_shown(value)}")
    return value


def _side(row: Mapping[str, Any]) -> bool:
    side = row["side"]
    if side == "BUY":
        return True
    if side == "SELL":
        return False
    raise VenueFormatError(f"side is neither BUY nor SELL: {_shown(side)}")


def _list(value: Any, name: str) -> list[Any]:
    if type(value) is not list:
        raise VenueFormatError(f"{name} is not a list: {_shown(value)}")
    return value


def _levels(rows: Any) -> list[Level]:
    levels: list[Level] = []
    for row in _list(rows, "a side of a book"):
        price, size = row["price"], row["size"]
        if _size(size):
            levels.append((_price(price), price, size))
    return levels


def _book(row: dict[str, Any]) -> Book:
    tick_size = _optional_text(row, "tick_size")
    if tick_size:
        to_micros(tick_size)
    last_trade = row.get("last_trade_price")
    if last_trade is not None and type(last_trade) is not str:
        raise VenueFormatError("last_trade_price is not a string")
    return Book(
        _market(row),
        _token(row),
        _venue_ms(row),
        _optional_text(row, "hash"),
        _levels(row["bids"]),
        _levels(row["asks"]),
        tick_size,
        last_trade,
        _optional_text(row, "version"),
    )


def _price_change(row: dict[str, Any]) -> PriceChange:
    market, venue_ms = _market(row), _venue_ms(row)
    items = row.get("price_changes")
    if items is not None:
        return PriceChange(market, venue_ms, list(_today(items)), False)
    return PriceChange(market, venue_ms, list(_legacy(row)), True)


def _today(items: Any) -> Iterator[Change]:
    for item in _list(items, "price_changes"):
        price, size = item["price"], item["size"]
        best_bid, best_ask = item.get("best_bid"), item.get("best_ask")
        if best_bid is None or best_ask is None:
            best_bid = best_ask = None
        else:
            if best_bid != "":
                _price(best_bid)
            if best_ask != "":
                _price(best_ask)
        yield Change(
            _token(item),
            _side(item),
            _price(price),
            price,
            _size(size),
            size,
            _optional_text(item, "hash"),
            best_bid,
            best_ask,
        )


def _legacy(row: dict[str, Any]) -> Iterator[Change]:
    # Their hash was taken at another time than their timestamp, so it can prove nothing and is not kept.
    token = _token(row)
    _optional_text(row, "hash")
    for item in _list(row.get("changes", [row]), "changes"):
        price, size = item["price"], item["size"]
        yield Change(token, _side(item), _price(price), price, _size(size), size, "", None, None)


def _trade(row: dict[str, Any]) -> Trade:
    price, size = row["price"], row["size"]
    _price(price)
    _size(size)
    side = "BUY" if _side(row) else "SELL"
    return Trade(_market(row), _token(row), _venue_ms(row), price, size, side)


def _tick_size_change(row: dict[str, Any]) -> TickSizeChange:
    new = _word(row, "new_tick_size")
    if not 0 < to_micros(new) < MICROS:
        raise VenueFormatError(f"new_tick_size is not a tick size: {new[:40]!r}")
    return TickSizeChange(_market(row), _token(row), _venue_ms(row), new)


def _best_bid_ask(row: dict[str, Any]) -> BestBidAsk:
    return BestBidAsk(_market(row), _token(row))


def _new_market(row: dict[str, Any]) -> NewMarket:
    tokens = row.get("assets_ids") or row.get("clob_token_ids") or []
    if type(tokens) is not list or not all(type(token) is str for token in tokens):
        raise VenueFormatError("assets_ids is not a list of token ids")
    return NewMarket(_market(row), tuple(tokens), row)


def _market_resolved(row: dict[str, Any]) -> MarketResolved:
    return MarketResolved(_market(row), _venue_ms(row), _optional_text(row, "winning_asset_id"))


_READERS: Final[dict[str, Callable[[dict[str, Any]], Message]]] = {
    "book": _book,
    "price_change": _price_change,
    "last_trade_price": _trade,
    "tick_size_change": _tick_size_change,
    "best_bid_ask": _best_bid_ask,
    "new_market": _new_market,
    "market_resolved": _market_resolved,
}
