"""What a book in doubt is spared, and what is shown of one that changes connections."""

from __future__ import annotations

from tests.gamma_rows import market
from tests.venue_frames import ASKS, BIDS, MS, US, Line, Row, book, item, price_change, wire_hash
from worker.feeds import TokenFeed, TokenState
from worker.policy import ProtocolPolicy

ONE = market("one")


def live() -> tuple[Line, TokenFeed]:
    line = Line([ONE], ProtocolPolicy(check_every_step=True))
    line.hear(*(book(ONE, outcome) for outcome in (0, 1)), array=True)
    return line, line.protocol.books.tokens[ONE.tokens[0]]


def step(number: int, last_trade: str) -> Row:
    """A step whose hash covers a last trade of this price."""
    size, ms = str(100 + number), MS + 10 * number
    right = wire_hash(ONE, 0, ms, [("0.4", size), ("0.48", "30")], ASKS, last_trade)
    return price_change(ONE, item(ONE, 0, "BUY", "0.4", size, ("0.48", "0.52"), right), ms=ms)


def test_a_book_whose_last_trade_was_never_reported_is_not_given_up() -> None:
    line, feed = live()
    before = line.counters.hash_matches
    for number in range(1, 4):
        line.hear(step(number, "0.370"))
        line.wait(0.3)
        line.protocol.books.verify([feed], line.now_us)
    assert [update.kind for update in line.said if update.kind == "gap"] == []
    assert line.protocol.books.resync == []
    assert feed.state is TokenState.LIVE
    assert feed.market.facts.last_trade_price == "0.370"
    assert line.counters.hash_matches > before


def test_what_a_token_shows_is_written_once_more_when_asked_for_and_nothing_of_one_without_a_book() -> None:
    line, feed = live()
    line.protocol.books.show(feed, US + 7)
    (update,) = line.take()
    assert (update.kind, update.outcome, update.recv_us) == ("top", 0, US + 7)
    assert (update.bid, update.ask) == (BIDS[-1][0], ASKS[-1][0])
    line.protocol.books.forget(feed)
    line.protocol.books.show(feed, US + 8)
    assert line.take() == []


def test_a_book_in_doubt_that_is_disproven_was_right_until_it_last_agreed() -> None:
    line, feed = live()
    line.wait(1)
    line.hear_bytes(b"{")
    assert (feed.unproven, feed.doubted_us) == (True, US + 1_000_000)
    line.wait(1)
    wrong = item(ONE, 0, "BUY", "0.4", "7", ("0.30", "0.52"), "x")
    line.hear(price_change(ONE, wrong, ms=MS + 100))
    line.tick(0.3)
    gap = next(update for update in line.said if update.kind == "gap" and update.outcome == 0)
    assert gap.note == f"desync {US} w1"
