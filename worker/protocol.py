"""One connection's rules (pure): frames and ticks in, updates, commands and notices out.

Nothing here reads a clock, a socket or a random source. The shell calls `opened`, `frame`, `tick` and `closed` with
the time in Unix microseconds, then takes what has gathered in `updates`, `commands` and `notices`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import orjson

from marketdata.venue import MAX_IDS_A_FRAME
from worker.books import Books
from worker.counters import Counters
from worker.feeds import MarketFeed, TokenFeed, TokenState
from worker.messages import UnreadableFrameError, parse_frame
from worker.notices import Close, Command, Notice, Quarantined, Send, Witness
from worker.policy import SECOND_US, ProtocolPolicy
from worker.shapes import (
    BestBidAsk,
    Book,
    Malformed,
    MarketResolved,
    NewMarket,
    PriceChange,
    Text,
    TickSizeChange,
    Trade,
)
from worker.streams import Update

RESYNC_LONGEST_S: Final = 30
UNLISTED_PATIENCE: Final = 10
"""A token of which the venue has no book is asked for this much less often, while nothing is heard of it."""


class ConnectionState(enum.Enum):
    """Where a connection is in its life."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    SUBSCRIBED = "subscribed"
    LIVE = "live"


class ConnectionProtocol:
    """One connection to the market channel and the books of the tokens on it."""

    def __init__(self, worker_id: str, policy: ProtocolPolicy, counters: Counters) -> None:
        self.books = Books(worker_id, policy, counters)
        self.commands: list[Command] = []
        self.state = ConnectionState.CLOSED
        self.generation = 0
        """How many times this connection has been opened."""
        self.retired = False
        """The worker stops: the end of the connection is marked by others."""
        self.last_frame_us = 0
        self.pong_us: int | None = None
        """The last PONG's round trip, microseconds."""
        self._policy = policy
        self._counters = counters
        self._is_open = False
        self._subscribed = False
        self._first_books_before = 0
        self._ping_us = 0
        self._pong_awaited_us = 0

    @property
    def updates(self) -> list[Update]:
        """What is to be written, in order; the shell empties it."""
        return self.books.updates

    @property
    def notices(self) -> list[Notice]:
        """What others should know; the shell empties it."""
        return self.books.notices

    @property
    def had_good_book(self) -> bool:
        """Whether a first book arrived since the connection was opened: what ends a backoff."""
        return self.books.first_books > self._first_books_before

    # -- the connection's life ------------------------------------------------------------------------------

    def connecting(self) -> None:
        """An attempt to connect begins."""
        self.state = ConnectionState.CONNECTING
        self._first_books_before = self.books.first_books

    def opened(self, now_us: int) -> None:
        """The connection is open: subscribe to everything, in frames of at most 100 ids."""
        self.generation += 1
        self._is_open = True
        self._subscribed = False
        self._pong_awaited_us = 0
        self.last_frame_us = self.books.last_data_us = now_us
        for market in self.books.markets.values():
            market.stream.gen += 1
        for feed in self.books.tokens.values():
            self._await_book(feed, now_us)
        self._subscribe(list(self.books.tokens), now_us)

    def closed(self, now_us: int) -> None:
        """The connection is gone: every token that was live gets a gap from the last frame on."""
        self.state = ConnectionState.CLOSED
        self._is_open = self._subscribed = False
        for feed in self.books.tokens.values():
            if not self.retired:
                start_us = self.books.right_until_us(feed, self.last_frame_us)
                self.books.gap(feed, "disconnect", start_us, now_us)
            self.books.forget(feed)

    def add(self, markets: Iterable[MarketFeed], now_us: int) -> None:
        """Takes markets on; subscribes at once on an open connection."""
        tokens: list[str] = []
        for market in markets:
            self.books.add(market)
            for feed in market.tokens:
                tokens.append(feed.token)
                self._await_book(feed, now_us)
            if self._is_open:
                market.stream.gen += 1
        if self._is_open:
            self._subscribe(tokens, now_us)

    def remove(self, condition_ids: Iterable[str]) -> None:
        """Lets markets go and frees all that was known of them."""
        tokens = [token for condition_id in condition_ids for token in self.books.remove(condition_id)]
        if self._subscribed:
            self._unsubscribe(tokens)

    # -- time -----------------------------------------------------------------------------------------------

    def tick(self, now_us: int) -> None:
        """Once a second: heartbeat, overdue books, planned new snapshots, open steps."""
        if not self._subscribed:
            return
        self.tick_steps(now_us)
        policy = self._policy
        if self._pong_awaited_us and now_us - self._pong_awaited_us >= policy.pong_timeout_s * SECOND_US:
            self._counters.pong_timeouts += 1
            self._pong_awaited_us = 0
            self.commands.append(Close(1001, f"no PONG for {policy.pong_timeout_s:g} s"))
            return
        if now_us - self._ping_us >= policy.ping_interval_s * SECOND_US:
            self._ping_us = now_us
            if not self._pong_awaited_us:
                self._pong_awaited_us = now_us
            self.commands.append(Send("PING"))
        overdue: list[str] = []
        for feed in self.books.tokens.values():
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
        """When `due_us` has come: open steps only."""
        self.books.tick_steps(now_us)
        self.resync(now_us)

    @property
    def due_us(self) -> int | None:
        """When `tick_steps` is wanted next, Unix microseconds; None: no step is open."""
        return self.books.due_us

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
            counters.malformed += 1
            self.notices.append(Quarantined(data, str(error)))
            self.books.distrust_all(now_us)
            return
        books = self.books
        quarantined = unowned = False
        for message in messages:
            match message:
                case PriceChange():
                    books.price_change(message, now_us)
                case Book():
                    books.book(message, now_us)
                    self.state = ConnectionState.LIVE if self.had_good_book else self.state
                case Trade():
                    books.trade(message, now_us)
                case Text():
                    self._text(message, now_us)
                case BestBidAsk():
                    counters.seen("best_bid_ask")
                case TickSizeChange():
                    books.tick_size_change(message, now_us)
                case NewMarket():
                    counters.seen("new_market")
                    self.notices.append(message)
                case MarketResolved():
                    books.market_resolved(message, now_us)
                case Malformed(reason, market):
                    counters.malformed += 1
                    if not quarantined:
                        quarantined = True
                        self.notices.append(Quarantined(data, reason))
                    if market:
                        books.malformed(market, now_us)
                    else:
                        unowned = True
                case _:
                    counters.unknown(message.event_type)
        if unowned:
            # Once a frame: one array can hold a million things of no market.
            books.distrust_all(now_us)
        if books.resync:
            self.resync(now_us)

    def _text(self, message: Text, now_us: int) -> None:
        if message.text == "PONG":
            if self._pong_awaited_us:
                self.pong_us = now_us - self._pong_awaited_us
                self._pong_awaited_us = 0
            return
        self._counters.text(message.text)

    # -- new snapshots --------------------------------------------------------------------------------------

    def resync(self, now_us: int) -> None:
        """Asks for the snapshots that the books want: the first at once, further ones of a token ever later."""
        for feed in self.books.resync:
            if feed.resyncs <= 1:
                self._resubscribe(feed, now_us)
            else:
                delay_s = min(RESYNC_LONGEST_S, 2 ** min(feed.resyncs - 2, 10))
                feed.resubscribe_us = now_us + delay_s * SECOND_US
        self.books.resync.clear()

    def first_book_said(self, token: str, *, listed: bool, now_us: int) -> None:
        """REST said whether the venue has a book of a token whose first book is missing."""
        feed = self.books.tokens.get(token)
        if feed is None or feed.state is TokenState.LIVE or not self._subscribed:
            return
        if listed:
            self._counters.first_book_retries += 1
            self._resubscribe(feed, now_us)
        else:
            feed.state = TokenState.UNLISTED

    def _await_book(self, feed: TokenFeed, now_us: int) -> None:
        feed.state = TokenState.WAITING
        feed.book_due_us = now_us + int(self._policy.first_book_timeout_s * SECOND_US)

    def _resubscribe(self, feed: TokenFeed, now_us: int) -> None:
        if not self._subscribed or feed.token not in self.books.tokens:
            return
        feed.resubscribe_us = 0
        feed.market.stream.gen += 1
        self._await_book(feed, now_us)
        self._unsubscribe([feed.token])
        self._subscribe([feed.token], now_us)

    # -- subscriptions --------------------------------------------------------------------------------------

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


def _chunks(tokens: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(tokens), MAX_IDS_A_FRAME):
        yield list(tokens[start : start + MAX_IDS_A_FRAME])
