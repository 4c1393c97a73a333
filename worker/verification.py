"""Is a book the venue's book? The hash that every message carries, recomputed (pure).

The hash covers facts that travel beside the book: tick size, minimum order size, and the price of the last trade,
which is one value for both tokens of a market, spelt with three decimals, and may change up to a tenth of a second
before the trade is reported. So a mismatch is first answered with the other values that may be in force.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from marketdata.venue import (
    EVERY_LAST_TRADE,
    HASH_FORMS,
    HashForm,
    book_hash,
    last_trade_candidates,
    last_trade_that_hashes,
)
from worker.book import Book

PATIENCE_US: Final = 250_000
"""Mismatches are believed only when they last this long: the last trade's price may be ahead of its report."""

UNSETTLED_US: Final = 2_000_000
"""For how long after a fill the last trade's price may be unknown, if no trade is reported."""

OTHERS_KEPT: Final = 6
"""Several trades of one sweep may be reported in any order: so many other prices may be in force."""


TICK_SIZES: Final = ("0.01", "0.001", "0.0001", "0.1", "0.005", "0.0025")
"""All that markets have had."""

COARSE_TICK_SIZES: Final = ("0.01", "0.001", "0.1")
"""With these every price is one of those that are tried."""

UNMATCHED_BOOKS: Final = 3
"""After so many whole books running that did not verify, their tick size may have changed unsaid."""


class Check(enum.Enum):
    """What recomputing a hash said."""

    MATCH = enum.auto()
    MISMATCH = enum.auto()
    UNABLE = enum.auto()


class MarketFacts:
    """What the hashes of both tokens of a market share."""

    __slots__ = (
        "condition_id",
        "last_trade_price",
        "last_trade_unsettled_until_us",
        "min_order_size",
        "neg_risk",
        "other_last_trades",
        "version",
    )

    def __init__(self, condition_id: str, *, min_order_size: str, neg_risk: bool, version: str) -> None:
        self.condition_id = condition_id
        self.min_order_size = min_order_size
        self.neg_risk = neg_risk
        self.version = version
        self.last_trade_price = ""
        self.other_last_trades: tuple[str, ...] = ()
        self.last_trade_unsettled_until_us = 0

    def book_says(self, last_trade_price: str | None, now_us: int) -> None:
        """A whole book arrived; only the first one after a subscription names the last trade."""
        if last_trade_price is None:
            self.last_trade_unsettled_until_us = now_us + UNSETTLED_US
        else:
            self.last_trade_price = last_trade_price
            self.other_last_trades = ()
            self.last_trade_unsettled_until_us = 0

    def trade_says(self, price: str) -> None:
        """A trade was reported: its price or one minus it is in force; the ones before may be, too."""
        self._others((*last_trade_candidates(price), *self.other_last_trades))
        self.last_trade_unsettled_until_us = 0

    def proven(self, last_trade_price: str) -> None:
        """A hash verified with this one; that of the other token may still cover the one before."""
        if last_trade_price != self.last_trade_price:
            before, self.last_trade_price = self.last_trade_price, last_trade_price
            self._others((before, *self.other_last_trades))

    def _others(self, candidates: Iterable[str]) -> None:
        others = [one for one in dict.fromkeys(candidates) if one != self.last_trade_price]
        self.other_last_trades = tuple(others[:OTHERS_KEPT])


class HashCheck:
    """One token's record of hash checks."""

    __slots__ = (
        "_mismatch_since_us",
        "_mismatch_step",
        "_unmatched",
        "form",
        "matches",
        "mismatches",
        "tick_size",
        "unable",
    )

    def __init__(self, tick_size: str) -> None:
        self.tick_size = tick_size
        self.form: HashForm | None = None
        """Which formula the venue uses for this token; None until a book verified with one."""
        self.matches = 0
        self.mismatches = 0
        self.unable = 0
        self._mismatch_since_us = 0
        self._mismatch_step: tuple[int | None, str] = (None, "")
        self._unmatched = 0

    def forget(self) -> None:
        """A new subscription: earlier mismatches say nothing of the next book."""
        self._mismatch_since_us = 0

    def check_snapshot(
        self, facts: MarketFacts, token: str, book: Book, venue_ms: int | None, wanted: str
    ) -> Check:
        """Verifies a whole book and learns the formula from it. Never a reason to distrust: it is the venue's own.

        A tick size that changed unsaid is learned, too.
        """
        if not wanted or venue_ms is None:
            return Check.UNABLE
        forms = HASH_FORMS if self.form is None else (self.form,)
        believed = self.tick_size
        self._unmatched += 1
        others = TICK_SIZES if self.form is None or self._unmatched >= UNMATCHED_BOOKS else ()
        for tick_size in (believed, *(one for one in others if one != believed)):
            self.tick_size = tick_size
            for form in forms:
                if self._matches(facts, token, book, venue_ms, wanted, form):
                    self.form = form
                    self.matches += 1
                    self._mismatch_since_us = self._unmatched = 0
                    return Check.MATCH
        self.tick_size = believed
        if self._unmatched >= UNMATCHED_BOOKS:
            if self.finds_last_trade(facts, token, book, venue_ms, wanted):
                self.matches += 1
                return Check.MATCH
            # The venue's own books verify no more: the formula is another one, and says nothing of ours.
            self.form = None
        self.unable += 1
        return Check.UNABLE

    def check(
        self, facts: MarketFacts, token: str, book: Book, venue_ms: int | None, wanted: str, now_us: int
    ) -> Check:
        """Verifies a book at the end of a step. UNABLE where the formula or the last trade is not known."""
        if self.form is None or not wanted or venue_ms is None:
            self.unable += 1
            return Check.UNABLE
        if self._matches(facts, token, book, venue_ms, wanted, self.form):
            self.matches += 1
            self._mismatch_since_us = self._unmatched = 0
            return Check.MATCH
        # After a fill any price may be the last one, and its report may come later, or never: all of them are tried.
        if self.finds_last_trade(facts, token, book, venue_ms, wanted):
            self.matches += 1
            return Check.MATCH
        if now_us < facts.last_trade_unsettled_until_us and not self.tries_all:
            self.unable += 1
            return Check.UNABLE
        self.mismatches += 1
        return Check.MISMATCH

    def finds_last_trade(
        self, facts: MarketFacts, token: str, book: Book, venue_ms: int | None, wanted: str
    ) -> bool:
        """Called before a book or formula is given up: true if only the last trade was unknown, which is known by now.

        Its report may have been lost, or belong to the other token, which may be silent. Costs about a millisecond.
        """
        if self.form != "full" or venue_ms is None:
            return False
        last_trade = self._last_trade(facts, token, book, venue_ms, wanted, EVERY_LAST_TRADE)
        if last_trade is None:
            return False
        facts.proven(last_trade)
        self._mismatch_since_us = self._unmatched = 0
        return True

    @property
    def mismatched(self) -> bool:
        """Whether a mismatch was seen since the last match."""
        return self._mismatch_since_us != 0

    def mismatch_lasts(self, venue_ms: int | None, wanted: str, now_us: int) -> bool:
        """Called at a mismatch; true if an earlier step had one that cannot have been a matter of timing.

        Where every last trade was tried, two steps running are enough; else they must lie some time apart.
        """
        if not self._mismatch_since_us:
            self._mismatch_since_us, self._mismatch_step = now_us, (venue_ms, wanted)
            return False
        if self.tries_all and self._mismatch_step != (venue_ms, wanted):
            return True
        return now_us - self._mismatch_since_us >= PATIENCE_US

    @property
    def tries_all(self) -> bool:
        """Whether no last trade can explain a hash that none of three decimals does."""
        return self.form == "full" and self.tick_size in COARSE_TICK_SIZES

    def _matches(
        self, facts: MarketFacts, token: str, book: Book, venue_ms: int, wanted: str, form: HashForm
    ) -> bool:
        if form == "full":
            known = (facts.last_trade_price, *facts.other_last_trades)
            last_trade = self._last_trade(facts, token, book, venue_ms, wanted, known)
            if last_trade is not None:
                facts.proven(last_trade)
            return last_trade is not None
        bids, asks = book.in_wire_order()
        computed = book_hash(
            market=facts.condition_id,
            asset_id=token,
            timestamp=str(venue_ms),
            bids=bids,
            asks=asks,
            min_order_size=facts.min_order_size,
            tick_size=self.tick_size,
            neg_risk=facts.neg_risk,
            form=form,
        )
        return computed == wanted

    def _last_trade(
        self,
        facts: MarketFacts,
        token: str,
        book: Book,
        venue_ms: int,
        wanted: str,
        last_trades: Iterable[str],
    ) -> str | None:
        bids, asks = book.in_wire_order()
        return last_trade_that_hashes(
            wanted,
            last_trades,
            market=facts.condition_id,
            asset_id=token,
            timestamp=str(venue_ms),
            bids=bids,
            asks=asks,
            min_order_size=facts.min_order_size,
            tick_size=self.tick_size,
            neg_risk=facts.neg_risk,
            version=facts.version,
        )
