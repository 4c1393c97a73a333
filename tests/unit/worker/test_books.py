"""The books of a connection: trades, hash checks, the REST witness, time that goes back."""

from __future__ import annotations

import pytest

from tests.gamma_rows import market
from tests.venue_frames import ASKS, BIDS, MS, US, Line, Row, book, item, price_change, trade, wire_hash
from worker.policy import ProtocolPolicy
from worker.shapes import Level
from worker.streams import Update

ONE = market("one")
REST_BIDS: list[Level] = [(400_000, "0.40", "10"), (480_000, "0.48", "30.0")]
REST_ASKS: list[Level] = [(520_000, "0.52", "25"), (600_000, "0.6", "11")]


def live(policy: ProtocolPolicy | None = None) -> Line:
    line = Line([ONE], policy)
    line.hear(book(ONE, 0), book(ONE, 1), array=True)
    line.wait(1)
    return line


def step(size: str, ms: int, *, wrong: bool = False, outcome: int = 0) -> Row:
    """A step on 0.4, below the top."""
    bids = (("0.4", size + "1" if wrong else size), BIDS[1])
    signature = wire_hash(ONE, outcome, ms, bids, ASKS)
    return price_change(ONE, item(ONE, outcome, "BUY", "0.4", size, ("0.48", "0.52"), signature), ms=ms)


def verify(line: Line) -> list[Update]:
    """The first token's turn to be checked."""
    books = line.protocol.books
    books.verify([books.tokens[ONE.tokens[0]]], line.now_us)
    return line.take()


def fields(update: Update) -> tuple[str, int | None, str, str, str, str]:
    return update.kind, update.outcome, update.bid, update.bid_size, update.ask, update.ask_size


def test_a_trade_stands_on_the_side_that_the_taker_hit() -> None:
    line = live()
    assert [fields(update) for update in line.hear(trade(ONE, 0, ".48", "SELL"))] == [
        ("trade", 0, "0.48", "7", "", "")
    ]
    assert [fields(update) for update in line.hear(trade(ONE, 1, "0.52", "BUY", size=".5"))] == [
        ("trade", 1, "", "", "0.52", "0.5")
    ]


def test_a_step_that_could_not_be_shown_is_told_as_skipped() -> None:
    line = live()
    # A bid at 0.5 that was never told of.
    assert (
        line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.49", "5", ("0.5", "0.52"), "x"), ms=MS + 10)) == []
    )
    (top,) = line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.5", "6", ("0.5", "0.52"), "y"), ms=MS + 20))
    assert (*fields(top), top.skipped) == ("top", 0, "0.5", "6", "0.52", "25", 1)
    (top,) = line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.5", "7", ("0.5", "0.52"), "z"), ms=MS + 30))
    assert top.skipped == 0


def test_a_trade_of_a_token_without_a_book_is_written_too() -> None:
    line = Line([ONE])
    (update,) = line.hear(trade(ONE, 1))
    assert (update.kind, update.venue_ms, update.recv_us) == ("trade", MS + 5, US)


def test_several_changes_of_one_token_in_a_message_are_one() -> None:
    line = live()
    row = price_change(
        ONE,
        item(ONE, 0, "BUY", "0.49", "5", ("0.5", "0.52"), "x"),
        item(ONE, 0, "BUY", "0.5", "6", ("0.5", "0.52"), "x"),
        item(ONE, 1, "SELL", "0.5", "6", ("0.48", "0.5"), "y"),
    )
    assert [fields(update) for update in line.hear(row)] == [
        ("top", 0, "0.5", "6", "0.52", "25"),
        ("top", 1, "0.48", "30", "0.5", "6"),
    ]


def test_two_changes_of_the_same_token_are_one_as_well() -> None:
    line = live()
    row = price_change(
        ONE,
        item(ONE, 0, "BUY", "0.49", "5", ("0.5", "0.52"), "x"),
        item(ONE, 0, "BUY", "0.5", "6", ("0.5", "0.52"), "x"),
    )
    assert [fields(update) for update in line.hear(row)] == [("top", 0, "0.5", "6", "0.52", "25")]


def test_time_that_goes_back_in_a_market_is_counted() -> None:
    line = live()
    line.hear(step("12", MS + 10))
    line.hear(step("13", MS + 9))
    line.hear(step("14", MS + 10))
    line.hear({**step("14", MS + 11), "timestamp": ""})
    assert line.counters.time_back == 1


def test_a_book_brings_tick_size_and_version_along() -> None:
    line = live()
    line.hear(book(ONE, 0, tick_size="0.001", version="v2"))
    feed = line.protocol.books.tokens[ONE.tokens[0]]
    assert feed.check.tick_size == "0.001"
    assert feed.market.facts.version == "v2"
    line.hear(book(ONE, 0, tick_size=None))
    assert feed.check.tick_size == "0.001", "the short form of a book says nothing of it"


# -- hashes -------------------------------------------------------------------------------------------------


def test_a_check_waits_until_the_step_is_over() -> None:
    line = live()
    line.hear(step("12", MS + 10, wrong=True))
    line.wait(0.004)
    verify(line)
    assert line.counters.hash_mismatches == 0
    line.hear(step("13", MS + 11))
    assert line.counters.hash_mismatches == 1, "checked before the next step is applied"
    line.wait(0.005)
    verify(line)
    assert line.counters.hash_matches == 2 + 1, "two snapshots, and now this step"


def test_one_mismatch_is_counted_two_that_last_end_the_book_from_its_last_proof_on() -> None:
    line = live()
    line.hear(step("12", MS + 10))
    proven_us = line.now_us
    line.wait(1)
    assert verify(line) == []
    line.hear(step("13", MS + 20, wrong=True))
    line.wait(0.01)
    assert verify(line) == []
    assert line.counters.hash_mismatches == 1
    line.wait(0.25)
    (gap,) = verify(line)
    assert (gap.kind, gap.outcome) == ("gap", 0)
    assert gap.note == f"desync {proven_us} w1"
    assert line.protocol.books.resync[0].token == ONE.tokens[0]


def test_a_mismatch_that_heals_ends_nothing() -> None:
    line = live(ProtocolPolicy(check_every_step=True))
    for ms, wrong in ((10, True), (20, False), (30, True), (40, False)):
        line.hear(step("12", MS + ms, wrong=wrong))
        line.wait(0.3)
    verify(line)
    assert line.counters.hash_mismatches == 2
    assert [update for update in line.said if update.kind == "gap"] == []


def test_a_book_in_doubt_that_cannot_be_verified_is_given_up() -> None:
    line = live()
    line.hear_bytes(b"{")
    no_hash = price_change(ONE, item(ONE, 0, "BUY", "0.4", "12", ("0.48", "0.52")), ms=MS + 20)
    line.hear(no_hash)
    line.wait(0.01)
    (gap,) = verify(line)
    assert (gap.kind, gap.outcome) == ("gap", 0)


def test_a_held_token_is_not_checked() -> None:
    line = live(ProtocolPolicy(check_every_step=True))
    line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.4", "12", ("0.49", "0.52"), "x"), ms=MS + 20))
    line.wait(0.01)
    verify(line)
    line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.49", "12", ("0.49", "0.52"), "y"), ms=MS + 21))
    assert line.counters.hash_mismatches == 0


def test_tokens_without_a_book_are_not_checked() -> None:
    line = Line([ONE])
    assert verify(line) == []
    assert line.counters.hash_unable == 0


# -- the REST witness ---------------------------------------------------------------------------------------


def differs(line: Line, bids: list[Level], rest_ms: int | None) -> bool:
    return line.protocol.books.differs(ONE.tokens[0], bids, REST_ASKS, rest_ms)


def test_rest_agrees_however_it_spells_and_orders() -> None:
    assert not differs(live(), REST_BIDS, MS + 1)


@pytest.mark.parametrize("rest_ms", [MS, MS + 1])
def test_rest_contradicts_with_other_levels_of_the_same_moment_or_later(rest_ms: int) -> None:
    assert differs(live(), REST_BIDS[1:], rest_ms)


@pytest.mark.parametrize("rest_ms", [None, MS - 1])
def test_an_older_rest_book_or_one_without_a_time_says_nothing(rest_ms: int | None) -> None:
    assert not differs(live(), [], rest_ms)


def test_rest_says_nothing_of_a_book_that_is_held_missing_or_foreign() -> None:
    line = live()
    line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.4", "12", ("0.49", "0.52"), "x"), ms=MS + 20))
    assert not differs(line, [], MS + 99)
    assert not Line([ONE]).protocol.books.differs(ONE.tokens[0], [], [], MS)
    assert not line.protocol.books.differs("5", [], [], MS)


def test_a_book_without_a_time_can_be_contradicted_by_any() -> None:
    line = live()
    line.hear(book(ONE, 0, timestamp=None))
    assert differs(line, [], 1)


def test_a_step_that_comes_after_a_later_one_must_prove_the_book_at_once() -> None:
    line = live()
    line.hear(step("20", MS + 20))
    assert line.hear(step("10", MS + 10, wrong=True)) == []
    (gap,) = line.hear(step("30", MS + 30))
    assert (gap.kind, gap.outcome, gap.note.split(" ")[0]) == ("gap", 0, "desync")


def test_a_step_that_comes_after_a_later_one_and_verifies_is_no_gap() -> None:
    line = live()
    line.hear(step("20", MS + 20))
    line.hear(step("10", MS + 10))
    assert line.hear(step("30", MS + 30)) == []
