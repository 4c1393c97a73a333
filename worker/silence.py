"""Tokens that nothing is heard of (pure): who is to be compared with REST, and what follows from the answer.

Quiet is not stale. A book is stale when REST has a newer one with other levels, twice, and had it long enough for
the connection to have delivered it. REST itself may answer an old, empty-looking book of 0.01 against 0.99: that
says nothing. What REST cannot vouch for at all is asked for anew after a while, seldom.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from worker.books import Books
from worker.doubts import right_until_us
from worker.feeds import Step, TokenFeed, TokenState
from worker.policy import SECOND_US, ProtocolPolicy
from worker.shapes import Book, Level

NEWER_MS: Final = 5_000
"""REST ahead by so much: the connection had the time to deliver it."""

SECOND_LOOK_S: Final = 1.5
LONG_LOOK_S: Final = 5.0
"""REST is ahead by less: time to deliver it is given first."""

UNWITNESSED_AFTER: Final = 4
"""Times STALE_AFTER_S: so long may a quiet book stand without REST having the same one."""

UNWITNESSED_A_TICK: Final = 1
"""Books a connection asks for anew in a second because of that: while REST is down, all quiet ones come due."""

SHELL_BID_MICROS: Final = 10_000
SHELL_ASK_MICROS: Final = 990_000


class Look(NamedTuple):
    """What a comparison with REST says: to be looked at again in so many seconds (None: not), or stale."""

    again_s: float | None = None
    stale: bool = False


SETTLED: Final = Look()
STALE: Final = Look(stale=True)


class Silence:
    """Looks after the data clocks of one connection's tokens."""

    def __init__(self, books: Books, policy: ProtocolPolicy) -> None:
        self._books = books
        self._stale_us = int(policy.stale_after_s * SECOND_US)

    def is_due(self, feed: TokenFeed, now_us: int) -> bool:
        """Whether a live token is to be compared with REST now."""
        return now_us - max(feed.gate.changed_us, feed.asked_us) >= self._stale_us

    def is_unwitnessed(self, feed: TokenFeed, now_us: int) -> bool:
        """Whether nothing has vouched for a live token's book for too long."""
        return now_us - max(feed.gate.changed_us, feed.agreed_us) >= UNWITNESSED_AFTER * self._stale_us

    def compare(self, token: str, book: Book | None, now_us: int) -> Look:
        """REST answered for a silent token; `book` None: it has none, which an ended market explains."""
        feed = self._books.tokens.get(token)
        if feed is None or feed.state is not TokenState.LIVE or feed.gate.book is None:
            return SETTLED
        if feed.gate.changed_us > feed.asked_us or book is None:
            feed.suspected_us = 0
            return SETTLED
        if feed.gate.book.same_levels(book.bids, book.asks):
            # REST read its book at some time after it was asked; when, it does not say.
            feed.agreed_us, feed.suspected_us = feed.asked_us, 0
            return SETTLED
        ahead_ms = 0 if book.venue_ms is None else book.venue_ms - (feed.gate.venue_ms or 0)
        if ahead_ms <= 0 or is_shell(book.bids, book.asks):
            feed.suspected_us = 0
            return SETTLED
        if not feed.suspected_us:
            feed.suspected_us = now_us
        wanted_s = SECOND_LOOK_S if ahead_ms >= NEWER_MS else LONG_LOOK_S
        left_s = wanted_s - (now_us - feed.suspected_us) / SECOND_US
        return STALE if left_s <= 0 else Look(left_s)

    def give_up(self, feed: TokenFeed, now_us: int) -> Step:
        """The book is stale: marks it from when it was last known to be right. Returns what to try."""
        relapsed = feed.gate.changed_us == feed.gate.snapshot_us
        start_us = max(feed.gate.changed_us, feed.agreed_us)
        self._books.gap(feed, "stale", right_until_us(feed, start_us), now_us)
        before = feed.rescued_by if relapsed else None
        self._books.forget(feed)
        return after(before)


def after(step: Step | None) -> Step:
    """What to try when `step` did not help, or helped with one book and then nothing more."""
    if step is None:
        return Step.RESUBSCRIBE
    return Step.MOVE if step is Step.RESUBSCRIBE else Step.SLOW


def is_shell(bids: list[Level], asks: list[Level]) -> bool:
    """Whether a REST book looks like the emptied one that the venue is known to answer long after."""
    best_bid = max((level[0] for level in bids), default=0)
    best_ask = min((level[0] for level in asks), default=1_000_000)
    return best_bid <= SHELL_BID_MICROS and best_ask >= SHELL_ASK_MICROS
