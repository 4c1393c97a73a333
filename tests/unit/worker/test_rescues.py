"""The ladder: subscribe again, let another connection get it, quarantine with a slow retry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gamma_rows import market
from tests.venue_frames import ASKS, BIDS, MS, Line, book, item, price_change, resolved
from worker.feeds import Step, TokenFeed, TokenState
from worker.notices import Event, Move, Witness
from worker.policy import ProtocolPolicy
from worker.rescues import MOVE_WAIT_S, RESCUE_WAIT_S
from worker.shapes import Book, Level
from worker.silence import NEWER_MS, SECOND_LOOK_S
from worker.streams import Update

ONE = market("one")
YES = ONE.tokens[0]
STALE_S, FIRST_S, RETRY_S = 1000.0, 30.0, 60.0
POLICY = ProtocolPolicy(
    stale_after_s=STALE_S, first_book_timeout_s=FIRST_S, quarantine_retry_s=RETRY_S, pong_timeout_s=1e9
)


def newer(ms: int = MS + NEWER_MS) -> Book:
    """A book that REST has had for long enough, and that is another."""
    asks: list[Level] = [(520_000, "0.52", "25")]
    return Book(ONE.condition_id, YES, ms, "", [(470_000, "0.47", "1")], asks, "", None, "")


def live() -> Line:
    line = Line([ONE], POLICY)
    line.hear(book(ONE, 0), book(ONE, 1), array=True)
    line.sent()
    line.noticed(object)
    line.said.clear()
    return line


def feed(line: Line) -> TokenFeed:
    return line.protocol.books.tokens[YES]


def state(line: Line) -> tuple[TokenState, Step | None]:
    return feed(line).state, feed(line).step


def asked_for(line: Line) -> list[tuple[str, list[str]]]:
    return [(one["operation"], one["assets_ids"]) for one in line.sent() if one != "PING"]


AGAIN: list[tuple[str, list[str]]] = [("unsubscribe", [YES]), ("subscribe", [YES])]


def fall_silent(line: Line) -> list[Update]:
    """The first token is found stale; returns what is written."""
    line.wait(STALE_S)
    line.hear(price_change(ONE, item(ONE, 1, "BUY", "0.4", "10", ("0.48", "0.52")), ms=MS + 1))
    line.tick()
    rescues = line.protocol.rescues
    look_s = rescues.silent_book_said(YES, newer(), line.now_us)
    assert look_s == pytest.approx(SECOND_LOOK_S)
    line.wait(SECOND_LOOK_S)
    assert rescues.silent_book_said(YES, newer(), line.now_us) is None
    return line.take()


def quarantined() -> Line:
    """The first token is in quarantine since just now."""
    line = live()
    fall_silent(line)
    line.tick(RESCUE_WAIT_S)
    line.protocol.rescues.not_moved(YES, line.now_us)
    assert state(line) == (TokenState.QUARANTINED, Step.SLOW)
    asked_for(line)
    line.noticed(object)
    return line


def events(line: Line) -> list[str]:
    return [event.text for event in line.noticed(Event)]


# -- up the ladder ------------------------------------------------------------------------------------------


def test_a_stale_token_is_marked_from_when_it_was_last_heard_and_subscribed_to_again() -> None:
    line = live()
    heard_us = line.now_us
    gen = feed(line).market.stream.gen
    (gap,) = fall_silent(line)
    assert (gap.kind, gap.outcome, gap.note) == ("gap", 0, f"stale {heard_us} w1")
    assert asked_for(line) == AGAIN
    assert state(line) == (TokenState.WAITING, Step.RESUBSCRIBE)
    assert feed(line).market.stream.gen == gen + 1
    assert (line.counters.stale, dict(line.counters.gaps)) == (1, {"stale": 1})


def test_what_a_new_subscription_brings_back_is_shown_and_counted_as_its_rescue() -> None:
    line = live()
    fall_silent(line)
    line.noticed(object)
    (top,) = line.hear(book(ONE, 0, bids=BIDS[:1], ms=MS + 99))
    assert (top.kind, top.outcome, top.bid) == ("top", 0, "0.4")
    assert state(line) == (TokenState.LIVE, None)
    assert dict(line.counters.rescues) == dict(line.protocol.rescues.counts) == {"resubscribe": 1}
    assert events(line) == ["rescued by resubscribe"]


def test_a_token_that_a_new_subscription_does_not_bring_back_is_to_be_got_by_another_connection() -> None:
    line = live()
    fall_silent(line)
    line.noticed(object)
    line.tick(RESCUE_WAIT_S - 0.01)
    assert line.noticed(Move) == []
    line.tick(0.01)
    assert line.noticed(Move) == [Move(ONE.condition_id, YES)]
    assert state(line) == (TokenState.WAITING, Step.MOVE)
    line.tick(1)
    assert line.noticed(Move) == []


@pytest.mark.parametrize("how", ["said", "in time"])
def test_a_token_that_no_connection_gets_is_put_in_quarantine_without_one_more_gap(how: str) -> None:
    line = live()
    fall_silent(line)
    line.tick(RESCUE_WAIT_S)
    line.noticed(object)
    if how == "said":
        line.protocol.rescues.not_moved(YES, line.now_us)
    else:
        line.tick(MOVE_WAIT_S)
    assert state(line) == (TokenState.QUARANTINED, Step.SLOW)
    assert events(line) == ["no book by any means: in quarantine"]
    assert (line.counters.quarantined_tokens, dict(line.counters.gaps)) == (1, {"stale": 1})
    assert line.take() == []


def test_a_token_in_quarantine_is_asked_for_slowly_and_for_ever_and_may_come_back() -> None:
    line = quarantined()
    for _ in range(3):
        line.tick(RETRY_S - 0.01)
        assert asked_for(line) == []
        line.tick(0.01)
        assert asked_for(line) == AGAIN
        assert state(line) == (TokenState.QUARANTINED, Step.SLOW)
    assert line.counters.quarantined_tokens == 1, "it is there once, however often it is asked for"
    (top,) = line.hear(book(ONE, 0, ms=MS + 99))
    assert top.kind == "top"
    assert state(line) == (TokenState.LIVE, None)
    assert dict(line.counters.rescues) == {"slow": 1}


def test_one_book_and_then_nothing_more_goes_on_where_the_ladder_was() -> None:
    line = live()
    seen = []
    for ms in (1, 2, 3, 4):
        fall_silent_again(line, MS + ms * NEWER_MS)
        seen.append(state(line)[1])
        line.hear(book(ONE, 0, ms=MS + ms * NEWER_MS))
    assert seen == [Step.RESUBSCRIBE, Step.MOVE, Step.SLOW, Step.SLOW]
    assert line.counters.gaps["stale"] == 4, "each time something was shown"
    assert dict(line.counters.rescues) == {"resubscribe": 1, "move": 1, "slow": 2}


def fall_silent_again(line: Line, ms: int) -> None:
    line.wait(STALE_S)
    line.hear(price_change(ONE, item(ONE, 1, "BUY", "0.4", "10", ("0.48", "0.52")), ms=MS + 1))
    line.tick()
    rescues = line.protocol.rescues
    rescues.silent_book_said(YES, newer(ms), line.now_us)
    line.wait(9)
    rescues.silent_book_said(YES, newer(ms), line.now_us)


def test_rest_can_condemn_nothing_that_is_not_subscribed_to() -> None:
    line = live()
    line.close()
    assert line.protocol.rescues.silent_book_said(YES, newer(), line.now_us) is None
    assert line.counters.stale == 0
    never = Line([ONE], POLICY, is_open=False)
    never.hear(book(ONE, 0))
    feed(never).asked_us, feed(never).suspected_us = never.now_us, 1
    assert never.protocol.rescues.silent_book_said(YES, newer(), never.now_us) is None
    assert never.counters.stale == 0


# -- what happens on the ladder -----------------------------------------------------------------------------


@pytest.mark.parametrize("climbed", [0, RESCUE_WAIT_S, RESCUE_WAIT_S + MOVE_WAIT_S])
def test_after_a_reconnect_every_token_begins_below_the_ladder(climbed: float) -> None:
    line = live()
    fall_silent(line)
    for _ in range(int(climbed)):
        line.tick(1)
    line.close()
    assert state(line)[0] is TokenState.WAITING
    line.open()
    assert state(line) == (TokenState.WAITING, None)
    line.hear(book(ONE, 0, ms=MS + 99))
    assert not line.counters.rescues, "the new connection brought it"


def test_what_a_move_comes_to_while_the_connection_is_down_changes_nothing() -> None:
    line = live()
    fall_silent(line)
    line.tick(RESCUE_WAIT_S)
    line.close()
    line.protocol.rescues.not_moved(YES, line.now_us)
    assert line.counters.quarantined_tokens == 0
    line.open()
    line.protocol.rescues.not_moved(YES, line.now_us)
    assert state(line) == (TokenState.WAITING, None)


def test_a_move_that_failed_says_nothing_of_a_token_that_came_back_or_is_gone() -> None:
    line = live()
    fall_silent(line)
    line.tick(RESCUE_WAIT_S)
    line.hear(book(ONE, 0, ms=MS + 99))
    line.protocol.rescues.not_moved(YES, line.now_us)
    line.protocol.rescues.not_moved("5", line.now_us)
    assert state(line) == (TokenState.LIVE, None)


def test_of_a_market_that_ended_nothing_is_asked_any_more() -> None:
    line = live()
    fall_silent(line)
    line.tick(RESCUE_WAIT_S)
    line.hear(resolved(ONE))
    asked_for(line)
    rescues = line.protocol.rescues
    rescues.not_moved(YES, line.now_us)
    for listed in (True, False, None):
        rescues.first_book_said(ONE.tokens[1], listed=listed, now_us=line.now_us)
    line.tick(9999)
    assert asked_for(line) == []
    assert line.counters.quarantined_tokens == 0
    assert [notice for notice in line.noticed(Witness) if notice.why == "first"] == []


def test_a_market_that_ends_in_the_frame_that_broke_it_is_not_asked_for() -> None:
    line = live()
    broken: dict[str, Any] = {"event_type": "price_change", "market": ONE.condition_id}
    said = line.hear(broken, resolved(ONE), array=True)
    assert [update.kind for update in said] == ["gap", "gap", "resolved"]
    assert asked_for(line) == []


def test_changes_without_a_book_make_a_quarantined_token_be_asked_for_soon() -> None:
    line = quarantined()
    feed(line).book_due_us = line.now_us + 10**12
    line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.4", "10", ("0.48", "0.52"))))
    assert line.counters.before_book == 1
    line.tick(FIRST_S)
    assert asked_for(line) == AGAIN


def test_a_token_that_only_arrives_is_not_asked_for_whatever_is_missing() -> None:
    line = Line([ONE], POLICY)
    (one,) = line.protocol.books.markets.values()
    one.muted = True
    line.sent()
    line.tick(FIRST_S)
    assert (asked_for(line), line.noticed(Witness)) == ([], [])
    line.hear(book(ONE, 0), book(ONE, 1), array=True)
    line.tick(9999)
    assert (asked_for(line), line.noticed(object)) == ([], [])


# -- first books --------------------------------------------------------------------------------------------


def test_a_first_book_that_the_venue_has_goes_up_the_ladder_and_is_no_gap() -> None:
    line = Line([ONE], POLICY)
    line.hear(book(ONE, 1))
    line.sent()
    line.tick(FIRST_S)
    assert line.noticed(Witness) == [Witness((YES,), "first")]
    line.protocol.rescues.first_book_said(YES, listed=True, now_us=line.now_us)
    assert asked_for(line) == AGAIN
    line.protocol.rescues.first_book_said(YES, listed=True, now_us=line.now_us)
    assert asked_for(line) == [], "it is being tried already"
    line.tick(RESCUE_WAIT_S)
    assert line.noticed(Move) == [Move(ONE.condition_id, YES)]
    line.tick(MOVE_WAIT_S)
    assert state(line) == (TokenState.QUARANTINED, Step.SLOW)
    assert not line.counters.gaps


def test_while_rest_is_down_a_missing_first_book_is_asked_for_again_on_the_same_connection() -> None:
    line = Line([ONE], POLICY)
    line.hear(book(ONE, 1, asks=ASKS))
    line.sent()
    for _ in range(5):
        line.tick(FIRST_S)
        line.protocol.rescues.first_book_said(YES, listed=None, now_us=line.now_us)
        assert asked_for(line) == AGAIN
        assert state(line) == (TokenState.WAITING, None)
    assert line.counters.first_book_retries == 5
    assert line.noticed(Move) == []


def test_a_token_that_the_venue_does_not_list_is_not_asked_for_because_rest_is_down() -> None:
    line = Line([ONE], POLICY)
    line.sent()
    line.protocol.rescues.first_book_said(YES, listed=False, now_us=line.now_us)
    line.protocol.rescues.first_book_said(YES, listed=None, now_us=line.now_us)
    assert state(line) == (TokenState.UNLISTED, None)
    assert asked_for(line) == []


def test_what_rest_says_of_a_first_book_comes_too_late_for_a_connection_that_ended() -> None:
    line = Line([ONE], POLICY)
    line.close()
    line.protocol.rescues.first_book_said(YES, listed=False, now_us=line.now_us)
    assert state(line) == (TokenState.WAITING, None)


def test_after_a_reconnect_and_after_a_desync_the_book_has_its_deadline_anew() -> None:
    line = live()
    line.close()
    line.open()
    line.hear(book(ONE, 1))
    line.sent()
    line.tick(FIRST_S)
    assert line.noticed(Witness) == [Witness((YES,), "first")]
    line.hear(book(ONE, 0))
    line.protocol.books.desync(feed(line), line.now_us)
    line.protocol.rescues.resync(line.now_us)
    assert asked_for(line) == AGAIN
    line.tick(FIRST_S - 0.01)
    assert line.noticed(Witness) == []
    line.tick(0.01)
    assert line.noticed(Witness) == [Witness((YES,), "first")]


def test_a_token_that_the_venue_lists_after_all_is_waited_for_like_any_other() -> None:
    line = Line([ONE], POLICY)
    line.protocol.rescues.first_book_said(YES, listed=False, now_us=line.now_us)
    line.protocol.rescues.first_book_said(YES, listed=True, now_us=line.now_us)
    assert state(line) == (TokenState.WAITING, Step.RESUBSCRIBE)
