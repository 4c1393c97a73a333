"""Everyone connected: who gets which frame, and who is cut because they do not read."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, KeysView
from contextlib import suppress
from typing import Final

import structlog
from aiohttp import WSMsgType, web

from marketdata.clock import now_ms
from simulator.feed import Feed, Frame
from simulator.venue.conduct import ORDINARY, Conduct
from simulator.venue.connection import CLOSE_TIMEOUT_S, Connection
from simulator.venue.opens import Open, Opens
from simulator.venue.protocol import Answer

OUTBOX_BYTES: Final = 8 * 1024 * 1024
"""A client that leaves this much unread is cut."""

ROOM_BYTES: Final = 512 * 1024
"""A flat-out feed waits while a client that reads is this far behind."""

STUCK_S: Final = 1.0
"""Where a flat-out feed has to wait, a client that takes nothing for this long is cut."""

CLIENT_SHOWN: Final = 100
"""Characters kept of what a client calls itself."""

_log = structlog.stdlib.get_logger("simulator")


class Hub:
    """The audience of a feed, and the handler of its websockets.

    Attributes:
        opens: when connections were asked for.
        closed_slow: how many were cut because they did not read.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        conduct: Conduct = ORDINARY,
        outbox_bytes: int = OUTBOX_BYTES,
        stuck_s: float = STUCK_S,
    ) -> None:
        self.closed_slow = 0
        self.opens = Opens()
        self._opened = 0
        self._feed = feed
        self._conduct = conduct
        self._outbox_bytes = outbox_bytes
        self._room_bytes = min(ROOM_BYTES, outbox_bytes // 2)
        self._stuck_s = stuck_s
        self._connections: set[Connection] = set()
        self._listeners: dict[str, dict[Connection, None]] = {}
        self._watched: Counter[str] = Counter()
        self._accepted = 0
        self._changed = asyncio.Condition()
        self._taken = asyncio.Event()

    @property
    def accepted(self) -> int:
        return self._accepted

    @property
    def connections(self) -> int:
        return len(self._connections)

    def watched(self) -> KeysView[str]:
        return self._watched.keys()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    def publish(self, frame: Frame) -> None:
        for connection in self._concerned(frame):
            wants = connection.subscription
            if wants.accepted and (wants.custom or not frame.custom_only):
                if self._conduct.idle:
                    connection.queue(frame.data)
                else:
                    self._conduct.deliver(connection, frame)

    def _concerned(self, frame: Frame) -> Collection[Connection]:
        if frame.everywhere:
            return tuple(self._connections)
        if len(frame.markets) == 1:
            (market,) = frame.markets
            return self._listeners.get(market, ())
        return {one for market in frame.markets for one in self._listeners.get(market, ())}

    async def room(self) -> None:
        await asyncio.sleep(0)
        clock = asyncio.get_running_loop().time
        while behind := [one for one in self._connections if self._is_behind(one)]:
            self._taken.clear()
            stuck_at_s = min(one.progress_s for one in behind) + self._stuck_s
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, stuck_at_s - clock())):
                    await self._taken.wait()
            for one in behind:
                if self._is_behind(one) and clock() - one.progress_s >= self._stuck_s:
                    one.cut()
                    self._count_slow()

    def _is_behind(self, connection: Connection) -> bool:
        return not connection.gone and connection.pending_bytes > self._room_bytes

    async def drop(self, code: int) -> int:
        """Closes every connection with `code` (1006: cut) and says how many there were."""
        connections = tuple(self._connections)
        await asyncio.gather(*(connection.close(code) for connection in connections))
        return len(connections)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serves `/ws/market` to one client until it or we end it."""
        client = request.headers.get("User-Agent", "")[:CLIENT_SHOWN]
        if (refusal := self._conduct.refusal()) is not None:
            self.opens.note(Open(now_ms(), client, 0, refusal.status))
            return refusal.response()
        socket = web.WebSocketResponse(compress=False, timeout=CLOSE_TIMEOUT_S)
        await socket.prepare(request)
        if request.transport is None:
            return socket
        self._opened += 1
        self.opens.note(Open(now_ms(), client, self._opened, 101))
        connection = Connection(
            socket,
            request.transport,
            request.protocol,
            number=self._opened,
            max_bytes=self._outbox_bytes,
            on_slow=self._count_slow,
        )
        self._connections.add(connection)
        writer = asyncio.create_task(connection.write(self._taken))
        try:
            self._conduct.accepted(connection)
            await self._read(socket, connection)
            await connection.ended()
        finally:
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            await self._forget(connection)
        return socket

    async def _read(self, socket: web.WebSocketResponse, connection: Connection) -> None:
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            if connection.silent:
                continue
            was_accepted = connection.subscription.accepted
            answer = connection.subscription.receive(message.data)
            # Books are queued before anything else can be published, so no frame falls between them.
            self._carry_out(connection, answer)
            if answer.close is not None:
                await connection.close(answer.close, answer.reason)
                return
            if connection.subscription.accepted and (not was_accepted or answer.added or answer.removed):
                self._accepted += not was_accepted
                await self._tell_change()

    def _carry_out(self, connection: Connection, answer: Answer) -> None:
        for token_id in answer.added:
            self._watched[token_id] += 1
            if (market := self._feed.market_of(token_id)) is not None:
                connection.market_of[token_id] = market
                connection.markets[market] += 1
                self._listeners.setdefault(market, {})[connection] = None
        self._release(connection, answer.removed)
        if answer.added:
            self._conduct.subscribed(connection, answer.added)
        if answer.text is not None:
            connection.queue(answer.text.encode())
        if answer.dump is not None and (shown := self._conduct.shown(connection, answer.dump)):
            books = [book for one in shown if (book := self._feed.socket_book(one)) is not None]
            connection.queue(b"[" + b",".join(books) + b"]\n" if books else b"[]")

    def _release(self, connection: Connection, tokens: tuple[str, ...]) -> None:
        for token_id in tokens:
            market = connection.market_of.pop(token_id, None)
            for counter, key in ((self._watched, token_id), (connection.markets, market)):
                if key is not None:
                    counter[key] -= 1
                    if counter[key] <= 0:
                        del counter[key]
            if market is not None and market not in connection.markets:
                listeners = self._listeners[market]
                del listeners[connection]
                if not listeners:
                    del self._listeners[market]

    def _count_slow(self) -> None:
        self.closed_slow += 1
        _log.warning("a client that does not read was cut", closed_slow=self.closed_slow)

    async def _forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._conduct.gone(connection)
        self._release(connection, tuple(connection.subscription.tokens))
        await self._tell_change()

    async def _tell_change(self) -> None:
        async with self._changed:
            self._changed.notify_all()
