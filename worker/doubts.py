"""Which books are believed, and since when one that is not may have been wrong (pure)."""

from __future__ import annotations

from worker.counters import Counters
from worker.feeds import TokenFeed
from worker.policy import ProtocolPolicy
from worker.verification import Check


def doubt(feed: TokenFeed, now_us: int) -> None:
    """The next step must prove the book; the last one cannot any more."""
    if not feed.unproven:
        feed.doubted_us = feed.proven_us if feed.check.mismatched else now_us
    feed.unproven, feed.check_due = True, False


def disprove(feed: TokenFeed) -> None:
    """The book is wrong: what changed it may have been lost at any time since the last proof.

    Best prices that agreed in between prove nothing of their sizes.
    """
    if not feed.unproven:
        feed.unproven, feed.doubted_us = True, feed.proven_us


def right_until_us(feed: TokenFeed, at_us: int) -> int:
    """`at_us`, or earlier if the book has been held, in doubt or behind REST's since before then."""
    if feed.gate.held:
        at_us = min(at_us, feed.gate.good_us)
    if feed.suspected_us:
        at_us = min(at_us, max(feed.gate.changed_us, feed.agreed_us))
    if feed.unproven:
        return min(at_us, feed.doubted_us)
    return min(at_us, feed.proven_us) if feed.check.mismatched else at_us


class Doubts:
    """Hash checks at the ends of steps, and what follows from them."""

    def __init__(self, policy: ProtocolPolicy, counters: Counters) -> None:
        self._policy = policy
        self._counters = counters

    def given_up(self, feed: TokenFeed, now_us: int) -> list[TokenFeed]:
        """Recomputes the hash at the end of a step; returns the tokens whose books are not believed any more.

        That is none, the token itself, or both of its market, of which too few hashes matched.
        """
        gate = feed.gate
        assert gate.book is not None, "only a book can be checked"
        feed.check_due = False
        facts, trust = feed.market.facts, feed.market.trust
        result = feed.check.check(facts, feed.token, gate.book, gate.venue_ms, gate.hash, now_us)
        lasts = result is Check.MISMATCH and feed.check.mismatch_lasts(gate.venue_ms, gate.hash, now_us)
        if result is not Check.UNABLE:
            trust.note(matched=result is Check.MATCH)
        distrusted = result is Check.MISMATCH and trust.below(self._policy.trust_min)
        gives_up = result is not Check.MATCH and (feed.unproven or lasts or distrusted)
        self._counters.hash_result(result)
        if result is Check.MATCH:
            feed.unproven = False
            feed.proven_us = gate.good_us
            return []
        if not gives_up:
            # If something looks wrong, the next step is checked whoever's turn it is.
            feed.check_due = result is Check.MISMATCH
            return []
        others = self._distrust(feed, now_us) if distrusted and not (feed.unproven or lasts) else []
        disprove(feed)
        return [*others, feed]

    def _distrust(self, feed: TokenFeed, now_us: int) -> list[TokenFeed]:
        """Too many hashes of this market failed, if never two running: its other token goes the same way."""
        self._counters.distrusted += not feed.market.muted
        feed.market.trust.forget()
        others = [one for one in feed.market.tokens if one is not feed and one.gate.book is not None]
        for other in others:
            other.doubted_us = min(other.proven_us, other.doubted_us if other.unproven else now_us)
            other.unproven = True
        return others
