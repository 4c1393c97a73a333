"""What a token's messages become in its market's stream (pure)."""

from __future__ import annotations

from marketdata.decimals import with_leading_zero
from marketdata.entries import GapCause, gap_note
from worker.feeds import MarketFeed, TokenFeed
from worker.shapes import TickSizeChange, Trade
from worker.streams import Update


def top_update(feed: TokenFeed, venue_ms: int | None, now_us: int) -> Update:
    """The top of book that the token's gate shows; steps that could not be shown before it count as skipped."""
    top = feed.gate.shown
    assert top is not None, "what is to be published is shown"
    return Update(
        feed.market.stream,
        "top",
        feed.outcome,
        recv_us=now_us,
        bid=top.bid,
        bid_size=top.bid_size,
        ask=top.ask,
        ask_size=top.ask_size,
        venue_ms=venue_ms,
        skipped=feed.gate.unshown,
    )


def trade_update(feed: TokenFeed, trade: Trade, now_us: int) -> Update:
    """A trade: a taker's SELL fills the bid side, a BUY the ask side."""
    price, size = with_leading_zero(trade.price), with_leading_zero(trade.size)
    update = Update(feed.market.stream, "trade", feed.outcome, recv_us=now_us, venue_ms=trade.venue_ms)
    if trade.side == "SELL":
        update.bid, update.bid_size = price, size
    else:
        update.ask, update.ask_size = price, size
    return update


def tick_update(feed: TokenFeed, change: TickSizeChange, now_us: int) -> Update:
    """A new price grid."""
    return Update(
        feed.market.stream,
        "tick",
        feed.outcome,
        recv_us=now_us,
        venue_ms=change.venue_ms,
        note=with_leading_zero(change.new_tick_size),
    )


def gap_update(feed: TokenFeed, cause: GapCause, start_us: int, worker_id: str, now_us: int) -> Update:
    """Updates of the token may be missing from `start_us` on."""
    note = gap_note(cause, start_us, worker_id)
    return Update(feed.market.stream, "gap", feed.outcome, recv_us=now_us, note=note)


def resolved_update(market: MarketFeed, note: str, venue_ms: int | None, now_us: int) -> Update:
    """A market's last entry: note is 0, 1 or split."""
    return Update(market.stream, "resolved", None, recv_us=now_us, venue_ms=venue_ms, note=note)
