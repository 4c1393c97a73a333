"""One market on two connections at once, as while it changes from one to the other; the clock is in memory."""

from __future__ import annotations

from marketdata.market import Market
from tests.venue_frames import US, Line, Row
from worker.feeds import MarketFeed
from worker.streams import Update
from worker.switching import Decision, Switch

PATIENCE_S = 8.0


class TwoLines:
    """The old connection and the new one, and the switch between them.

    Attributes:
        old, new: the connections; both clocks are kept equal by `wait`.
        switch: what decides.
    """

    def __init__(self, market: Market, *before: Row, patience_s: float = PATIENCE_S) -> None:
        self.market = market
        self.old = Line([market])
        if before:
            self.old.hear(*before, array=True)
        self.new = Line()
        feed = MarketFeed(market, self.old_feed.stream)
        self.switch = Switch(self.old_feed, feed, US, round(patience_s * 1e6))
        self.new.protocol.add([feed], US)

    @property
    def old_feed(self) -> MarketFeed:
        return self.old.protocol.books.markets[self.market.condition_id]

    @property
    def new_feed(self) -> MarketFeed:
        return self.new.protocol.books.markets[self.market.condition_id]

    def wait(self, seconds: float) -> None:
        self.old.wait(seconds)
        self.new.wait(seconds)

    def hear(self, *rows: Row) -> list[Update]:
        """The venue tells it on both connections; returns what is to be written."""
        return self.old.hear(*rows, array=True) + self.new.hear(*rows, array=True)

    def decide(self, after_s: float = 0.0) -> Decision:
        self.wait(after_s)
        return self.switch.decide(self.old.now_us)

    def differing(self) -> list[int]:
        """Outcomes that need a gap if the market is switched now."""
        return [feed.outcome for feed in self.switch.differing()]
