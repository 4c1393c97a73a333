"""Hashes of books: which formula, which last trade, and when a mismatch is believed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from marketdata.venue import HashForm, book_hash
from tests.venue_frames import MS, US
from worker.book import Book
from worker.shapes import Level
from worker.verification import (
    OTHERS_KEPT,
    PATIENCE_US,
    UNMATCHED_BOOKS,
    UNSETTLED_US,
    Check,
    HashCheck,
    MarketFacts,
)

TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
BIDS: Sequence[Level] = ((400_000, "0.4", "10"), (480_000, "0.48", "30"))
ASKS: Sequence[Level] = ((600_000, "0.6", "11"), (520_000, "0.52", "25"))
BOOK = Book(BIDS, ASKS)


def facts(last_trade: str = "") -> MarketFacts:
    made = MarketFacts("0xab", min_order_size="5", neg_risk=False, version="")
    made.last_trade_price = last_trade
    return made


def venue_says(last_trade: str = "", form: HashForm = "full", tick_size: str = "0.01") -> str:
    return book_hash(
        market="0xab",
        asset_id=TOKEN,
        timestamp=str(MS),
        bids=[level[1:] for level in BIDS],
        asks=[level[1:] for level in ASKS],
        tick_size=tick_size,
        last_trade_price=last_trade,
        form=form,
    )


def learned(form: HashForm = "full") -> HashCheck:
    check = HashCheck("0.01")
    check.form = form
    return check


@pytest.mark.parametrize("form", ["full", "no-last-trade", "bare"])
def test_the_formula_is_learned_from_a_whole_book(form: HashForm) -> None:
    check, market = HashCheck("0.01"), facts("0.500")
    wanted = venue_says("0.500", form)
    assert check.check(market, TOKEN, BOOK, MS, wanted, US) is Check.UNABLE
    assert check.check_snapshot(market, TOKEN, BOOK, MS, wanted) is Check.MATCH
    assert check.form == form
    assert check.check(market, TOKEN, BOOK, MS, wanted, US) is Check.MATCH
    assert check.check(market, TOKEN, Book(BIDS), MS, wanted, US) is Check.MISMATCH
    assert (check.matches, check.mismatches, check.unable) == (2, 1, 1)


def test_levels_are_hashed_in_the_order_of_the_wire_however_they_came() -> None:
    market, check = facts(), learned()
    shuffled = Book(BIDS[::-1], ASKS[::-1])
    assert check.check(market, TOKEN, shuffled, MS, venue_says(), US) is Check.MATCH


def test_a_whole_book_that_does_not_verify_is_no_reason_to_distrust_it() -> None:
    check = HashCheck("0.01")
    assert check.check_snapshot(facts(), TOKEN, BOOK, MS, "0" * 40) is Check.UNABLE
    assert check.form is None
    assert check.unable == 1


@pytest.mark.parametrize(("venue_ms", "wanted"), [(None, venue_says()), (MS, "")])
def test_without_time_or_hash_nothing_can_be_said(venue_ms: int | None, wanted: str) -> None:
    check = learned()
    assert check.check_snapshot(facts(), TOKEN, BOOK, venue_ms, wanted) is Check.UNABLE
    assert check.check(facts(), TOKEN, BOOK, venue_ms, wanted, US) is Check.UNABLE


def test_a_known_formula_is_not_guessed_again() -> None:
    check = learned("full")
    assert check.check_snapshot(facts(), TOKEN, BOOK, MS, venue_says(form="bare")) is Check.UNABLE
    assert check.form == "full"


@pytest.mark.parametrize("in_force", ["0.400", "0.510", "0.490"])
def test_after_a_trade_its_price_one_minus_it_or_the_old_one_may_be_in_force(in_force: str) -> None:
    check, market = learned(), facts("0.400")
    market.trade_says("0.51")
    assert check.check(market, TOKEN, BOOK, MS, venue_says(in_force), US) is Check.MATCH
    assert market.last_trade_price == in_force


@pytest.mark.parametrize("in_force", ["0.510", "0.490", "0.520", "0.470", "0.400"])
def test_any_trade_of_a_sweep_may_be_the_one_in_force(in_force: str) -> None:
    check, market = learned(), facts("0.400")
    for price in ("0.51", "0.52", "0.53"):
        market.trade_says(price)
    assert check.check(market, TOKEN, BOOK, MS, venue_says(in_force), US) is Check.MATCH


def test_the_other_token_may_still_be_at_the_trade_before() -> None:
    market, one, other = facts("0.400"), learned(), learned()
    market.trade_says("0.51")
    assert one.check(market, TOKEN, BOOK, MS, venue_says("0.510"), US) is Check.MATCH
    assert other.check(market, TOKEN, BOOK, MS, venue_says("0.400"), US) is Check.MATCH
    assert one.check(market, TOKEN, BOOK, MS, venue_says("0.510"), US) is Check.MATCH


def test_only_so_many_trades_are_remembered() -> None:
    market = facts()
    for cents in range(10, 40):
        market.trade_says(f"0.{cents}")
    assert len(market.other_last_trades) == OTHERS_KEPT
    assert market.other_last_trades[:2] == ("0.390", "0.610"), "the newest first"


def test_between_a_fill_and_its_trade_a_mismatch_says_nothing() -> None:
    check, market = learned(), facts("0.400")
    market.book_says(None, US)
    wanted = venue_says("0.510")
    assert check.check(market, TOKEN, BOOK, MS, wanted, US + UNSETTLED_US - 1) is Check.UNABLE
    assert check.check(market, TOKEN, BOOK, MS, wanted, US + UNSETTLED_US) is Check.MISMATCH
    market.book_says(None, US)
    market.trade_says("0.3")
    assert check.check(market, TOKEN, BOOK, MS, wanted, US) is Check.MISMATCH, "the trade is known now"


def test_a_book_that_names_the_last_trade_settles_it() -> None:
    check, market = learned(), facts("0.400")
    market.book_says(None, US)
    market.trade_says("0.3")
    market.book_says("0.200", US)
    assert market.other_last_trades == ()
    assert check.check(market, TOKEN, BOOK, MS, venue_says("0.400"), US) is Check.MISMATCH
    assert check.check(market, TOKEN, BOOK, MS, venue_says("0.200"), US) is Check.MATCH


def test_without_last_trade_in_the_formula_no_trade_is_guessed() -> None:
    check, market = learned("no-last-trade"), facts("0.400")
    market.trade_says("0.51")
    assert check.check(market, TOKEN, BOOK, MS, venue_says(form="no-last-trade"), US) is Check.MATCH
    assert market.last_trade_price == "0.400", "nothing was learned of it"


def test_a_mismatch_is_believed_when_it_lasts() -> None:
    check = learned()
    assert not check.mismatch_lasts(US)
    assert not check.mismatch_lasts(US + PATIENCE_US - 1)
    assert check.mismatch_lasts(US + PATIENCE_US)
    check.forget()
    assert not check.mismatch_lasts(US + 2 * PATIENCE_US)


def test_a_match_between_makes_the_next_mismatch_the_first_again() -> None:
    check, market = learned(), facts()
    assert not check.mismatch_lasts(US)
    assert check.check(market, TOKEN, BOOK, MS, venue_says(), US) is Check.MATCH
    assert not check.mismatch_lasts(US + PATIENCE_US)
    assert check.check_snapshot(market, TOKEN, BOOK, MS, venue_says()) is Check.MATCH
    assert not check.mismatch_lasts(US + 2 * PATIENCE_US)


def test_the_tick_size_takes_part() -> None:
    check = learned()
    assert check.check(facts(), TOKEN, BOOK, MS, venue_says(tick_size="0.001"), US) is Check.MISMATCH
    check.tick_size = "0.001"
    assert check.check(facts(), TOKEN, BOOK, MS, venue_says(tick_size="0.001"), US) is Check.MATCH


@pytest.mark.parametrize("last_trade", ["", "0.001", "0.517", "0.999"])
@pytest.mark.parametrize("version", ["", "v2"])
def test_a_last_trade_that_nobody_told_is_found_before_a_book_is_given_up(
    last_trade: str, version: str
) -> None:
    check, market = learned(), facts("0.300")
    market.version = version
    wanted = book_hash(
        market="0xab",
        asset_id=TOKEN,
        timestamp=str(MS),
        bids=[level[1:] for level in BIDS],
        asks=[level[1:] for level in ASKS],
        last_trade_price=last_trade,
        version=version,
    )
    assert check.check(market, TOKEN, BOOK, MS, wanted, US) is Check.MISMATCH
    assert check.finds_last_trade(market, TOKEN, BOOK, MS, wanted)
    assert check.check(market, TOKEN, BOOK, MS, wanted, US) is Check.MATCH
    assert not check.finds_last_trade(market, TOKEN, Book(BIDS), MS, wanted), (
        "with other levels none is found"
    )


@pytest.mark.parametrize(("form", "venue_ms"), [("bare", MS), ("no-last-trade", MS), ("full", None)])
def test_no_last_trade_is_looked_for_where_none_takes_part(form: HashForm, venue_ms: int | None) -> None:
    assert not learned(form).finds_last_trade(facts(), TOKEN, BOOK, venue_ms, venue_says("0.300", form))


@pytest.mark.parametrize("tick_size", ["0.1", "0.001", "0.0001"])
def test_a_tick_size_that_changed_unsaid_is_learned_from_a_whole_book(tick_size: str) -> None:
    check = learned()
    wanted = venue_says("0.300", tick_size=tick_size)
    for _ in range(UNMATCHED_BOOKS - 1):
        assert check.check_snapshot(facts("0.300"), TOKEN, BOOK, MS, wanted) is Check.UNABLE
    assert check.check_snapshot(facts("0.300"), TOKEN, BOOK, MS, wanted) is Check.MATCH
    assert check.tick_size == tick_size
    assert check.check_snapshot(facts("0.300"), TOKEN, BOOK, MS, "0" * 40) is Check.UNABLE
    assert check.tick_size == tick_size
