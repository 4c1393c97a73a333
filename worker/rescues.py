"""Getting books that do not come, or do not come any more (pure).

A wrong book is fetched anew at once, then ever later. A silent one that REST contradicts, and a first book that is
overdue, go up a ladder: subscribe again on the same connection, let another connection get it, put the token in
quarantine and ask from time to time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from worker.books import Books
from worker.counters import Counters
from worker.feeds import Step, TokenFeed, TokenState
from worker.notices import Event, Move, Witness
from worker.policy import SECOND_US, ProtocolPolicy
from worker.shapes import Book
from worker.silence import UNWITNESSED_A_TICK, Silence, after
from worker.subscriptions import Subscriptions

RESYNC_LONGEST_S: Final = 30

RESCUE_WAIT_S: Final = 4.0
"""So soon a book must come after a token was subscribed again because it was silent."""

MOVE_WAIT_S: Final = 12.0
"""So soon another connection must have got the book; whoever moves it gives up earlier."""

UNLISTED_PATIENCE: Final = 10
"""A token of which the venue has no book is asked for this much less often, while nothing is heard of it."""


class Rescues:
    """Watches one connection's tokens and asks for their books again."""

    def __init__(
        self, books: Books, subscriptions: Subscriptions, policy: ProtocolPolicy, counters: Counters
    ) -> None:
        self._books = books
        self._subscriptions = subscriptions
        self._policy = policy
        self._counters = counters
        self._silence = Silence(books, policy)

    @property
    def counts(self) -> Counter[str]:
        """Silent tokens that came back on this connection, by what helped."""
        return self._books.rescues

    def opened(self, now_us: int) -> None:
        """A new connection: every book is awaited, and the ladder begins below its first rung."""
        for feed in self._books.tokens.values():
            feed.step = feed.rescued_by = None
            self.await_book(feed, now_us)

    def await_book(self, feed: TokenFeed, now_us: int) -> None:
        """A subscription goes out: its book has a deadline."""
        if feed.step is not Step.SLOW:
            feed.state = TokenState.WAITING
        feed.book_due_us = now_us + int(self._policy.first_book_timeout_s * SECOND_US)

    def tick(self, now_us: int) -> None:
        """Once a second: silent tokens, planned new snapshots, overdue books."""
        again: list[TokenFeed] = []
        silent: list[str] = []
        first: list[str] = []
        unwitnessed = 0
        for feed in list(self._books.tokens.values()):
            if feed.state is TokenState.LIVE:
                if feed.market.muted or not self._silence.is_due(feed, now_us):
                    continue
                if unwitnessed < UNWITNESSED_A_TICK and self._silence.is_unwitnessed(feed, now_us):
                    unwitnessed += 1
                    self._counters.unwitnessed += 1
                    self._silence.give_up(feed, now_us)
                    # Nothing says that it is silent: however often this happens, it goes no further up.
                    self._try(feed, Step.RESUBSCRIBE, now_us)
                    continue
                feed.asked_us = now_us
                silent.append(feed.token)
            elif feed.resubscribe_us and now_us >= feed.resubscribe_us:
                again.append(feed)
            elif feed.book_due_us and now_us >= feed.book_due_us:
                if feed.market.muted:
                    feed.book_due_us = 0
                elif feed.step is not None:
                    self._try(feed, after(feed.step), now_us)
                else:
                    patience = UNLISTED_PATIENCE if feed.state is TokenState.UNLISTED else 1
                    feed.book_due_us = now_us + self._first_book_us() * patience
                    first.append(feed.token)
        self._resubscribe(again, now_us)
        if silent:
            self._books.notices.append(Witness(tuple(silent), "silent"))
        if first:
            self._counters.first_books_overdue += len(first)
            self._books.notices.append(Witness(tuple(first), "first"))

    def resync(self, now_us: int) -> None:
        """Asks for the snapshots that the books want: the first at once, further ones of a token ever later."""
        at_once: list[TokenFeed] = []
        for feed in self._books.resync:
            if feed.resyncs <= 1:
                at_once.append(feed)
            else:
                delay_s = min(RESYNC_LONGEST_S, 2 ** min(feed.resyncs - 2, 10))
                feed.resubscribe_us = now_us + delay_s * SECOND_US
        self._books.resync.clear()
        self._resubscribe(at_once, now_us)

    # -- what REST and others say ---------------------------------------------------------------------------

    def first_book_said(self, token: str, *, listed: bool | None, now_us: int) -> None:
        """REST said whether the venue has a book of a token whose first book is missing; None: it did not answer."""
        feed = self._waiting(token)
        if feed is None or feed.step is not None:
            return
        if listed is False:
            feed.state = TokenState.UNLISTED
        elif listed:
            self._counters.first_book_retries += 1
            self._try(feed, Step.RESUBSCRIBE, now_us)
        elif feed.state is not TokenState.UNLISTED:
            # The subscription may be at fault, or the venue may have no such book: asked again, and again after that.
            self._counters.first_book_retries += 1
            self._resubscribe([feed], now_us)

    def silent_book_said(self, token: str, book: Book | None, now_us: int) -> float | None:
        """REST's book of a silent token (None: it has none). Returns in how many seconds to ask again, if at all."""
        look = self._silence.compare(token, book, now_us)
        if look.stale and self._subscriptions.begun:
            feed = self._books.tokens[token]
            self._counters.stale += 1
            self._try(feed, self._silence.give_up(feed, now_us), now_us)
        return look.again_s

    def not_moved(self, token: str, now_us: int) -> None:
        """No other connection got the token's book either."""
        feed = self._waiting(token)
        if feed is not None and feed.step is Step.MOVE:
            self._try(feed, Step.SLOW, now_us)

    # -- small steps ----------------------------------------------------------------------------------------

    def _waiting(self, token: str) -> TokenFeed | None:
        """A token of which nothing is shown, if it can be asked for now."""
        feed = self._books.tokens.get(token)
        if (
            feed is None
            or feed.state is TokenState.LIVE
            or feed.market.ended
            or not self._subscriptions.begun
        ):
            return None
        return feed

    def _try(self, feed: TokenFeed, step: Step, now_us: int) -> None:
        before, feed.step = feed.step, step
        wait_s = RESCUE_WAIT_S
        if step is Step.RESUBSCRIBE:
            self._resubscribe([feed], now_us)
        elif step is Step.MOVE:
            wait_s = MOVE_WAIT_S
            self._books.notices.append(Move(feed.market.condition_id, feed.token))
        else:
            wait_s = self._policy.quarantine_retry_s
            if before is Step.SLOW:
                self._resubscribe([feed], now_us)
            else:
                feed.state = TokenState.QUARANTINED
                self._counters.quarantined_tokens += 1
                text = "no book by any means: in quarantine"
                event = Event("rescue", feed.market.condition_id, feed.outcome, text)
                self._books.notices.append(event)
        feed.book_due_us = now_us + int(wait_s * SECOND_US)

    def _resubscribe(self, feeds: Iterable[TokenFeed], now_us: int) -> None:
        known = [one for one in feeds if self._books.tokens.get(one.token) is one and not one.market.ended]
        if not known or not self._subscriptions.begun:
            return
        for feed in known:
            feed.resubscribe_us = 0
            feed.market.stream.gen += not feed.market.muted
            self.await_book(feed, now_us)
        tokens = [feed.token for feed in known]
        self._subscriptions.unsubscribe(tokens)
        self._subscriptions.subscribe(tokens)

    def _first_book_us(self) -> int:
        return int(self._policy.first_book_timeout_s * SECOND_US)
