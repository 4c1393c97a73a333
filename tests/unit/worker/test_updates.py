"""What a token's messages become in its market's stream."""

from __future__ import annotations

import pytest

from tests.gamma_rows import market
from tests.venue_frames import MS, US, feed_of
from worker.book import Book
from worker.shapes import TickSizeChange, Trade
from worker.updates import gap_update, resolved_update, tick_update, top_update, trade_update

ONE = market("one")
YES = ONE.tokens[0]


def test_a_top_is_what_the_gate_shows_with_leading_zeros() -> None:
    feed = feed_of(ONE).tokens[1]
    feed.gate.snapshot(Book([(480_000, ".48", "30")], []), MS, "", US)
    update = top_update(feed, MS, US + 5)
    assert (update.kind, update.outcome, update.venue_ms, update.recv_us) == ("top", 1, MS, US + 5)
    assert (update.bid, update.bid_size, update.ask, update.ask_size) == ("0.48", "30", "", "")
    assert update.stream is feed.market.stream


@pytest.mark.parametrize(
    ("side", "told"), [("SELL", (("0.52", "7"), ("", ""))), ("BUY", (("", ""), ("0.52", "7")))]
)
def test_a_trade_fills_the_side_that_its_taker_hit(side: str, told: object) -> None:
    feed = feed_of(ONE).tokens[0]
    update = trade_update(feed, Trade(ONE.condition_id, YES, MS, ".52", "7", side), US)
    assert (update.kind, update.outcome, update.venue_ms) == ("trade", 0, MS)
    assert ((update.bid, update.bid_size), (update.ask, update.ask_size)) == told


def test_a_tick_a_gap_and_an_end_say_what_happened_in_their_note() -> None:
    market_feed = feed_of(ONE)
    feed = market_feed.tokens[0]
    tick = tick_update(feed, TickSizeChange(ONE.condition_id, YES, MS, ".001"), US)
    assert (tick.kind, tick.outcome, tick.note, tick.venue_ms) == ("tick", 0, "0.001", MS)
    gap = gap_update(feed, "stale", US - 7, "w1", US)
    assert (gap.kind, gap.outcome, gap.note, gap.venue_ms) == ("gap", 0, f"stale {US - 7} w1", None)
    end = resolved_update(market_feed, "split", MS, US)
    assert (end.kind, end.outcome, end.note, end.venue_ms) == ("resolved", None, "split", MS)
    assert {update.recv_us for update in (tick, gap, end)} == {US}
