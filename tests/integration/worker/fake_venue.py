"""A venue that does what a test tells it to: books on subscription, quotes on demand, every kind of misconduct."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from simulator.captured.books import MarketState
from simulator.captured.records import KnownMarket, gamma_events

FIRST_MS = 1_790_000_000_000

Conduct = Callable[[web.Request], Awaitable[web.StreamResponse]]


def market(number: int) -> KnownMarket:
    """A made-up market; the same for the same number."""
    tokens = [
        str(int(hashlib.sha256(f"{number} {outcome}".encode()).hexdigest(), 16)).rjust(77, "1")[:77]
        for outcome in (0, 1)
    ]
    return KnownMarket(f"0x{number:064x}", (tokens[0], tokens[1]), 1000 - number, None)


@dataclass
class Client:
    """Who is connected, and what to."""

    transport: asyncio.Transport
    tokens: set[str] = field(default_factory=set)


class FakeVenue:
    """Websocket and REST on one loopback port.

    Attributes:
        conduct: answers the next connections instead of the ordinary service; None: ordinary service.
        opens: when each connection was asked for, by the event loop's clock.
        received: every text that clients sent.
        silent: PINGs stay without an answer.
        bookless: token ids of which no book comes.
        rest: what POST /books tells of a token; by default its last quote.
        rest_asked: how often it was asked.
    """

    def __init__(self, markets: Sequence[KnownMarket]) -> None:
        self.markets = markets
        self.conduct: Conduct | None = None
        self.opens: list[float] = []
        self.received: list[str] = []
        self.silent = False
        self.bookless: set[str] = set()
        self.rest: dict[str, bytes] = {}
        self.rest_asked = 0
        self.sockets: dict[web.WebSocketResponse, Client] = {}
        self.url = ""
        self._books: dict[str, dict[str, Any]] = {}
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._ms = FIRST_MS
        for number, one in enumerate(markets):
            for outcome in (0, 1):
                self._set(one, outcome, 10 + number % 50)

    @property
    def ws_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws/market"

    def write_catalog(self, path: Path) -> str:
        """Writes the markets as Gamma tells them; returns CATALOG."""
        states = {one.condition_id: MarketState(tick_size="0.01") for one in self.markets}
        path.write_bytes(orjson.dumps(gamma_events(self.markets, states)))
        return f"file:{path}"

    async def start(self) -> None:
        """Listens; on the port of before if it was listening already."""
        app = web.Application()
        app.add_routes([web.get("/ws/market", self._handle), web.post("/books", self._rest_books)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._runner = runner

    async def stop(self) -> None:
        """Ends as a killed server does: connections are cut, the port is closed."""
        for socket in list(self.sockets):
            self.cut(socket)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def cut(self, socket: web.WebSocketResponse) -> None:
        """Ends a connection without a close frame."""
        self.sockets[socket].transport.abort()

    def stop_reading(self) -> None:
        """Reads nothing any more of what the connected clients send, the answer to a close frame included."""
        for client in self.sockets.values():
            client.transport.pause_reading()

    async def send(self, data: bytes, kind: WSMsgType = WSMsgType.TEXT) -> None:
        """Sends a frame to everyone."""
        for socket in list(self.sockets):
            with suppress(ConnectionError):
                await socket.send_frame(data, kind)

    async def quote(self, one: KnownMarket, cents: int, outcomes: Sequence[int] = (0, 1)) -> None:
        """New books: bid at `cents`, ask one cent above."""
        for outcome in outcomes:
            book = orjson.dumps(self._set(one, outcome, cents))
            for socket, client in list(self.sockets.items()):
                if one.tokens[outcome] in client.tokens:
                    with suppress(ConnectionError):
                        await socket.send_frame(book, WSMsgType.TEXT)

    async def quote_for_ever(self, pause_s: float) -> None:
        """Quotes one market after the other until cancelled."""
        number = 0
        while True:
            number += 1
            turn, place = divmod(number, len(self.markets))
            await self.quote(self.markets[place], 10 + turn % 80)
            await asyncio.sleep(pause_s)

    def _set(self, one: KnownMarket, outcome: int, cents: int) -> dict[str, Any]:
        self._ms += 1
        book = {
            "event_type": "book",
            "market": one.condition_id,
            "asset_id": one.tokens[outcome],
            "timestamp": str(self._ms),
            "hash": "",
            "bids": [{"price": "0.01", "size": "5"}, {"price": f"0.{cents:02d}", "size": "30"}],
            "asks": [{"price": "0.99", "size": "5"}, {"price": f"0.{cents + 1:02d}", "size": "40"}],
        }
        self._books[one.tokens[outcome]] = book
        return book

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.opens.append(asyncio.get_running_loop().time())
        if self.conduct is not None:
            return await self.conduct(request)
        socket = web.WebSocketResponse(compress=False, timeout=0.2)
        await socket.prepare(request)
        assert isinstance(request.transport, asyncio.Transport)
        client = self.sockets[socket] = Client(request.transport)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, client.tokens, message.data)
        except ConnectionError:
            pass  # The client was faster.
        finally:
            del self.sockets[socket]
        return socket

    async def _answer(self, socket: web.WebSocketResponse, tokens: set[str], text: str) -> None:
        self.received.append(text)
        if text == "PING":
            if not self.silent:
                await socket.send_str("PONG")
            return
        request = orjson.loads(text)
        asked = request["assets_ids"]
        if request.get("operation") == "unsubscribe":
            tokens.difference_update(asked)
            return
        tokens.update(asked)
        books = [self._books[one] for one in asked if one in self._books and one not in self.bookless]
        await socket.send_str(orjson.dumps(books).decode())

    async def _rest_books(self, request: web.Request) -> web.Response:
        self.rest_asked += 1
        asked = [item["token_id"] for item in orjson.loads(await request.read())]
        books = [
            self.rest.get(one) or orjson.dumps(self._books[one])
            for one in asked
            if one in self._books and one not in self.bookless
        ]
        return web.Response(body=b"[" + b",".join(books) + b"]", content_type="application/json")


@asynccontextmanager
async def open_venue(markets: int = 2) -> AsyncIterator[FakeVenue]:
    """A venue with so many markets, listening."""
    venue = FakeVenue([market(number) for number in range(1, markets + 1)])
    await venue.start()
    try:
        yield venue
    finally:
        await venue.stop()
