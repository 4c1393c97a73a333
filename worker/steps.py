"""When a token's book may be shown: the step rule (pure).

One step of the exchange may be several messages with one timestamp and hash. All of them carry the best prices
after the last one, and the book in between can be crossed. So a top is published as soon as the local best pair
equals the venue's; while it does not, the token is held until its step closes: by a message with another timestamp
or hash, by a whole book, or by a few quiet milliseconds. Unequal at one close: nothing is published. Still unequal
at the next, or after a quarter of a second: the book is wrong and must be fetched anew.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from worker.book import Book, Top, same_top
from worker.shapes import Change


class Verdict(enum.Enum):
    """What a message means for the token it changed."""

    NOTHING = enum.auto()
    PUBLISH = enum.auto()
    DESYNC = enum.auto()


@dataclass(frozen=True, slots=True)
class StepPolicy:
    """Times of the step rule, in microseconds."""

    quiet_us: int = 5_000
    desync_after_us: int = 250_000


class StepGate:
    """One token's book and what of it has been shown.

    `book` is None until a snapshot arrived. After PUBLISH `shown` is the top to publish.
    """

    __slots__ = (
        "_closed",
        "_held_since_us",
        "_suspect",
        "book",
        "changed_us",
        "good_us",
        "hash",
        "shown",
        "snapshot_us",
        "unshown",
        "venue_ms",
    )

    def __init__(self) -> None:
        self.book: Book | None = None
        self.shown: Top | None = None
        self.venue_ms: int | None = None
        """The venue's time of the step that the book stands at."""
        self.hash = ""
        """The venue's hash of the book at that step; empty if it gave none."""
        self.good_us = 0
        """When the book last agreed with the venue, Unix microseconds."""
        self.changed_us = 0
        """When a message last told of this book, Unix microseconds: the token's data clock."""
        self.snapshot_us = 0
        """When the last whole book came, Unix microseconds."""
        self.unshown = 0
        """Steps since the last top that was shown, or the last gap, that ended held: nobody was told of them."""
        self._held_since_us = 0
        self._closed = False
        self._suspect = False

    @property
    def held(self) -> bool:
        """Whether the local best pair differs from the venue's just now."""
        return self._held_since_us != 0

    def clear(self) -> None:
        """Forgets the book: nothing is shown until the next snapshot."""
        self.book = None
        self.shown = None
        self.unshown = 0
        self._let_go()

    def snapshot(self, book: Book, venue_ms: int | None, book_hash: str, now_us: int) -> Verdict:
        """A whole book replaces what was known, and closes any step."""
        self._leave(venue_ms, book_hash)
        self.book = book
        self.venue_ms = venue_ms
        self.hash = book_hash
        self.changed_us = self.snapshot_us = now_us
        self._let_go()
        return self._show(book, now_us)

    def change(self, changes: Sequence[Change], venue_ms: int | None, now_us: int) -> Verdict:
        """All changes that one message holds for this token. Ignored (NOTHING) before the first snapshot."""
        book = self.book
        if book is None:
            return Verdict.NOTHING
        last = changes[-1]
        self._leave(venue_ms, last.hash)
        if self._held_since_us and (venue_ms != self.venue_ms or last.hash != self.hash):
            if not self._closed and self._close_unequal():
                return Verdict.DESYNC
            self._closed = False
        self.venue_ms = venue_ms
        self.hash = last.hash
        self.changed_us = now_us
        for change in changes:
            book.apply(change)
        if last.best_bid is None or last.best_ask is None or book.agrees_with(last.best_bid, last.best_ask):
            self._let_go()
            return self._show(book, now_us)
        if not self._held_since_us:
            self._held_since_us = now_us
        return Verdict.NOTHING

    def tick(self, now_us: int, policy: StepPolicy) -> Verdict:
        """Time passed: closes a quiet step, ends a hold that lasts too long."""
        if not self._held_since_us:
            return Verdict.NOTHING
        if now_us - self._held_since_us >= policy.desync_after_us:
            return Verdict.DESYNC
        if not self._closed and now_us - self.changed_us >= policy.quiet_us:
            self._closed = True
            if self._close_unequal():
                return Verdict.DESYNC
        return Verdict.NOTHING

    def quiet(self, now_us: int, policy: StepPolicy) -> bool:
        """Whether the last step is over: agreed, and no message for a few milliseconds."""
        return not self._held_since_us and now_us - self.changed_us >= policy.quiet_us

    def due_us(self, policy: StepPolicy) -> int | None:
        """When `tick` has something to do next, Unix microseconds; None: no time matters."""
        if not self._held_since_us:
            return None
        deadline_us = self._held_since_us + policy.desync_after_us
        return deadline_us if self._closed else min(deadline_us, self.changed_us + policy.quiet_us)

    def _leave(self, venue_ms: int | None, book_hash: str) -> None:
        """Another step begins: one that is held by then is not told any more."""
        if self._held_since_us and (venue_ms != self.venue_ms or book_hash != self.hash):
            self.unshown += 1

    def _close_unequal(self) -> bool:
        """A step closed while the pairs differ; true if it is the second one running."""
        if self._suspect:
            return True
        self._suspect = True
        return False

    def _let_go(self) -> None:
        self._held_since_us = 0
        self._closed = False
        self._suspect = False

    def _show(self, book: Book, now_us: int) -> Verdict:
        self.good_us = now_us
        top = book.top()
        if self.shown is not None and same_top(self.shown, top):
            return Verdict.NOTHING
        self.shown = top
        return Verdict.PUBLISH
