"""One connection's rules (pure): frames and ticks in, updates, commands and notices out.

Nothing here reads a clock, a socket or a random source. The shell calls `opened`, `frame`, `tick` and `closed` with
the time in Unix microseconds, then takes what has gathered in `updates`, `commands` and `notices`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import orjson

from marketdata.decimals import with_leading_zero
from marketdata.entries import GapCause, gap_note
from marketdata.venue import MAX_IDS_A_FRAME
from worker.book import Book
from worker.counters import Counters
from worker.feeds import MarketFeed, TokenFeed, TokenState
from worker.messages import (
    BestBidAsk,
    Change,
    Level,
    Malformed,
    MarketResolved,
    NewMarket,
    PriceChange,
    Text,
    TickSizeChange,
    Trade,
    UnreadableFrameError,
    parse_frame,
)
from worker.messages import (
    Book as BookMessage,
)
from worker.steps import StepPolicy, Verdict
from worker.streams import Update
from worker.verification import Check

SECOND_US = 1_000_000
RESYNC_LONGEST_S = 30
UNLISTED_PATIENCE = 10
"""A token of which the venue has no book is asked for this much less often, while nothing is heard of it."""

RESYNC_FORGIVEN_AFTER_S = 60


class ConnectionState(enum.Enum):
    """Where a connection is in its life."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    SUBSCRIBED = "subscribed"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class ProtocolPolicy:
    """The times and bounds of a connection."""

    ping_interval_s: float = 15.0
    pong_timeout_s: float = 30.0
    first_book_timeout_s: float = 30.0
    steps: StepPolicy = field(default_factory=StepPolicy)
    check_every_step: bool = False


class Send(NamedTuple):
    """Send a text frame."""

    text: str


class Close(NamedTuple):
    """Close the connection; another one follows."""

    code: int
    reason: str


class Quarantined(NamedTuple):
    """A frame that could not be used, whole or in part."""

    frame: bytes
    reason: str


class Witness(NamedTuple):
    """Compare these tokens with the REST book: `lost` after an unreadable frame, `first` for a missing first book."""

    tokens: tuple[str, ...]
    why: str


class Ended(NamedTuple):
    """A market was resolved; its entry is written."""

    condition_id: str
    winner: Literal[0, 1]


Notice = Quarantined | Witness | Ended | NewMarket
Command = Send | Close


class ConnectionProtocol:
    """One connection to the market channel and the books of the tokens on it."""

    def __init__(self, worker_id: str, policy: ProtocolPolicy, counters: Counters) -> None:
        self.updates: list[Update] = []
        self.commands: list[Command] = []
        self.notices: list[Notice] = []
        self.markets: dict[str, MarketFeed] = {}
        self.tokens: dict[str, TokenFeed] = {}
        self.state = ConnectionState.CLOSED
        self.generation = 0
        """How many times this connection has been opened."""
        self.had_good_book = False
        """Whether a first book arrived since it was opened: what ends a backoff."""
        self.retired = False
        """The worker stops: the end of the connection is marked by others."""
        self.last_frame_us = 0
        self.last_data_us = 0
        self.pong_us: int | None = None
        """The last PONG's round trip, microseconds."""
        self._worker_id = worker_id
        self._policy = policy
        self._counters = counters
        self._held: set[TokenFeed] = set()
        self._subscribed = False
        self._ping_us = 0
        self._pong_awaited_us = 0

    # -- the connection's life ------------------------------------------------------------------------------

    def connecting(self) -> None:
        """An attempt to connect begins."""
        self.state = ConnectionState.CONNECTING

    def opened(self, now_us: int) -> None:
        """The connection is open: subscribe to everything, in frames of at most 100 ids."""
        self.generation += 1
        self.had_good_book = False
        self._subscribed = False
        self._pong_awaited_us = 0
        self.last_frame_us = self.last_data_us = now_us
        for market in self.markets.values():
            market.stream.gen += 1
        for feed in self.tokens.values():
            feed.check.forget()
            self._await_book(feed, now_us)
        self._subscribe(list(self.tokens), now_us)

    def closed(self, now_us: int) -> None:
        """The connection is gone: every token that was live gets a gap from the last frame on."""
        if self.state is ConnectionState.CLOSED:
            return
        self.state = ConnectionState.CLOSED
        self._subscribed = False
        for feed in self.tokens.values():
            if feed.state is TokenState.LIVE and not self.retired and not feed.market.ended:
                self._gap(feed, "disconnect", self.last_frame_us, now_us)
            self._forget(feed)

    def add(self, markets: Iterable[MarketFeed], now_us: int) -> None:
        """Takes markets on; subscribes at once on an open connection."""
        tokens: list[str] = []
        for market in markets:
            self.markets[market.condition_id] = market
            for feed in market.tokens:
                self.tokens[feed.token] = feed
                tokens.append(feed.token)
                self._await_book(feed, now_us)
            if self.state in (ConnectionState.SUBSCRIBED, ConnectionState.LIVE):
                market.stream.gen += 1
        if self.state in (ConnectionState.SUBSCRIBED, ConnectionState.LIVE):
            self._subscribe(tokens, now_us)

    def remove(self, condition_ids: Iterable[str]) -> None:
        """Lets markets go and frees all that was known of them."""
        tokens: list[str] = []
        for condition_id in condition_ids:
            market = self.markets.pop(condition_id, None)
            if market is None:
                continue
            for feed in market.tokens:
                self._held.discard(feed)
                del self.tokens[feed.token]
                tokens.append(feed.token)
        if self._subscribed:
            self._unsubscribe(tokens)

    # -- time -----------------------------------------------------------------------------------------------

    def tick(self, now_us: int) -> None:
        """Once a second, or when `due_us` has come: heartbeat, overdue books, planned new snapshots, open steps."""
        if not self._subscribed:
            return
        self.tick_steps(now_us)
        policy = self._policy
        if self._pong_awaited_us and now_us - self._pong_awaited_us >= policy.pong_timeout_s * SECOND_US:
            self._counters.pong_timeouts += 1
            self.commands.append(Close(1001, f"no PONG for {policy.pong_timeout_s:g} s"))
            return
        if now_us - self._ping_us >= policy.ping_interval_s * SECOND_US:
            self._ping_us = now_us
            if not self._pong_awaited_us:
                self._pong_awaited_us = now_us
            self.commands.append(Send("PING"))
        overdue: list[str] = []
        for feed in self.tokens.values():
            if feed.resubscribe_us and now_us >= feed.resubscribe_us:
                self._resubscribe(feed, now_us)
            elif feed.book_due_us and now_us >= feed.book_due_us:
                patience = UNLISTED_PATIENCE if feed.state is TokenState.UNLISTED else 1
                feed.book_due_us = now_us + int(policy.first_book_timeout_s * SECOND_US) * patience
                overdue.append(feed.token)
        if overdue:
            self._counters.first_books_overdue += len(overdue)
            self.notices.append(Witness(tuple(overdue), "first"))

    def tick_steps(self, now_us: int) -> None:
        """Closes quiet steps and ends holds that last too long."""
        for feed in list(self._held):
            if feed.gate.tick(now_us, self._policy.steps) is Verdict.DESYNC:
                self.desync(feed, now_us)

    @property
    def due_us(self) -> int | None:
        """When `tick_steps` is wanted next, Unix microseconds; None: no step is open."""
        if not self._held:
            return None
        dues = [due for feed in self._held if (due := feed.gate.due_us(self._policy.steps)) is not None]
        return min(dues, default=None)

    # -- frames ---------------------------------------------------------------------------------------------

    def frame(self, data: bytes, now_us: int) -> None:
        """One frame as received."""
        counters = self._counters
        counters.frames += 1
        counters.bytes += len(data)
        self.last_frame_us = now_us
        try:
            messages = parse_frame(data)
        except UnreadableFrameError as error:
            self._unreadable(data, str(error))
            return
        quarantined = False
        for message in messages:
            match message:
                case PriceChange():
                    self._price_change(message, now_us)
                case BookMessage():
                    self._book(message, now_us)
                case Trade():
                    self._trade(message, now_us)
                case Text():
                    self._text(message, now_us)
                case BestBidAsk():
                    counters.seen("best_bid_ask")
                case TickSizeChange():
                    self._tick_size_change(message, now_us)
                case NewMarket():
                    counters.seen("new_market")
                    self.notices.append(message)
                case MarketResolved():
                    self._market_resolved(message, now_us)
                case Malformed():
                    if not quarantined:
                        quarantined = True
                        self.notices.append(Quarantined(data, message.reason))
                    self._malformed(message, now_us)
                case _:
                    counters.unknown(message.event_type)

    def _price_change(self, message: PriceChange, now_us: int) -> None:
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
            if feed.state is TokenState.UNLISTED:
                soon_us = now_us + int(self._policy.first_book_timeout_s * SECOND_US)
                feed.book_due_us = min(feed.book_due_us, soon_us)
            return
        if (
            feed.check_due
            and not gate.held
            and (venue_ms != gate.venue_ms or changes[-1].hash != gate.hash)
            and not self._verified(feed, now_us)
        ):
            self.desync(feed, now_us)
            return
        was_held = gate.held
        verdict = gate.change(changes, venue_ms, now_us)
        if verdict is Verdict.PUBLISH:
            self._top(feed, venue_ms, now_us)
        elif verdict is Verdict.DESYNC:
            self.desync(feed, now_us)
            return
        if gate.held is not was_held:
            if was_held:
                self._held.discard(feed)
            else:
                self._held.add(feed)
        if self._policy.check_every_step or feed.unproven:
            feed.check_due = True

    def _book(self, message: BookMessage, now_us: int) -> None:
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
            feed.state = TokenState.LIVE
            feed.live_since_us = now_us
            self.had_good_book = True
            self.state = ConnectionState.LIVE
        feed.book_due_us = feed.resubscribe_us = 0
        feed.unproven = feed.check_due = False
        if verdict is Verdict.PUBLISH:
            self._top(feed, message.venue_ms, now_us)
        if message.tick_size:
            feed.check.tick_size = message.tick_size
        if message.version:
            market.facts.version = message.version
        market.facts.book_says(message.last_trade_price, now_us)
        result = feed.check.check_snapshot(market.facts, feed.token, book, message.venue_ms, message.hash)
        self._counters.hash_result(result)

    def _trade(self, message: Trade, now_us: int) -> None:
        self._counters.trades += 1
        market = self._market(message.market, message.venue_ms)
        feed = market.by_token.get(message.token) if market else None
        if market is None or feed is None:
            self._counters.foreign += market is not None
            return
        self.last_data_us = now_us
        market.facts.trade_says(message.price)
        price, size = with_leading_zero(message.price), with_leading_zero(message.size)
        update = Update(market.stream, "trade", feed.outcome, recv_us=now_us, venue_ms=message.venue_ms)
        if message.side == "SELL":
            update.bid, update.bid_size = price, size
        else:
            update.ask, update.ask_size = price, size
        self.updates.append(update)

    def _tick_size_change(self, message: TickSizeChange, now_us: int) -> None:
        self._counters.seen("tick_size_change")
        market = self._market(message.market, message.venue_ms)
        feed = market.by_token.get(message.token) if market else None
        if market is None or feed is None:
            self._counters.foreign += market is not None
            return
        feed.check.tick_size = message.new_tick_size
        # Levels off the new grid may have vanished without a message: the next step must prove the book.
        feed.unproven = feed.gate.book is not None
        note = with_leading_zero(message.new_tick_size)
        self.updates.append(
            Update(market.stream, "tick", feed.outcome, recv_us=now_us, venue_ms=message.venue_ms, note=note)
        )

    def _market_resolved(self, message: MarketResolved, now_us: int) -> None:
        self._counters.seen("market_resolved")
        market = self.markets.get(message.market)
        if market is None or market.ended:
            return
        winner = market.by_token.get(message.winning_token)
        if winner is None:
            return
        self.resolve(market, str(winner.outcome), message.venue_ms, now_us)
        self.notices.append(Ended(market.condition_id, 1 if winner.outcome else 0))

    def resolve(self, market: MarketFeed, note: str, venue_ms: int | None, now_us: int) -> None:
        """Writes the market's last entry: note is 0, 1 or split."""
        market.ended = True
        self.updates.append(
            Update(market.stream, "resolved", None, recv_us=now_us, venue_ms=venue_ms, note=note)
        )

    def _text(self, message: Text, now_us: int) -> None:
        if message.text == "PONG":
            if self._pong_awaited_us:
                self.pong_us = now_us - self._ping_us
                self._pong_awaited_us = 0
            return
        self._counters.text(message.text)

    # -- what goes wrong ------------------------------------------------------------------------------------

    def _unreadable(self, data: bytes, reason: str) -> None:
        self.notices.append(Quarantined(data, reason))
        self._distrust_all()

    def _distrust_all(self) -> None:
        """What was lost is unknown: every book must prove itself at its next step, and against REST."""
        suspects = []
        for feed in self.tokens.values():
            if feed.gate.book is not None:
                feed.unproven = feed.check_due = True
                suspects.append(feed.token)
        if suspects:
            self.notices.append(Witness(tuple(suspects), "lost"))

    def _malformed(self, message: Malformed, now_us: int) -> None:
        self._counters.malformed += 1
        if not message.market:
            self._distrust_all()
            return
        market = self.markets.get(message.market)
        if market is not None and not market.ended:
            for feed in market.tokens:
                if feed.state is TokenState.LIVE:
                    self.desync(feed, now_us)

    def desync(self, feed: TokenFeed, now_us: int) -> None:
        """The local book is wrong: a gap from when it was last right, and a new snapshot over the socket."""
        self._counters.desyncs += 1
        if feed.state is TokenState.LIVE:
            self._gap(feed, "desync", feed.gate.good_us or now_us, now_us)
        if feed.live_since_us and now_us - feed.live_since_us > RESYNC_FORGIVEN_AFTER_S * SECOND_US:
            feed.resyncs = 0
        self._forget(feed)
        feed.resyncs += 1
        delay_s = 0 if feed.resyncs == 1 else min(RESYNC_LONGEST_S, 2 ** min(feed.resyncs - 2, 10))
        if delay_s:
            feed.resubscribe_us = now_us + delay_s * SECOND_US
        else:
            self._resubscribe(feed, now_us)

    def verify_now(self, feed: TokenFeed, now_us: int) -> None:
        """Checks a token's hash if its step is over, else when it is."""
        if feed.gate.book is None:
            return
        if not feed.gate.quiet(now_us, self._policy.steps):
            feed.check_due = True
        elif not self._verified(feed, now_us):
            self.desync(feed, now_us)

    def _verified(self, feed: TokenFeed, now_us: int) -> bool:
        """Recomputes the hash at the end of a step; false if the book is to be given up."""
        gate = feed.gate
        feed.check_due = False
        if gate.book is None:
            return True
        result = feed.check.check(feed.market.facts, feed.token, gate.book, gate.venue_ms, gate.hash, now_us)
        self._counters.hash_result(result)
        if feed.unproven:
            feed.unproven = False
            return result is Check.MATCH
        return result is not Check.MISMATCH or not feed.check.mismatch_lasts(now_us)

    # -- REST, as a witness ---------------------------------------------------------------------------------

    def witness_differs(
        self, token: str, bids: Sequence[Level], asks: Sequence[Level], rest_ms: int | None
    ) -> bool:
        """Whether a REST book contradicts the local one: same moment or newer, with other levels."""
        feed = self.tokens.get(token)
        if feed is None or feed.gate.book is None or feed.gate.held:
            return False
        if rest_ms is None or (feed.gate.venue_ms is not None and rest_ms < feed.gate.venue_ms):
            return False
        return not feed.gate.book.same_levels(bids, asks)

    def witness_first(self, token: str, *, listed: bool, now_us: int) -> None:
        """REST said whether the venue has a book of a token whose first book is missing."""
        feed = self.tokens.get(token)
        if feed is None or feed.state is TokenState.LIVE or not self._subscribed:
            return
        if listed:
            feed.state = TokenState.WAITING
            self._counters.first_book_retries += 1
            self._resubscribe(feed, now_us)
        else:
            feed.state = TokenState.UNLISTED

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

    def _top(self, feed: TokenFeed, venue_ms: int | None, now_us: int) -> None:
        top = feed.gate.shown
        if top is None:
            return
        self._counters.tops += 1
        self.updates.append(
            Update(
                feed.market.stream,
                "top",
                feed.outcome,
                recv_us=now_us,
                bid=top.bid,
                bid_size=top.bid_size,
                ask=top.ask,
                ask_size=top.ask_size,
                venue_ms=venue_ms,
            )
        )

    def _gap(self, feed: TokenFeed, cause: GapCause, start_us: int, now_us: int) -> None:
        note = gap_note(cause, start_us, self._worker_id)
        self.updates.append(Update(feed.market.stream, "gap", feed.outcome, recv_us=now_us, note=note))
        self._counters.gap(cause)

    def _forget(self, feed: TokenFeed) -> None:
        feed.gate.clear()
        self._held.discard(feed)
        feed.state = TokenState.WAITING
        feed.check_due = feed.unproven = False
        feed.book_due_us = feed.resubscribe_us = 0
        feed.live_since_us = 0

    def _await_book(self, feed: TokenFeed, now_us: int) -> None:
        feed.state = TokenState.WAITING
        feed.book_due_us = now_us + int(self._policy.first_book_timeout_s * SECOND_US)

    def _resubscribe(self, feed: TokenFeed, now_us: int) -> None:
        feed.resubscribe_us = 0
        feed.market.stream.gen += 1
        feed.check.forget()
        self._await_book(feed, now_us)
        self._unsubscribe([feed.token])
        self._subscribe([feed.token], now_us)

    def _unsubscribe(self, tokens: Sequence[str]) -> None:
        for chunk in _chunks(tokens):
            self._send({"operation": "unsubscribe", "assets_ids": chunk})

    def _subscribe(self, tokens: Sequence[str], now_us: int) -> None:
        for chunk in _chunks(tokens):
            if self._subscribed:
                self._send({"operation": "subscribe", "assets_ids": chunk, "custom_feature_enabled": True})
            else:
                self._subscribed = True
                self._ping_us = now_us
                self._send({"assets_ids": chunk, "type": "market", "custom_feature_enabled": True})
        if self._subscribed and self.state is not ConnectionState.LIVE:
            self.state = ConnectionState.SUBSCRIBED

    def _send(self, payload: dict[str, object]) -> None:
        self.commands.append(Send(orjson.dumps(payload).decode()))


def _chunks(tokens: Sequence[str]) -> Iterable[list[str]]:
    for start in range(0, len(tokens), MAX_IDS_A_FRAME):
        yield list(tokens[start : start + MAX_IDS_A_FRAME])
