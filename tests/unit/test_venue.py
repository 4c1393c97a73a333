"""The venue's checksum on everything that was recorded, and its spellings of numbers and ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import decimals
from marketdata.decimals import from_micros, to_micros, with_leading_zero
from marketdata.errors import DecimalError
from marketdata.venue import (
    HASH_FORMS,
    HashForm,
    book_hash,
    is_no_ask,
    is_no_bid,
    last_trade_candidates,
    last_trade_spelling,
    padded_condition_id,
)
from simulator.captured.capture import PlayedAnswer, PlayedFrame, load_capture
from tests.gamma_rows import market, token
from tests.venue_frames import Line
from worker.policy import ProtocolPolicy

DATA = Path(__file__).parents[1] / "data"
CAPTURED = DATA / "captures" / "ws_captured"
VECTORS = json.loads((DATA / "hash_vectors.json").read_bytes())
Row = dict[str, Any]

HASH_CHECKED: dict[str, tuple[HashForm, int]] = {
    "ask_cancel_batch_20260911.jsonl": ("full", 2),
    "book_20260813_ltp_of_complement.json": ("full", 1),
    "dec2024_legacy_changes_with_rest_books.jsonl": ("bare", 3),
    "frames_20260930.jsonl": ("full", 5),
    "oct2025_price_change_with_rest_books.jsonl": ("no-last-trade", 3),
    "protocol_v2_session_20261005.jsonl": ("full", 1),
    "updown_20260508_array_book_then_price_change.jsonl": ("full", 1),
}
"""Formula, and how many books the file holds, REST answers included."""

UNSAID = {"ask_cancel_batch_20260911.jsonl": ("0.001", "0.368")}
"""Tick size and last trade of a file that begins after both were said; found by trying."""


def levels(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["price"], row["size"]) for row in rows]


def form_of(described: Row) -> HashForm:
    if "min_order_size" not in described:
        return "bare"
    return "full" if "last_trade_price" in described else "no-last-trade"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_vectors(vector: Row) -> None:
    described = dict(vector["preimage_object"])
    form = form_of(described)
    described.pop("hash")
    bids, asks = levels(described.pop("bids")), levels(described.pop("asks"))
    assert book_hash(bids=bids, asks=asks, form=form, **described) == vector["sha1"]
    for other in HASH_FORMS:
        if other != form:
            assert book_hash(bids=bids, asks=asks, form=other, **described) != vector["sha1"]


def test_there_are_vectors_of_every_formula() -> None:
    assert {form_of(vector["preimage_object"]) for vector in VECTORS} == set(HASH_FORMS)
    assert len(VECTORS) == 8


def messages(name: str) -> Iterator[Row]:
    """What the file holds, REST answers as books among the messages."""
    for step in load_capture(CAPTURED / name).steps:
        if isinstance(step, PlayedFrame):
            yield from step.messages()
        else:
            assert isinstance(step, PlayedAnswer)
            yield {**json.loads(step.body), "event_type": "book"}


@pytest.mark.parametrize("name", HASH_CHECKED)
def test_every_recorded_book_verifies(name: str) -> None:
    form, count = HASH_CHECKED[name]
    rows = list(messages(name))
    books = [row for row in rows if row.get("event_type", "book") == "book"]
    assert len(books) == count
    # A short book carries no last trade; the report comes after it.
    trades = [row["price"] for row in rows if row.get("event_type") == "last_trade_price"]
    reported = {spelt for price in trades for spelt in last_trade_candidates(price)}
    for row in books:
        known = row.get("last_trade_price")
        computed = {
            book_hash(
                market=row["market"],
                asset_id=row["asset_id"],
                timestamp=row["timestamp"],
                bids=levels(row["bids"]),
                asks=levels(row["asks"]),
                tick_size=row.get("tick_size") or tick_size_of(name),
                last_trade_price=last_trade,
                version=row.get("version", ""),
                form=form,
            )
            for last_trade in (
                [known]
                if known is not None
                else ["", *reported, *opening_trades(books), *UNSAID.get(name, ())]
            )
        }
        assert row["hash"] in computed


def tick_size_of(name: str) -> str:
    said = next((row["tick_size"] for row in messages(name) if row.get("tick_size")), "0.01")
    return UNSAID[name][0] if name in UNSAID else said


def opening_trades(books: list[Row]) -> set[str]:
    return {row["last_trade_price"] for row in books if row.get("last_trade_price") is not None}


@pytest.mark.parametrize(
    ("name", "proven"),
    [
        ("ask_cancel_batch_20260911.jsonl", 4),
        ("frames_20260930.jsonl", 26),
        ("oct2025_price_change_with_rest_books.jsonl", 2),
        ("updown_20260508_array_book_then_price_change.jsonl", 1),
    ],
)
def test_every_recorded_step_verifies_when_it_is_over(name: str, proven: int) -> None:
    """`proven`: how many ends of steps the file holds, by token, before the first book that replaces all."""
    capture = load_capture(CAPTURED / name)
    ((condition_id, pair),) = capture.pairs.items()
    ids = [*pair, *(token(str(n)) for n in range(2 - len(pair)))]
    tick_size, last_trade = UNSAID.get(name, ("0.01", ""))
    one = market(
        "one",
        conditionId=condition_id,
        clobTokenIds=json.dumps(ids),
        orderPriceMinTickSize=float(tick_size),
    )
    line = Line([one], ProtocolPolicy(check_every_step=True))
    books = line.protocol.books
    books.markets[condition_id].facts.last_trade_price = last_trade
    snapshots = 0
    for step in capture.steps:
        if not isinstance(step, PlayedFrame):
            continue
        rows = step.messages()
        if rows and rows[0].get("event_type") in ("book", None):
            # The rest of the open steps, before a book makes their checks needless.
            line.wait(0.01)
            books.verify([feed for feed in books.tokens.values() if feed.check_due], line.now_us)
            snapshots += len(rows)
        line.hear_bytes(step.frame.data)
    line.wait(0.01)
    books.verify([feed for feed in books.tokens.values() if feed.check_due], line.now_us)
    assert line.counters.hash_mismatches == 0
    assert line.counters.hash_matches + line.counters.hash_unable == proven + snapshots
    assert line.counters.hash_unable <= 3, "short books whose trade is reported after them"
    assert [update for update in line.said if update.kind == "gap"] == []


# -- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0", 0),
        ("1", 1_000_000),
        (".48", 480_000),
        ("0.50", 500_000),
        ("5.", 5_000_000),
        ("967.641508", 967_641_508),
        ("0.000001", 1),
        ("0.0000010000", 1),
        ("007", 7_000_000),
        ("999999999999999", 999_999_999_999_999_000_000),
    ],
)
def test_numbers_are_read_exactly(text: str, micros: int) -> None:
    assert to_micros(text) == micros
    assert to_micros(text) == micros, "and again, from what is remembered"


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", " 1", "1 ", "1\n", "+1", "-1", "1e3", "1,5", "0x1", "NaN", "inf", "1_0", "٣", "½"),
        *("0.0000001", "1" * 16, "0." + "0" * 13, "1.2.3", "\ud800"),
    ],
)
def test_what_is_no_number_is_said_to_be_none(text: str) -> None:
    with pytest.raises(DecimalError):
        to_micros(text)


@given(st.integers(0, 10**18))
def test_a_number_survives_its_shortest_spelling(micros: int) -> None:
    text = from_micros(micros)
    assert to_micros(text) == micros
    assert Decimal(text) * 1_000_000 == micros
    assert text == (f"{Decimal(text):f}".rstrip("0").rstrip(".") if "." in text else text)
    assert from_micros(-micros) == (f"-{text}" if micros else "0")


def test_what_is_remembered_of_numbers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decimals, "_CACHE_LIMIT", 100)
    monkeypatch.setattr(decimals, "_cache", {})
    for number in range(1000):
        assert to_micros(str(number)) == number * 1_000_000
        assert len(decimals._cache) <= 100


def test_only_a_bare_point_gets_a_zero() -> None:
    assert [with_leading_zero(text) for text in (".48", "0.48", "1", "", "10.5")] == [
        *("0.48", "0.48", "1", "", "10.5")
    ]


# -- the venue's own spellings ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("micros", "text"),
    [(490_000, "0.490"), (500_000, "0.500"), (1, "0.000001"), (1_000_000, "1.000"), (0, "0.000")],
)
def test_a_last_trade_has_three_decimals_or_more(micros: int, text: str) -> None:
    assert last_trade_spelling(micros) == text


def test_a_last_trade_may_be_told_by_the_other_token() -> None:
    assert last_trade_candidates(".51") == ("0.510", "0.490")
    assert last_trade_candidates("0.9995") == ("0.9995", "0.0005")


@pytest.mark.parametrize("text", ["", "0", "0.0"])
def test_no_bids(text: str) -> None:
    assert is_no_bid(text)
    assert not is_no_bid("0.01")


@pytest.mark.parametrize("text", ["", "0", "1", "1.00"])
def test_no_asks(text: str) -> None:
    assert is_no_ask(text)
    assert not is_no_ask("0.99")


def test_condition_ids_are_spelt_alike() -> None:
    short = "0x" + "aB" * 31
    assert padded_condition_id(short) == "0x" + "ab" * 31 + "00"
    assert padded_condition_id("0x" + "ab" * 32) == "0x" + "ab" * 32
    assert padded_condition_id("AB" * 31) == "0x" + "ab" * 31 + "00"
    assert padded_condition_id("0xabc") == "0xabc"
