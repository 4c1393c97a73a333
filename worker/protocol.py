"""One connection's rules (pure): frames and ticks in, updates, commands and notices out.

Nothing here reads a clock, a socket or a random source. The shell calls `opened`, `frame`, `tick` and `closed` with
the time in Unix microseconds, then takes what has gathered in `updates`, `commands` and `notices`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence

from worker.books import Books
from worker.counters import Counters
from worker.doubts import right_until_us
from worker.feeds import MarketFeed
from worker.messages import UnreadableFrameError, parse_frame
from worker.notices import Close, Command, Notice, Quarantined, Send
from worker.policy import SECOND_US, ProtocolPolicy
from worker.rescues import Rescues
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
from worker.subscriptions import Subscriptions


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
        self.opened_us = 0
        """When the connection was opened last, Unix microseconds."""
        self.frames = 0
        """Received on this connection, over all its lives."""
        self.last_frame_us = 0
        self.pong_us: int | None = None
        """The last PONG's round trip, microseconds."""
        self._policy = policy
        self._counters = counters
        self._subscriptions = Subscriptions(self.commands)
        self.rescues = Rescues(self.books, self._subscriptions, policy, counters)
        self._first_books_before = 0
        self.pong_awaited_us = 0
        """When the oldest PING that has no PONG yet was sent, Unix microseconds; 0: all are answered."""
        self._ping_us = 0

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
        self._subscriptions.opened()
        self.pong_awaited_us = 0
        self.pong_us = None
        self.opened_us = self.last_frame_us = self.books.last_data_us = now_us
        for market in self.books.markets.values():
            market.stream.gen += not market.muted
        self.rescues.opened(now_us)
        self._subscribe(list(self.books.tokens), now_us)

    def closed(self, now_us: int) -> None:
        """The connection is gone: every token that was live gets a gap from the last frame on."""
        self.state = ConnectionState.CLOSED
        self._subscriptions.closed()
        for feed in self.books.tokens.values():
            if not self.retired:
                start_us = right_until_us(feed, self.last_frame_us)
                self.books.gap(feed, "disconnect", start_us, now_us)
            self.books.forget(feed)

    def add(self, markets: Iterable[MarketFeed], now_us: int) -> None:
        """Takes markets on; subscribes at once on an open connection."""
        tokens: list[str] = []
        for market in markets:
            self.books.add(market)
            for feed in market.tokens:
                tokens.append(feed.token)
                self.rescues.await_book(feed, now_us)
            if self._subscriptions.is_open:
                market.stream.gen += not market.muted
        self._subscribe(tokens, now_us)

    def remove(self, condition_ids: Iterable[str]) -> None:
        """Lets markets go and frees all that was known of them."""
        tokens = [token for condition_id in condition_ids for token in self.books.remove(condition_id)]
        self._subscriptions.unsubscribe(tokens)

    # -- time -----------------------------------------------------------------------------------------------

    def tick(self, now_us: int) -> None:
        """Once a second: heartbeat, overdue books, planned new snapshots, open steps."""
        if not self._subscriptions.begun:
            return
        self.tick_steps(now_us)
        policy = self._policy
        if self.pong_awaited_us and now_us - self.pong_awaited_us >= policy.pong_timeout_s * SECOND_US:
            self._counters.pong_timeouts += 1
            self.pong_awaited_us = 0
            self.commands.append(Close(1001, f"no PONG for {policy.pong_timeout_s:g} s"))
            return
        if now_us - self._ping_us >= policy.ping_interval_s * SECOND_US:
            self._ping_us = now_us
            if not self.pong_awaited_us:
                self.pong_awaited_us = now_us
            self.commands.append(Send("PING"))
        self.rescues.tick(now_us)

    def tick_steps(self, now_us: int) -> None:
        """When `due_us` has come: open steps only."""
        self.books.tick_steps(now_us)
        self.rescues.resync(now_us)

    @property
    def due_us(self) -> int | None:
        """When `tick_steps` is wanted next, Unix microseconds; None: no step is open."""
        return self.books.due_us

    # -- frames ---------------------------------------------------------------------------------------------

    def frame(self, data: bytes, now_us: int) -> None:
        """One frame as received."""
        counters = self._counters
        counters.frames += 1
        self.frames += 1
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
            self.rescues.resync(now_us)

    def _text(self, message: Text, now_us: int) -> None:
        if message.text == "PONG":
            if self.pong_awaited_us:
                self.pong_us = now_us - self.pong_awaited_us
                self.pong_awaited_us = 0
            return
        self._counters.text(message.text)

    def _subscribe(self, tokens: Sequence[str], now_us: int) -> None:
        begun = self._subscriptions.begun
        self._subscriptions.subscribe(tokens)
        if not begun and self._subscriptions.begun:
            self._ping_us = now_us
            self.state = ConnectionState.SUBSCRIBED
