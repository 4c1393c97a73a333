"""A market is switched when both connections tell the same of it: then nothing is missing and nothing comes twice."""

from __future__ import annotations

import pytest

from tests.gamma_rows import market
from tests.unit.worker.two_lines import PATIENCE_S, TwoLines
from tests.venue_frames import (
    ASKS,
    BIDS,
    MS,
    Row,
    book,
    item,
    price_change,
    resolved,
    tick_size_change,
    trade,
    wire_hash,
)
from worker.switching import LONG_OVERLAP_US, OVERLAP_US, SETTLED_MS, TAPE_KEPT, Decision, Switch

ONE = market("one")
WAIT, SWITCH, ABANDON = Decision.WAIT, Decision.SWITCH, Decision.ABANDON
OVERLAP_S = OVERLAP_US / 1e6
LONG_OVERLAP_S = LONG_OVERLAP_US / 1e6
LATE_MS = MS + SETTLED_MS + 500
"""A venue time after everything that may have been under way when the second connection began."""


def books(ms: int = MS) -> tuple[Row, Row]:
    return book(ONE, 0, ms=ms), book(ONE, 1, ms=ms)


def both_live() -> TwoLines:
    """Both connections have both books, and have just been found to have them."""
    two = TwoLines(ONE, *books())
    two.new.hear(*books(), array=True)
    assert two.decide() is WAIT
    return two


# -- when nothing is silent ---------------------------------------------------------------------------------


def test_a_market_is_switched_when_both_have_had_the_same_books_for_a_while() -> None:
    two = TwoLines(ONE, *books())
    assert two.decide(1) is WAIT, "nothing has come on the new connection"
    two.new.hear(*books(), array=True)
    assert two.decide() is WAIT
    assert two.decide(OVERLAP_S - 0.01) is WAIT, "what was under way may still come"
    assert two.decide(0.01) is SWITCH
    assert two.differing() == []


def test_nothing_of_the_new_connection_is_written_or_counted_as_told_before_the_switch() -> None:
    two = TwoLines(ONE, *books())
    gen = two.old_feed.stream.gen
    new = two.new
    assert new.hear(*books(), array=True) == []
    assert new.hear(trade(ONE), tick_size_change(ONE), resolved(ONE), array=True) == []
    malformed = {"event_type": "price_change", "market": ONE.condition_id}
    assert new.hear(malformed) == [], "its books are fetched anew without a word"
    new.tick(1000)
    assert new.close() == []
    new.open()
    assert two.old_feed.stream.gen == gen
    assert two.old_feed.stream.trades == 0
    assert (new.counters.tops, dict(new.counters.gaps), dict(new.counters.rescues)) == (0, {}, {})


@pytest.mark.parametrize(
    "late",
    [
        book(ONE, 0, bids=BIDS[:1], ms=MS + 50),
        price_change(ONE, item(ONE, 0, "BUY", "0.4", "12", ("0.48", "0.52"), "x"), ms=MS + 50),
        price_change(ONE, item(ONE, 0, "BUY", "0.4", "10", ("0.48", "0.52"), "x"), ms=MS + 50),
    ],
    ids=["book", "level", "step without effect"],
)
@pytest.mark.parametrize("ahead", ["old", "new"])
def test_while_one_is_ahead_the_market_waits_for_the_other(late: Row, ahead: str) -> None:
    two = both_live()
    first, then = (two.old, two.new) if ahead == "old" else (two.new, two.old)
    first.hear(late)
    assert two.decide(OVERLAP_S) is WAIT
    assert two.differing() == [0]
    then.hear(late)
    assert two.decide() is SWITCH


def test_a_held_book_is_not_compared() -> None:
    two = both_live()
    two.hear(price_change(ONE, item(ONE, 0, "BUY", "0.4", "12", ("0.49", "0.52"), "x"), ms=MS + 50))
    assert two.decide(OVERLAP_S) is WAIT
    assert two.differing() == [0]
    two.hear(price_change(ONE, item(ONE, 0, "BUY", "0.49", "1", ("0.49", "0.52"), "x"), ms=MS + 50))
    assert two.decide() is SWITCH


@pytest.mark.parametrize("whose", ["old", "new"])
def test_a_book_in_doubt_proves_nothing(whose: str) -> None:
    two = both_live()
    doubtful = two.old if whose == "old" else two.new
    doubtful.hear_bytes(b"{")
    assert two.decide(OVERLAP_S) is WAIT
    assert two.differing() == [0, 1]
    doubtful.hear(*books(), array=True)
    assert two.decide() is SWITCH


def test_books_of_one_moment_with_other_levels_are_not_the_same() -> None:
    two = TwoLines(ONE, *(book(ONE, n, hash="") for n in (0, 1)))
    two.new.hear(book(ONE, 0, hash=""), book(ONE, 1, bids=BIDS[:1], hash=""), array=True)
    two.decide()
    assert two.decide(OVERLAP_S) is WAIT
    assert two.differing() == [1]


@pytest.mark.parametrize("late", [trade(ONE, ms=LATE_MS), tick_size_change(ONE, ms=LATE_MS)])
@pytest.mark.parametrize("ahead", ["old", "new"])
def test_a_trade_or_tick_that_only_one_has_told_is_waited_for(late: Row, ahead: str) -> None:
    two = both_live()
    first, then = (two.old, two.new) if ahead == "old" else (two.new, two.old)
    first.hear(late)
    two.hear(*books(LATE_MS + 1))
    assert two.decide(LONG_OVERLAP_S) is WAIT
    assert two.differing() == [0], "the other token is the same on both"
    then.hear(late)
    then.hear(*books(LATE_MS + 1), array=True)
    assert two.decide() is SWITCH


def test_a_trade_without_a_time_is_waited_for() -> None:
    two = both_live()
    two.old.hear(trade(ONE, timestamp=None))
    assert two.decide(LONG_OVERLAP_S) is WAIT
    two.new.hear(trade(ONE, timestamp=None))
    assert two.decide() is SWITCH


def test_of_two_equal_trades_both_are_waited_for() -> None:
    two = both_live()
    two.hear(trade(ONE, ms=LATE_MS))
    two.old.hear(trade(ONE, ms=LATE_MS))
    assert two.decide(LONG_OVERLAP_S) is WAIT
    two.new.hear(trade(ONE, ms=LATE_MS))
    assert two.decide() is SWITCH


def test_a_trade_from_before_the_second_connection_is_only_on_the_first() -> None:
    two = TwoLines(ONE, *books())
    two.old.hear(trade(ONE, ms=MS + 5))
    two.new.hear(*books(), array=True)
    assert two.decide() is WAIT
    assert two.decide(OVERLAP_S) is WAIT, "or the second connection is only slower: longer is waited for it"
    assert two.decide(LONG_OVERLAP_S - OVERLAP_S) is SWITCH


def test_an_early_trade_that_only_the_second_connection_told_is_missing_on_the_first() -> None:
    two = both_live()
    two.new.hear(trade(ONE, ms=MS + 5), trade(ONE, ms=MS + 5), array=True)
    two.old.hear(trade(ONE, ms=MS + 5))
    assert two.decide(LONG_OVERLAP_S) is WAIT
    two.old.hear(trade(ONE, ms=MS + 5))
    assert two.decide() is SWITCH


def test_a_market_that_never_agrees_stays_where_it_is() -> None:
    two = both_live()
    two.new.hear(book(ONE, 0, bids=BIDS[:1], ms=MS + 50))
    assert two.decide(PATIENCE_S - 0.01) is WAIT
    assert two.decide(0.01) is ABANDON


def test_a_market_whose_books_do_not_come_stays_where_it_is() -> None:
    two = TwoLines(ONE, *books())
    two.new.hear(book(ONE, 0))
    assert two.decide(PATIENCE_S - 0.01) is WAIT
    assert two.decide(0.01) is ABANDON


def test_books_that_come_at_the_last_moment_still_get_their_overlap() -> None:
    two = TwoLines(ONE, *books())
    two.wait(PATIENCE_S)
    two.new.hear(*books(), array=True)
    assert two.decide() is WAIT
    two.old.hear(trade(ONE, ms=LATE_MS))
    assert two.decide(OVERLAP_S - 0.01) is WAIT
    two.new.hear(trade(ONE, ms=LATE_MS))
    assert two.decide(0.01) is SWITCH


@pytest.mark.parametrize("whose", ["old", "new"])
def test_a_market_that_trades_too_much_meanwhile_stays_where_it_is(whose: str) -> None:
    two = both_live()
    line = two.old if whose == "old" else two.new
    many = [trade(ONE, ms=LATE_MS)] * (TAPE_KEPT + 1)
    line.hear(*many, array=True)
    assert LONG_OVERLAP_S < PATIENCE_S
    assert two.decide(LONG_OVERLAP_S) is ABANDON


# -- when connections or books end meanwhile ----------------------------------------------------------------


def test_after_an_end_of_the_new_connection_the_overlap_begins_anew() -> None:
    two = both_live()
    two.wait(1)
    two.new.close()
    assert two.decide() is WAIT
    two.new.open()
    two.new.hear(*books(), array=True)
    assert two.decide() is WAIT
    assert two.decide(OVERLAP_S - 0.01) is WAIT
    assert two.decide(0.01) is SWITCH


def test_after_an_end_of_the_old_connection_nothing_needs_to_be_proven() -> None:
    two = both_live()
    gaps = two.old.close()
    assert [update.kind for update in gaps] == ["gap", "gap"]
    assert two.decide() is SWITCH
    assert two.differing() == []


def test_a_token_that_desyncs_on_the_old_connection_is_marked_and_needs_no_proof() -> None:
    two = both_live()
    two.old.hear(book(ONE, 0, ms=MS + 50))
    two.old.protocol.books.desync(two.old_feed.tokens[0], two.old.now_us)
    assert two.decide(OVERLAP_S) is SWITCH
    assert two.differing() == []


def test_a_market_that_ended_goes_nowhere() -> None:
    two = both_live()
    two.new.hear(trade(ONE))
    assert [update.kind for update in two.old.hear(resolved(ONE))] == ["resolved"]
    assert two.decide() is ABANDON, "the new connection's books must not be shown behind the last entry"


# -- when tokens are silent ---------------------------------------------------------------------------------


def silent(*outcomes: int) -> TwoLines:
    """A market of which these tokens are silent on the old connection, which is why it moves."""
    two = TwoLines(ONE, *books())
    for outcome in outcomes:
        feed = two.old_feed.tokens[outcome]
        two.old.protocol.books.gap(feed, "stale", two.old.now_us, two.old.now_us)
        two.old.protocol.books.forget(feed)
        two.switch.wanted.add(feed.token)
    two.old.take()
    return two


def test_a_market_of_which_nothing_is_told_any_more_moves_with_the_first_books() -> None:
    two = silent(0, 1)
    two.new.hear(book(ONE, 0))
    assert two.decide() is WAIT
    two.new.hear(book(ONE, 1))
    assert two.decide() is SWITCH


def test_a_silent_token_takes_a_well_one_along_only_when_that_is_the_same_on_both() -> None:
    two = silent(0)
    two.new.hear(book(ONE, 0, ms=MS + 99), book(ONE, 1), array=True)
    assert two.decide() is WAIT
    assert two.decide(OVERLAP_S) is SWITCH
    assert two.differing() == []


def test_for_a_silent_token_a_well_one_that_never_agrees_gets_a_gap() -> None:
    two = silent(0)
    two.new.hear(book(ONE, 0, ms=MS + 99), book(ONE, 1, ms=MS + 98), array=True)
    assert two.decide() is WAIT
    assert two.decide(PATIENCE_S) is SWITCH
    assert two.differing() == [1]


def test_for_a_silent_token_a_well_one_without_a_new_book_gets_a_gap() -> None:
    two = silent(0)
    two.new.hear(book(ONE, 0, ms=MS + 99))
    assert two.decide(PATIENCE_S - 0.01) is WAIT
    assert two.decide(0.01) is SWITCH
    assert two.differing() == [1]


def test_a_silent_token_that_is_silent_there_as_well_is_no_reason_to_move() -> None:
    two = silent(0)
    two.new.hear(book(ONE, 1))
    assert two.decide(PATIENCE_S) is ABANDON


def test_a_token_that_came_back_meanwhile_is_worth_no_gap() -> None:
    two = silent(0)
    two.new.hear(*books(MS + 99), array=True)
    two.old.hear(book(ONE, 0, ms=MS + 98))
    two.decide()
    assert two.decide(PATIENCE_S) is ABANDON


def test_of_two_wanted_tokens_one_that_comes_is_enough_at_last() -> None:
    two = silent(0, 1)
    two.new.hear(book(ONE, 1))
    assert two.decide(PATIENCE_S - 0.01) is WAIT
    assert two.decide(0.01) is SWITCH


def test_a_market_without_any_book_is_no_reason_to_keep_a_connection() -> None:
    two = TwoLines(ONE)
    assert two.decide(PATIENCE_S - 0.01) is WAIT
    assert two.decide(0.01) is SWITCH
    assert two.differing() == []


def test_a_token_that_neither_is_live_nor_was_asked_for_is_not_waited_for() -> None:
    two = TwoLines(ONE, book(ONE, 0))
    two.new.hear(book(ONE, 0))
    assert two.decide() is WAIT
    assert two.decide(OVERLAP_S) is SWITCH


def test_a_book_that_comes_by_the_way_is_worth_no_gap_of_the_other_token() -> None:
    two = TwoLines(ONE, book(ONE, 0))
    two.new.hear(book(ONE, 0, ms=MS + 9), book(ONE, 1), array=True)
    assert two.decide() is WAIT
    assert two.decide(PATIENCE_S) is ABANDON


def test_a_token_that_nobody_gets_stays_although_nothing_is_told_of_its_market() -> None:
    two = silent(0)
    two.old.protocol.books.forget(two.old_feed.tokens[1])
    assert two.decide(PATIENCE_S) is ABANDON


# -- what goes along ----------------------------------------------------------------------------------------


def test_what_was_learned_of_a_market_goes_along_even_if_its_books_do_not_name_it() -> None:
    old = TwoLines(ONE, *books()).old
    old.hear(tick_size_change(ONE, new="0.001"), trade(ONE, price="0.52"), array=True)
    feed = old.protocol.books.markets[ONE.condition_id]
    two = TwoLines(ONE)
    Switch(feed, two.new_feed, old.now_us, 1)
    right = wire_hash(ONE, 0, MS, BIDS, ASKS, last_trade="0.520", tick="0.001")
    two.new.hear(book(ONE, 0, last_trade=None, tick_size=None, hash=right))
    assert two.new.counters.hash_matches == 1


def test_a_resolution_that_only_the_new_connection_heard_is_waited_for() -> None:
    two = both_live()
    assert two.new.hear(resolved(ONE, ms=LATE_MS)) == []
    assert two.decide(LONG_OVERLAP_S) is WAIT
    two.old.hear(resolved(ONE, ms=LATE_MS))
    assert two.decide() is ABANDON


def test_what_goes_wrong_on_a_connection_that_is_only_to_take_over_is_not_counted() -> None:
    two = both_live()
    two.new.hear({"event_type": "price_change", "market": ONE.condition_id})
    assert two.new.counters.desyncs == 0
