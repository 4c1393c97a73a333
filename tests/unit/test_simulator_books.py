"""The books of a recording: what every price change schema leaves, and that their hashes verify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from marketdata.errors import VenueFormatError
from marketdata.venue import HashForm, book_hash
from simulator.captured.books import Books
from simulator.captured.capture import PlayedAnswer, PlayedFrame, load_capture
from simulator.captured.feed import CapturedFeed

CAPTURED = Path(__file__).parents[1] / "data" / "captures" / "ws_captured"

BOOK = {
    "event_type": "book",
    "market": "0xaa",
    "asset_id": "1",
    "timestamp": "1000",
    "hash": "h0",
    "bids": [{"price": "0.50", "size": "5"}, {"price": "0.4", "size": "4"}],
    "asks": [{"price": "0.6", "size": "6"}],
    "tick_size": "0.01",
    "last_trade_price": "0.500",
}


def parsed(body: bytes | None) -> dict[str, Any]:
    assert body is not None
    parsed = orjson.loads(body)
    assert isinstance(parsed, dict)
    return parsed


def pairs(levels: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(level["price"], level["size"]) for level in levels]


def hash_of(dump: dict[str, Any], rest: dict[str, Any], form: HashForm) -> str:
    """The hash of a dumped book, with what REST adds to it."""
    return book_hash(
        market=dump["market"],
        asset_id=dump["asset_id"],
        timestamp=dump["timestamp"],
        bids=pairs(dump["bids"]),
        asks=pairs(dump["asks"]),
        min_order_size=rest["min_order_size"],
        tick_size=dump["tick_size"],
        neg_risk=rest["neg_risk"],
        last_trade_price=dump["last_trade_price"],
        version=dump.get("version", ""),
        form=form,
    )


@pytest.mark.parametrize(
    ("change", "bids", "hash_after"),
    [
        (
            {"price_changes": [{"asset_id": "1", "price": "0.41", "size": "1", "side": "BUY", "hash": "h1"}]},
            [("0.4", "4"), ("0.41", "1"), ("0.50", "5")],
            "h1",
        ),
        (
            {"asset_id": "1", "hash": "h1", "changes": [{"price": "0.5", "size": "0", "side": "BUY"}]},
            [("0.4", "4")],
            "h1",
        ),
        (
            {"asset_id": "1", "hash": "h1", "price": "0.5", "size": "9", "side": "BUY"},
            [("0.4", "4"), ("0.5", "9")],
            "h1",
        ),
        (
            {"price_changes": [{"asset_id": "2", "price": "0.5", "size": "9", "side": "BUY", "hash": "h1"}]},
            [("0.4", "4"), ("0.50", "5")],
            "h0",
        ),
    ],
    ids=["price_changes", "changes", "flat", "other token"],
)
def test_change_edits_the_book(change: dict[str, Any], bids: list[tuple[str, str]], hash_after: str) -> None:
    books = Books()
    books.apply([BOOK], {})
    books.apply([{"event_type": "price_change", "market": "0xaa", "timestamp": "2000", **change}], {})
    book = parsed(books.socket_book("1"))
    assert pairs(book["bids"]) == bids
    assert pairs(book["asks"]) == [("0.6", "6")]
    assert (book["hash"], book["timestamp"]) == (hash_after, "2000" if hash_after == "h1" else "1000")


def test_book_replaces_and_keeps_what_the_short_form_lacks() -> None:
    books = Books()
    books.apply([BOOK], {})
    books.apply([{**BOOK, "bids": [], "tick_size": None, "last_trade_price": None}], {})
    book = parsed(books.socket_book("1"))
    assert (book["bids"], book["tick_size"], book["last_trade_price"]) == ([], "0.01", "0.500")


def test_dump_has_the_keys_of_the_venue() -> None:
    books = Books()
    books.apply([{**BOOK, "version": "v2"}], {})
    assert list(parsed(books.socket_book("1"))) == [
        *("market", "asset_id", "timestamp", "hash", "bids", "asks"),
        *("tick_size", "event_type", "last_trade_price", "version"),
    ]


def test_token_without_a_book_of_its_own_has_none() -> None:
    books = Books()
    books.apply([BOOK], {})
    assert books.socket_book("2") is None
    assert books.rest_book("2") is None


def test_resolved_market_has_no_books() -> None:
    books = Books()
    books.apply([BOOK], {})
    books.apply([{"event_type": "market_resolved", "market": "0xaa", "winning_asset_id": "1"}], {})
    assert books.socket_book("1") is None
    assert books.rest_book("1") is None


def test_trade_keeps_the_mirrored_price_that_the_books_showed() -> None:
    books = Books()
    books.apply([BOOK], {"0xaa": "0.490"})
    books.apply([{"event_type": "last_trade_price", "market": "0xaa", "price": "0.51"}], {})
    assert books.markets["0xaa"].last_trade_price == "0.490"
    books.apply([{"event_type": "last_trade_price", "market": "0xaa", "price": "0.7"}], {})
    assert books.markets["0xaa"].last_trade_price == "0.700"


def test_dump_has_the_last_trade_price_that_its_hash_covers() -> None:
    books = Books()
    books.apply([BOOK], {})
    books.apply([{**BOOK, "asset_id": "2", "last_trade_price": None}], {"0xaa": "0.700"})
    prices = [parsed(books.socket_book(token_id))["last_trade_price"] for token_id in ("1", "2")]
    assert prices == ["0.500", "0.700"]


def test_unreadable_level_is_refused() -> None:
    with pytest.raises(VenueFormatError, match="price"):
        Books().apply([{**BOOK, "bids": [{"price": 0.5, "size": "1"}]}], {})


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("frames_20260930.jsonl", "full"),
        ("ask_cancel_batch_20260911.jsonl", "full"),
        ("book_20260813_ltp_of_complement.json", "full"),
        ("updown_20260508_array_book_then_price_change.jsonl", "full"),
        ("protocol_v2_session_20261005.jsonl", "full"),
        ("oct2025_price_change_with_rest_books.jsonl", "no-last-trade"),
    ],
)
def test_every_book_at_the_close_of_a_step_verifies(name: str, form: HashForm) -> None:
    capture = load_capture(CAPTURED / name)
    books, checked = Books(), 0
    for condition_id, findings in capture.findings.items():
        state = books.market(condition_id)
        state.neg_risk, state.tick_size, state.version = (
            findings.neg_risk,
            findings.tick_size,
            findings.version,
        )
    frames = [step for step in capture.steps if isinstance(step, PlayedFrame)]
    for step, later in zip(frames, [*frames[1:], None], strict=True):
        books.apply(step.messages(), step.last_trades)
        stamps = [str(message["timestamp"]) for message in step.messages()]
        if later is not None and later.messages()[0]["timestamp"] in stamps:
            continue
        for token_id, book in books.tokens.items():
            dump, rest = parsed(books.socket_book(token_id)), parsed(books.rest_book(token_id))
            if book.timestamp in stamps:
                assert hash_of(dump, rest, form) == dump["hash"], (name, book.timestamp)
                checked += 1
    assert checked >= 1


def test_recorded_rest_books_equal_the_books_played() -> None:
    for name in (
        "oct2025_price_change_with_rest_books.jsonl",
        "dec2024_legacy_changes_with_rest_books.jsonl",
    ):
        books, compared = Books(), 0
        for step in load_capture(CAPTURED / name).steps:
            if isinstance(step, PlayedAnswer):
                told, ours = orjson.loads(step.body), parsed(books.rest_book(step.token_id))
                assert [told[key] for key in ("bids", "asks", "hash")] == [
                    ours[key] for key in ("bids", "asks", "hash")
                ]
                compared += 1
            else:
                books.apply(step.messages(), step.last_trades)
        assert compared == 2


def test_neg_risk_and_tick_size_come_from_the_hash(tmp_path: Path) -> None:
    levels = [("0.001", "10"), ("0.5", "20")]
    recorded = {
        "event_type": "book",
        "market": "0x" + "ab" * 32,
        "asset_id": "7" * 77,
        "timestamp": "1790000000000",
        "bids": [{"price": price, "size": size} for price, size in levels],
        "asks": [],
        "last_trade_price": "",
    }
    recorded["hash"] = book_hash(
        market="0x" + "ab" * 32,
        asset_id="7" * 77,
        timestamp="1790000000000",
        bids=levels,
        asks=[],
        tick_size="0.0025",
        neg_risk=True,
    )
    path = tmp_path / "book.json"
    path.write_bytes(orjson.dumps(recorded))
    capture = load_capture(path)
    (findings,) = capture.findings.values()
    assert (findings.neg_risk, findings.tick_size, findings.form) == (True, "0.0025", "full")
    (market,) = CapturedFeed([capture], speed=1, loop=False).events()[0]["markets"]
    assert (market["negRisk"], market["orderPriceMinTickSize"]) == (True, 0.0025)
