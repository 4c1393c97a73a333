"""What one connection knows of a market and of each of its two tokens (pure data)."""

from __future__ import annotations

import enum
from typing import NamedTuple

from marketdata.market import Market
from worker.steps import StepGate
from worker.streams import MarketStream
from worker.trust import Trust
from worker.verification import HashCheck, MarketFacts


class TokenState(enum.Enum):
    """Whether a token's top can be believed."""

    WAITING = "waiting"
    """Subscribed, no book since."""
    LIVE = "live"
    UNLISTED = "unlisted"
    """The venue itself knows no book of it; asked again from time to time."""
    QUARANTINED = "quarantined"
    """The venue has a book of it and sends none, whatever was tried; asked again from time to time."""


class Step(enum.Enum):
    """What was last tried to get a book that does not come, in the order of trying."""

    RESUBSCRIBE = "resubscribe"
    """Subscribed again on the same connection."""
    MOVE = "move"
    """Taken to another connection."""
    SLOW = "slow"
    """Given up on, but for a try from time to time."""


class Told(NamedTuple):
    """A trade or a new tick size, as the venue named it: the same on every connection."""

    outcome: int
    venue_ms: int | None
    what: tuple[str, ...]


class TokenFeed:
    """One token on one connection."""

    __slots__ = (
        "agreed_us",
        "asked_us",
        "book_due_us",
        "check",
        "check_due",
        "doubted_us",
        "gate",
        "live_since_us",
        "market",
        "outcome",
        "proven_us",
        "rescued_by",
        "resubscribe_us",
        "resyncs",
        "state",
        "step",
        "suspected_us",
        "token",
        "unproven",
    )

    def __init__(self, market: MarketFeed, outcome: int, token: str, tick_size: str) -> None:
        self.market = market
        self.outcome = outcome
        self.token = token
        self.state = TokenState.WAITING
        self.gate = StepGate()
        self.check = HashCheck(tick_size)
        self.check_due = False
        """Its hash is to be recomputed when its step is over."""
        self.unproven = False
        """Something happened (lost frame, new tick size) after which one mismatch is enough."""
        self.doubted_us = 0
        """Since when it is unproven, Unix microseconds."""
        self.proven_us = 0
        """When a snapshot or a hash last proved the book, Unix microseconds."""
        self.book_due_us = 0
        """When a first book is overdue, Unix microseconds; 0: none is awaited."""
        self.resubscribe_us = 0
        """When to subscribe again, Unix microseconds; 0: not planned."""
        self.resyncs = 0
        """New snapshots asked for in a row."""
        self.live_since_us = 0
        self.asked_us = 0
        """When REST was last asked about its silence, Unix microseconds."""
        self.agreed_us = 0
        """When REST last had the same book, Unix microseconds."""
        self.suspected_us = 0
        """Since when REST has had a newer book, Unix microseconds; 0: it has not."""
        self.step: Step | None = None
        """What is being tried to get its book."""
        self.rescued_by: Step | None = None
        """What its last book was got by, if not in the ordinary way."""


class MarketFeed:
    """One market on one connection: its stream, shared facts, two tokens."""

    __slots__ = (
        "by_token",
        "condition_id",
        "ended",
        "facts",
        "last_venue_ms",
        "muted",
        "stream",
        "tape",
        "tokens",
        "trust",
    )

    def __init__(self, market: Market, stream: MarketStream) -> None:
        self.condition_id = market.condition_id
        self.stream = stream
        self.facts = MarketFacts(
            market.condition_id,
            min_order_size=market.min_order_size,
            neg_risk=market.neg_risk,
            version="v2" if market.version == "v2" else "",
        )
        self.tokens = (
            TokenFeed(self, 0, market.tokens[0], market.tick_size),
            TokenFeed(self, 1, market.tokens[1], market.tick_size),
        )
        self.by_token = {feed.token: feed for feed in self.tokens}
        self.last_venue_ms = 0
        self.ended = False
        self.muted = False
        """Its books are kept but nothing is written of them: another connection still tells of this market."""
        self.tape: list[Told] | None = None
        """What was told of this market beside its books, while it changes connections."""
        self.trust = Trust()

    def free(self) -> None:
        """Nobody follows this market any more: all that is known of it goes at once.

        Market and tokens know each other. Left as it is, such a circle waits for the garbage collector, and one that
        the collector was told to leave alone (`gc.freeze`) is never freed.
        """
        self.by_token.clear()
        for feed in self.tokens:
            del feed.market
