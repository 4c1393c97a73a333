"""The books of one connection (pure): messages in, updates and notices out.

What is wrong with a book is told as a gap, and the token is put on `resync`: it needs a new snapshot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from marketdata.entries import GapCause
from worker.book import Book
from worker.counters import Counters
from worker.doubts import Doubts, disprove, doubt, right_until_us
from worker.feeds import MarketFeed, TokenFeed, TokenState, Told
from worker.notices import Ended, Event, Notice, Witness
from worker.policy import SECOND_US, ProtocolPolicy
from worker.shapes import Book as BookMessage
from worker.shapes import Change, Level, MarketResolved, PriceChange, TickSizeChange, Trade
from worker.steps import Verdict
from worker.streams import Update
from worker.updates import gap_update, resolved_update, tick_update, top_update, trade_update
from worker.verification import Check

HEARD_AGAIN_US: Final = 3 * SECOND_US
"""A token in quarantine that something is heard of is asked for so soon."""

FORGIVEN_AFTER_US: Final = 60 * SECOND_US
"""A token that was live for this long starts with a clean record."""


class Books:
    """Markets, tokens and their books."""

    def __init__(self, worker_id: str, policy: ProtocolPolicy, counters: Counters) -> None:
        self.updates: list[Update] = []
        self.notices: list[Notice] = []
        self.markets: dict[str, MarketFeed] = {}
        self.tokens: dict[str, TokenFeed] = {}
        self.resync: list[TokenFeed] = []
        """Tokens that need a new snapshot."""
        self.first_books = 0
        """Snapshots that made a token live."""
        self.last_data_us = 0
        self.rescues: Counter[str] = Counter()
        """Silent tokens that came back, by what helped."""
        self._worker_id = worker_id
        self._policy = policy
        self._counters = counters
        self._doubts = Doubts(policy, counters)
        self._held: set[TokenFeed] = set()

    def add(self, market: MarketFeed) -> None:
        """Takes a market on."""
        self.markets[market.condition_id] = market
        for feed in market.tokens:
            self.tokens[feed.token] = feed

    def remove(self, condition_id: str) -> list[str]:
        """Lets a market go and frees all that was known of it; returns its tokens."""
        market = self.markets.pop(condition_id, None)
        if market is None:
            return []
        for feed in market.tokens:
            self._held.discard(feed)
            del self.tokens[feed.token]
        return [feed.token for feed in market.tokens]

    # -- messages -------------------------------------------------------------------------------------------

    def price_change(self, message: PriceChange, now_us: int) -> None:
        """Edits levels; publishes what the step rule lets through."""
        self._counters.price_changes += 1
        market = self._market(message.market, message.venue_ms)
        if market is None:
            return
        self.last_data_us = now_us
        changes = message.changes
        if len(changes) == 2 and changes[0].token != changes[1].token:
            for change in changes:
                self._change(market, change.token, (change,), message.venue_ms, now_us)
            return
        by_token: dict[str, list[Change]] = {}
        for change in changes:
            by_token.setdefault(change.token, []).append(change)
        for token, of_token in by_token.items():
            self._change(market, token, of_token, message.venue_ms, now_us)

    def _change(
        self, market: MarketFeed, token: str, changes: Sequence[Change], venue_ms: int | None, now_us: int
    ) -> None:
        feed = market.by_token.get(token)
        if feed is None:
            self._counters.foreign += 1
            return
        gate = feed.gate
        if gate.book is None:
            self._counters.before_book += 1
            if feed.state is TokenState.QUARANTINED:
                # The venue tells of it again.
                feed.book_due_us = min(feed.book_due_us, now_us + HEARD_AGAIN_US)
            elif feed.state is TokenState.UNLISTED:
                # The venue does have a book of it by now: ask again soon.
                soon_us = now_us + int(self._policy.first_book_timeout_s * SECOND_US)
                feed.book_due_us = min(feed.book_due_us, soon_us)
            return
        if (
            feed.check_due
            and not gate.held
            and (venue_ms != gate.venue_ms or changes[-1].hash != gate.hash)
            and not self._verified(feed, now_us)
        ):
            return
        if venue_ms is not None and venue_ms < (gate.venue_ms or 0) and changes[-1].best_bid is not None:
            # Within a market that never happened since 2025: something newer was applied before it.
            doubt(feed, now_us)
        was_held = gate.held
        verdict = gate.change(changes, venue_ms, now_us)
        if verdict is Verdict.PUBLISH:
            self._top(feed, venue_ms, now_us)
        elif verdict is Verdict.DESYNC:
            self._disproven(feed, now_us)
            return
        if gate.held is not was_held:
            if was_held:
                self._held.discard(feed)
            else:
                self._held.add(feed)
        if self._policy.check_every_step or feed.unproven:
            feed.check_due = True

    def book(self, message: BookMessage, now_us: int) -> None:
        """A whole book: shown at once, verified afterwards."""
        self._counters.books += 1
        market = self._market(message.market, message.venue_ms)
        if market is None:
            return
        feed = market.by_token.get(message.token)
        if feed is None:
            self._counters.foreign += 1
            return
        self.last_data_us = now_us
        book = Book(message.bids, message.asks)
        self._held.discard(feed)
        verdict = feed.gate.snapshot(book, message.venue_ms, message.hash, now_us)
        if feed.state is not TokenState.LIVE:
            self._now_live(feed, now_us)
        feed.book_due_us = feed.resubscribe_us = feed.suspected_us = 0
        feed.unproven = feed.check_due = False
        feed.proven_us = now_us
        if verdict is Verdict.PUBLISH:
            self._top(feed, message.venue_ms, now_us)
        if message.tick_size:
            feed.check.tick_size = message.tick_size
        if message.version:
            market.facts.version = message.version
        market.facts.book_says(message.last_trade_price, now_us)
        result = feed.check.check_snapshot(market.facts, feed.token, book, message.venue_ms, message.hash)
        self._counters.hash_result(result)
        if result is Check.MATCH:
            market.trust.note(matched=True)

    def _now_live(self, feed: TokenFeed, now_us: int) -> None:
        feed.state = TokenState.LIVE
        feed.live_since_us = now_us
        self.first_books += 1
        feed.rescued_by, feed.step = feed.step, None
        if feed.rescued_by is not None and not feed.market.muted:
            self.rescued(feed)

    def rescued(self, feed: TokenFeed) -> None:
        """A token that had fallen silent is live again; `rescued_by` says what did it."""
        assert feed.rescued_by is not None, "only what was tried can have helped"
        self.rescues[feed.rescued_by.value] += 1
        self._counters.rescues[feed.rescued_by.value] += 1
        self.notices.append(
            Event("rescue", feed.market.condition_id, feed.outcome, f"rescued by {feed.rescued_by.value}")
        )

    def trade(self, message: Trade, now_us: int) -> None:
        """A trade is written as it is; it also tells what the next hashes cover."""
        self._counters.trades += 1
        feed = self._token(message.market, message.token, message.venue_ms)
        if feed is None:
            return
        self.last_data_us = now_us
        feed.market.facts.trade_says(message.price)
        self._beside(feed, message.venue_ms, (message.price, message.size, message.side))
        self._tell(feed.market, trade_update(feed, message, now_us))
        feed.market.stream.trades += not feed.market.muted

    def tick_size_change(self, message: TickSizeChange, now_us: int) -> None:
        """A new price grid: levels off it may have vanished unsaid, so the next step must prove the book."""
        self._counters.seen("tick_size_change")
        feed = self._token(message.market, message.token, message.venue_ms)
        if feed is None:
            return
        self.last_data_us = now_us
        feed.check.tick_size = message.new_tick_size
        if feed.gate.book is not None:
            doubt(feed, now_us)
        self._beside(feed, message.venue_ms, (message.new_tick_size,))
        self._tell(feed.market, tick_update(feed, message, now_us))

    def market_resolved(self, message: MarketResolved, now_us: int) -> None:
        """The last entry of a market. A message that names no winner is left to the polling of resolutions."""
        self._counters.seen("market_resolved")
        market = self.markets.get(message.market)
        winner = market.by_token.get(message.winning_token) if market else None
        if market is None or market.ended or winner is None:
            return
        # On its way to another connection: it is switched only when both have said so.
        self._beside(winner, message.venue_ms, ("resolved",))
        if market.muted:
            return
        self.resolve(market, str(winner.outcome), message.venue_ms, now_us)
        self.notices.append(Ended(market.condition_id, 1 if winner.outcome else 0))

    def resolve(self, market: MarketFeed, note: str, venue_ms: int | None, now_us: int) -> None:
        """Writes the market's last entry: note is 0, 1 or split."""
        market.ended = market.stream.over = True
        for feed in market.tokens:
            self.forget(feed)
        self._tell(market, resolved_update(market, note, venue_ms, now_us))

    # -- what goes wrong ------------------------------------------------------------------------------------

    def distrust_all(self, now_us: int) -> None:
        """A frame was lost and nobody knows whose: every book must prove itself at its next step, and by REST."""
        suspects = []
        for feed in self.tokens.values():
            if feed.gate.book is not None:
                doubt(feed, now_us)
                suspects.append(feed.token)
        if suspects:
            self.notices.append(Witness(tuple(suspects), "lost"))

    def malformed(self, condition_id: str, now_us: int) -> None:
        """A message of this market could not be used: its books are wrong from now on."""
        market = self.markets.get(condition_id)
        if market is not None and not market.ended:
            for feed in market.tokens:
                if feed.state is TokenState.LIVE:
                    self.desync(feed, now_us)

    def desync(self, feed: TokenFeed, now_us: int) -> None:
        """The local book is wrong: a gap from when it was last right, and a new snapshot."""
        self._counters.desyncs += not feed.market.muted
        if feed.live_since_us and now_us - feed.live_since_us > FORGIVEN_AFTER_US:
            feed.resyncs = 0
        feed.resyncs += 1
        self.gap(feed, "desync", right_until_us(feed, feed.gate.good_us), now_us)
        self.forget(feed)
        self.resync.append(feed)

    def gap(self, feed: TokenFeed, cause: GapCause, start_us: int, now_us: int) -> None:
        """Says that updates of a live token may be missing from `start_us` on; one gap is enough until it is live."""
        if feed.state is not TokenState.LIVE or feed.market.ended or feed.market.muted:
            return
        self._tell(feed.market, gap_update(feed, cause, start_us, self._worker_id, now_us))
        self._counters.gap(cause)
        if cause != "disconnect":
            # What a whole connection lost is told once, with its end.
            self.notices.append(Event("gap", feed.market.condition_id, feed.outcome, f"gap: {cause}"))

    def show(self, feed: TokenFeed, now_us: int) -> None:
        """Writes the top that a live token shows: what was known of it before no longer holds."""
        if feed.gate.shown is not None:
            self._top(feed, feed.gate.venue_ms, now_us)

    def forget(self, feed: TokenFeed) -> None:
        """Nothing is known of a token until its next snapshot."""
        feed.gate.clear()
        feed.check.forget()
        self._held.discard(feed)
        feed.state = TokenState.WAITING
        feed.check_due = feed.unproven = False
        feed.book_due_us = feed.resubscribe_us = feed.suspected_us = 0
        feed.live_since_us = 0

    # -- time and proof -------------------------------------------------------------------------------------

    def tick_steps(self, now_us: int) -> None:
        """Closes quiet steps and ends holds that last too long."""
        for feed in list(self._held):
            if feed.gate.tick(now_us, self._policy.steps) is Verdict.DESYNC:
                self._disproven(feed, now_us)

    @property
    def due_us(self) -> int | None:
        """When `tick_steps` is wanted next, Unix microseconds; None: no step is open."""
        if not self._held:
            return None
        dues = [due for feed in self._held if (due := feed.gate.due_us(self._policy.steps)) is not None]
        return min(dues, default=None)

    def verify(self, feeds: Iterable[TokenFeed], now_us: int) -> None:
        """Checks each token's hash if its step is over, else when it is."""
        for feed in feeds:
            if feed.gate.book is None or (feed.unproven and not feed.check_due):
                # What made a book doubtful came after its last step; only the next one can prove anything.
                continue
            if not feed.gate.quiet(now_us, self._policy.steps):
                feed.check_due = True
            else:
                self._verified(feed, now_us)

    def _verified(self, feed: TokenFeed, now_us: int) -> bool:
        """Checks the hash of the step that is over; false if the book was given up."""
        given_up = self._doubts.given_up(feed, now_us)
        for one in given_up:
            self.desync(one, now_us)
        return not given_up

    def _disproven(self, feed: TokenFeed, now_us: int) -> None:
        """Its best prices are not the venue's."""
        disprove(feed)
        self.desync(feed, now_us)

    def differs(self, token: str, bids: Sequence[Level], asks: Sequence[Level], rest_ms: int | None) -> bool:
        """Whether a REST book contradicts the local one: same moment or newer, with other levels."""
        feed = self.tokens.get(token)
        if feed is None or feed.gate.book is None or feed.gate.held:
            return False
        if rest_ms is None or (feed.gate.venue_ms is not None and rest_ms < feed.gate.venue_ms):
            return False
        return not feed.gate.book.same_levels(bids, asks)

    # -- small steps ----------------------------------------------------------------------------------------

    def _market(self, condition_id: str, venue_ms: int | None) -> MarketFeed | None:
        market = self.markets.get(condition_id)
        if market is None or market.ended:
            self._counters.foreign += 1
            return None
        if venue_ms is not None:
            if venue_ms < market.last_venue_ms:
                self._counters.time_back += 1
            else:
                market.last_venue_ms = venue_ms
        return market

    def _token(self, condition_id: str, token: str, venue_ms: int | None) -> TokenFeed | None:
        market = self._market(condition_id, venue_ms)
        if market is None:
            return None
        feed = market.by_token.get(token)
        if feed is None:
            self._counters.foreign += 1
        return feed

    def _top(self, feed: TokenFeed, venue_ms: int | None, now_us: int) -> None:
        self._tell(feed.market, top_update(feed, venue_ms, now_us))
        if not feed.market.muted:
            self._counters.tops += 1
            feed.gate.unshown = 0

    def _tell(self, market: MarketFeed, update: Update) -> None:
        if not market.muted:
            self.updates.append(update)

    def _beside(self, feed: TokenFeed, venue_ms: int | None, what: tuple[str, ...]) -> None:
        if feed.market.tape is not None:
            feed.market.tape.append(Told(feed.outcome, venue_ms, what))
