"""What the venue sends, in every shape it ever had, and what cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.captured.capture import PlayedFrame, load_capture
from tests.gamma_rows import market
from tests.venue_frames import MS, Row, book, frame, item, price_change, tick_size_change, trade
from worker.messages import UnreadableFrameError, parse_frame
from worker.shapes import (
    BestBidAsk,
    Book,
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

CAPTURES = sorted((Path(__file__).parents[2] / "data" / "captures").rglob("*.json*"))
ONE = market("one")
DEEP = 1015
"""Nested so deeply that orjson still reads it and Python can no longer spell it."""


def one(row: Row) -> Message:
    (message,) = parse_frame(frame(row))
    return message


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_everything_that_was_ever_recorded_is_read(path: Path) -> None:
    capture = load_capture(path)
    for step in capture.steps:
        if isinstance(step, PlayedFrame):
            messages = parse_frame(step.frame.data)
            assert [message for message in messages if isinstance(message, Malformed)] == []
            rows = step.messages()
            if rows:
                assert len(messages) == len(rows)


def test_a_book_in_full_and_in_its_short_form() -> None:
    full = one(book(ONE, 0, (("0.1", "1"), (".48", "30")), (("0.52", "25.5"),), version="v2"))
    assert full == Book(
        ONE.condition_id,
        ONE.tokens[0],
        MS,
        full.hash if isinstance(full, Book) else "",
        [(100_000, "0.1", "1"), (480_000, ".48", "30")],
        [(520_000, "0.52", "25.5")],
        "0.01",
        "",
        "v2",
    )
    short = one(book(ONE, 0, tick_size=None, last_trade=None, timestamp=None, hash=None))
    assert isinstance(short, Book)
    assert (short.tick_size, short.last_trade_price, short.version) == ("", None, "")
    assert (short.venue_ms, short.hash) == (None, "")


def test_a_book_without_event_type_is_a_book_and_its_empty_levels_are_none() -> None:
    read = one(book(ONE, 0, (("0.1", "0"),), (), event_type=None))
    assert isinstance(read, Book)
    assert (read.bids, read.asks) == ([], [])


def test_changes_with_best_prices_without_and_with_half_of_them() -> None:
    row = price_change(
        ONE,
        item(ONE, 0, "BUY", ".48", "0", ("0.4", ""), "h"),
        item(ONE, 1, "SELL", "0.52", "1.5"),
        {**item(ONE, 1, "SELL", "0.52", "1"), "best_bid": "0.4"},
        item(ONE, 1, "SELL", "0.52", "1", ("", "1")),
    )
    read = one(row)
    assert isinstance(read, PriceChange)
    assert not read.legacy
    assert [(change.best_bid, change.best_ask) for change in read.changes] == [
        ("0.4", ""),
        (None, None),
        (None, None),
        ("", "1"),
    ]
    first, second = read.changes[:2]
    assert (first.token, first.is_bid, first.price_micros, first.price) == (
        ONE.tokens[0],
        True,
        480_000,
        ".48",
    )
    assert (first.size_micros, first.size, first.hash) == (0, "0", "h")
    assert (second.is_bid, second.size_micros) == (False, 1_500_000)


@pytest.mark.parametrize("flat", [True, False])
def test_changes_of_2024(flat: bool) -> None:
    edit = {"price": "0.5", "side": "BUY", "size": "7"}
    head = {
        "event_type": "price_change",
        "market": ONE.condition_id,
        "asset_id": "5",
        "hash": "h",
        "timestamp": "1",
    }
    read = one({**head, **edit} if flat else {**head, "changes": [edit, edit]})
    assert isinstance(read, PriceChange)
    assert read.legacy
    assert len(read.changes) == (1 if flat else 2)
    assert all(change.hash == "" and change.best_bid is None for change in read.changes)


def test_the_other_events() -> None:
    assert one(trade(ONE, 1, ".5", "SELL")) == Trade(
        ONE.condition_id, ONE.tokens[1], MS + 5, ".5", "7", "SELL"
    )
    assert one(tick_size_change(ONE)) == TickSizeChange(ONE.condition_id, ONE.tokens[0], MS + 3, "0.001")
    row = {"market": ONE.condition_id, "asset_id": "5"}
    assert one({"event_type": "best_bid_ask", **row}) == BestBidAsk(ONE.condition_id, "5")
    announced = {"event_type": "new_market", "market": "0xAB", "clob_token_ids": ["1", "2"]}
    assert one(announced) == NewMarket("0xab", ("1", "2"), announced)
    assert one({"event_type": "market_resolved", "market": "0xab"}) == MarketResolved("0xab", None, "")


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({}, "untyped"),
        ({"error": "no"}, "error"),
        ({"bids": [], "asks": []}, "untyped"),
        ({"event_type": "x" * 99}, "x" * 64),
        ({"event_type": 1.5}, "float"),
        ({"event_type": True}, "bool"),
    ],
)
def test_what_has_no_known_type_is_unknown(row: Row, name: str) -> None:
    assert one(row) == Unknown(name)


@pytest.mark.parametrize("text", ["PONG", "PONG\n", " INVALID OPERATION ", "NO NEW ASSETS", "7", "null"])
def test_short_texts(text: str) -> None:
    assert parse_frame(text.encode()) == [Text(text.strip())]


def test_known_texts_are_known() -> None:
    assert Text("PONG").known
    assert not Text("HELLO").known


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" \n",
        b"\xff",
        b"x" * 65,
        b"a\x00b",
        b"{",
        b'[{"event_type":"book"}',
        b'{"event_type":"\\ud800"}',
        b'{"a":NaN}',
        b"[" * 2000 + b"]" * 2000,
        "\ufeff{}".encode(),
    ],
)
def test_what_is_neither_json_nor_a_short_text_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableFrameError):
        parse_frame(data)


def test_white_space_around_json_is_nothing() -> None:
    assert parse_frame(b' \n[{"error":""}]\n') == [Unknown("error")]
    assert parse_frame(b" []") == []


def test_an_array_of_something_else_is_malformed_element_by_element() -> None:
    assert parse_frame(b'[7, {"error": ""}]') == [
        Malformed("an array holds something else than objects", ""),
        Unknown("error"),
    ]


BOOK = book(ONE, 0)
CHANGE = price_change(ONE, item(ONE, 0, "BUY", "0.5", "1", ("0.5", "0.52"), "h"))
WRONG_VALUES: list[tuple[str, Row, dict[str, list[Any]]]] = [
    ("book", BOOK, {"asset_id": [None, 5, "", "5a", "٥"], "timestamp": [5, "1.5", "-1", "9" * 16]}),
    ("book", BOOK, {"bids": [None, {}, "", [[]], [1], ["x"], [{}], [{"price": "2", "size": "1"}]]}),
    ("book", BOOK, {"asks": [[{"price": "0.5", "size": 1}], [{"price": "-1", "size": "1"}]]}),
    ("book", BOOK, {"hash": [5], "tick_size": [5, "x"], "last_trade_price": [0.5], "version": [2]}),
    ("change", CHANGE, {"price_changes": [{}, "", 5, [None], ["x"], [[]], [{}]]}),
    ("legacy", {**CHANGE, "price_changes": None, "asset_id": "5"}, {"changes": [None, {}, "", [1]]}),
    (
        "trade",
        trade(ONE),
        {"price": [None, 1, "", ".", "1e3", "1.1"], "size": [None, "x"], "side": ["buy"]},
    ),
    ("tick", tick_size_change(ONE), {"new_tick_size": [None, "", "0", "1", "x"]}),
    ("best", {"event_type": "best_bid_ask", "market": ONE.condition_id}, {"asset_id": [None]}),
    (
        "new",
        {"event_type": "new_market", "market": ONE.condition_id},
        {"assets_ids": ["1", [1], {"a": 1}]},
    ),
    ("end", {"event_type": "market_resolved", "market": ONE.condition_id}, {"winning_asset_id": [1]}),
    ("type", BOOK, {"event_type": [[], {}]}),
]
WRONG = [
    (name, row, key, value)
    for name, row, wrong in WRONG_VALUES
    for key, values in wrong.items()
    for value in values
]


@pytest.mark.parametrize(("name", "row", "key", "value"), WRONG)
def test_what_cannot_be_used_is_malformed_and_names_its_market(
    name: str, row: Row, key: str, value: Any
) -> None:
    read = one({**row, key: value})
    assert isinstance(read, Malformed)
    assert read.market == ONE.condition_id
    assert read.reason
    assert len(read.reason) < 200


@pytest.mark.parametrize("key", ["market", "asset_id", "bids", "asks"])
def test_a_missing_key_is_malformed(key: str) -> None:
    read = one({name: value for name, value in BOOK.items() if name != key})
    assert isinstance(read, Malformed)
    assert (read.market == "") is (key == "market")


@pytest.mark.parametrize("best", [5, "x", "1.01", [], -1])
def test_best_prices_that_are_none_are_malformed(best: Any) -> None:
    for key in ("best_bid", "best_ask"):
        element = {**item(ONE, 0, "BUY", "0.5", "1", ("0.5", "0.52")), key: best}
        assert isinstance(one(price_change(ONE, element)), Malformed)


@pytest.mark.parametrize("market_id", [5, "", "abc", None, ["0x"]])
def test_a_market_that_cannot_be_read_is_not_named(market_id: Any) -> None:
    read = one({**BOOK, "market": market_id, "bids": None})
    assert isinstance(read, Malformed)
    assert read.market == ""


@pytest.mark.parametrize(
    "key", ["event_type", "market", "asset_id", "timestamp", "bids", "asks", "hash", "tick_size", "version"]
)
def test_nesting_too_deep_to_be_spelt_is_malformed_too(key: str) -> None:
    """Python gives up spelling such a list with an error of its own."""
    text = orjson.dumps({**BOOK, key: "@"}).replace(b'"@"', b"[" * DEEP + b"]" * DEEP)
    with pytest.raises(RecursionError):
        str(orjson.loads(text)[key])
    (read,) = parse_frame(text)
    assert isinstance(read, Malformed)


def test_a_key_twice_counts_as_its_last() -> None:
    text = frame(BOOK)[:-1] + b',"asset_id":"7"}'
    (read,) = parse_frame(text)
    assert isinstance(read, Book)
    assert read.token == "7"
