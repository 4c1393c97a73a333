"""One market on its way from one connection to another (pure).

Both connections keep its books for a while; only the old one is written. The market is switched when both have the
same books, and have told the same trades: then nothing is missing and nothing comes twice. A token that has no
book on the old connection needs no such proof, for its gap stands already.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import Final

from worker.feeds import MarketFeed, TokenFeed, TokenState, Told

OVERLAP_US: Final = 1_500_000
"""Both are listened to for at least so long: what was under way when the second one began has arrived by then."""

LONG_OVERLAP_US: Final = 4_000_000
"""The same where the old connection told trades that the second one did not: it may only be slower."""

SETTLED_MS: Final = 1_000
"""Trades of later than so much after the second one's first books must be on both."""

TAPE_KEPT: Final = 20_000
"""A market that trades more than this meanwhile stays where it is."""


class Decision(enum.Enum):
    """What is to become of a market that changes connections."""

    WAIT = enum.auto()
    SWITCH = enum.auto()
    ABANDON = enum.auto()


class Switch:
    """Compares a market's books on two connections."""

    def __init__(self, old: MarketFeed, new: MarketFeed, now_us: int, patience_us: int) -> None:
        self.old = old
        self.new = new
        self.wanted: set[str] = set()
        """Tokens that are silent on the old connection: for them the market moves."""
        self._give_up_us = now_us + patience_us
        self._both_since_us = 0
        self._settled_ms = 0
        new.muted = True
        old.tape, new.tape = [], []
        _teach(old, new)

    def decide(self, now_us: int) -> Decision:
        """What to do now; to be asked every few milliseconds."""
        if self.old.ended:
            return Decision.ABANDON
        tapes = (self.old.tape or (), self.new.tape or ())
        late = now_us >= self._give_up_us or max(map(len, tapes)) > TAPE_KEPT
        if not self._has_all():
            self._both_since_us = self._settled_ms = 0
            return self._at_last() if late else Decision.WAIT
        if not any(_live(feed) for feed in self.old.tokens):
            return Decision.SWITCH
        if not self._both_since_us:
            self._both_since_us = now_us
            self._settled_ms = max(self.old.last_venue_ms, self.new.last_venue_ms) + SETTLED_MS
        both_us = now_us - self._both_since_us
        # However late it is: before that, what is under way cannot be told from what is missing.
        if both_us < OVERLAP_US or (both_us < LONG_OVERLAP_US and Counter(tapes[0]) - Counter(tapes[1])):
            return Decision.WAIT
        if not self.differing():
            return Decision.SWITCH
        return self._at_last() if late else Decision.WAIT

    def differing(self) -> list[TokenFeed]:
        """Tokens that are live on the old connection and not the same on the new one; they need a gap."""
        return [
            old
            for old, new in zip(self.old.tokens, self.new.tokens, strict=True)
            if _live(old) and not (_same(old, new) and self._same_tape(old.outcome))
        ]

    def _has_all(self) -> bool:
        """Whether the new connection has every book that the old one has, and those that are wanted."""
        pairs = list(zip(self.old.tokens, self.new.tokens, strict=True))
        if any((_live(old) or new.token in self.wanted) and not _live(new) for old, new in pairs):
            return False
        return any(_live(new) for _, new in pairs)

    def _at_last(self) -> Decision:
        """Time is over. Only a token that is silent on the old connection, and only there, is worth a gap."""
        pairs = zip(self.old.tokens, self.new.tokens, strict=True)
        if any(new.token in self.wanted and _live(new) and not _live(old) for old, new in pairs):
            return Decision.SWITCH
        if not self.wanted and not any(_live(feed) for feed in self.old.tokens):
            # Nothing is told of it by either: no reason to keep the old connection.
            return Decision.SWITCH
        return Decision.ABANDON

    def _same_tape(self, outcome: int) -> bool:
        old = [told for told in self.old.tape or () if told.outcome == outcome]
        new = [told for told in self.new.tape or () if told.outcome == outcome]
        if [told for told in old if self._late(told)] != [told for told in new if self._late(told)]:
            return False
        return not Counter(new) - Counter(old)

    def _late(self, told: Told) -> bool:
        return told.venue_ms is None or told.venue_ms > self._settled_ms


def _teach(old: MarketFeed, new: MarketFeed) -> None:
    """What was learned since the catalog was read; a whole book need not name it."""
    new.facts.last_trade_price = old.facts.last_trade_price
    new.facts.other_last_trades = old.facts.other_last_trades
    new.facts.version = old.facts.version
    for before, after in zip(old.tokens, new.tokens, strict=True):
        after.check.tick_size, after.check.form = before.check.tick_size, before.check.form


def _live(feed: TokenFeed) -> bool:
    return feed.state is TokenState.LIVE


def _same(old: TokenFeed, new: TokenFeed) -> bool:
    one, other = old.gate, new.gate
    if not _live(new) or one.held or other.held or old.unproven or new.unproven:
        return False
    if one.book is None or other.book is None or (one.venue_ms, one.hash) != (other.venue_ms, other.hash):
        return False
    return one.book.same_as(other.book)
