"""One token's book against dictionaries searched anew each time."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange_model import Side, applied, spelt
from worker.book import EMPTY_TOP, Book, Top, same_top
from worker.shapes import Change

moves = st.lists(
    st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(1, 12), st.integers(0, 3)),
    min_size=1,
    max_size=60,
)


def micros(number: Decimal) -> int:
    return int(number * 1_000_000)


def as_change(side: str, price: Decimal, size: Decimal) -> Change:
    return Change("1", side == "BUY", micros(price), spelt(price), micros(size), spelt(size), "", None, None)


@given(moves)
def test_levels_best_prices_and_top_are_those_of_a_search_through_everything(
    made: list[tuple[str, int, int]],
) -> None:
    book = Book()
    bids: Side = {}
    asks: Side = {}
    for side, cents, units in made:
        price, size = Decimal(cents) / 100, Decimal(units)
        applied(bids, asks, side, price, size)
        book.apply(as_change(side, price, size))
        assert book.best_bid == micros(max(bids, default=Decimal(0)))
        assert book.best_ask == micros(min(asks, default=Decimal(1)))
        expected = [""] * 4
        if bids:
            expected[:2] = spelt(max(bids)), spelt(bids[max(bids)])
        if asks:
            expected[2:] = spelt(min(asks)), spelt(asks[min(asks)])
        assert book.top() == tuple(expected)
    fresh = Book(
        [(micros(price), spelt(price), spelt(size)) for price, size in bids.items()],
        [(micros(price), spelt(price), spelt(size)) for price, size in asks.items()],
    )
    assert (fresh.best_bid, fresh.best_ask, fresh.top()) == (book.best_bid, book.best_ask, book.top())
    assert book.same_levels(
        [(micros(price), "0" + spelt(price), spelt(size) + ".0") for price, size in bids.items()],
        [(micros(price), spelt(price), spelt(size)) for price, size in asks.items()],
    )


def test_an_empty_side_is_an_empty_string_never_a_price() -> None:
    assert Book().top() == EMPTY_TOP
    assert Book([(480_000, ".48", ".5")]).top() == Top("0.48", "0.5", "", "")


@pytest.mark.parametrize(("bid", "ask"), [("0", "1"), ("", ""), ("0", "0"), ("0.0", "1.00")])
def test_the_venues_spellings_of_an_empty_book(bid: str, ask: str) -> None:
    assert Book().agrees_with(bid, ask)
    assert not Book([(480_000, "0.48", "1")]).agrees_with(bid, ask)
    assert not Book(asks=[(520_000, "0.52", "1")]).agrees_with(bid, ask)


def test_prices_agree_as_numbers() -> None:
    book = Book([(480_000, "0.48", "1")], [(520_000, ".52", "1")])
    assert book.agrees_with(".480", "0.5200")
    assert not book.agrees_with("0.48", "0.53")


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ([(480_000, "0.48", "2")], [(520_000, "0.52", "1")]),
        ([(490_000, "0.49", "1")], [(520_000, "0.52", "1")]),
        ([(480_000, "0.48", "1")], []),
        ([(480_000, "0.48", "1")], [(520_000, "0.52", "1"), (530_000, "0.53", "1")]),
    ],
)
def test_other_levels_are_not_the_same(
    bids: list[tuple[int, str, str]], asks: list[tuple[int, str, str]]
) -> None:
    assert not Book([(480_000, "0.48", "1")], [(520_000, "0.52", "1")]).same_levels(bids, asks)


def test_tops_are_the_same_as_numbers_and_an_empty_side_is_like_nothing_else() -> None:
    top = Top("0.6", "1", "0.7", "2")
    assert same_top(top, Top("0.60", "1.0", ".7", "2"))
    assert not same_top(top, Top("0.6", "1", "0.7", "3"))
    assert not same_top(Top("", "", "0.7", "2"), Top("0", "0", "0.7", "2"))
