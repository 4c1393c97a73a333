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
    """Who is connected, as the how-manieth, and what to."""

    transport: asyncio.Transport
    number: int
    tokens: set[str] = field(default_factory=set)


class FakeVenue:
    """Websocket and REST on one loopback port.

    Attributes:
        conduct: answers the next connections instead of the ordinary service; None: ordinary service.
        opens: when each connection was asked for, by the event loop's clock.
        received: every text that clients sent.
        silent: PINGs stay without an answer.
        bookless: token ids of which no book comes.
        deaf: (connection, token) of which nothing comes until it is subscribed to again; connections count from 1.
        lost: (connection, token) of which nothing comes at all.
        spoilt: connections on which books have a level that no other has.
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
        self.deaf: set[tuple[int, str]] = set()
        self.lost: set[tuple[int, str]] = set()
        self.spoilt: set[int] = set()
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
            await self._tell(one.tokens[outcome], self._set(one, outcome, cents))

    async def resize(self, one: KnownMarket, size: str, outcome: int = 0) -> None:
        """Another size at the best bid, told as a change."""
        token = one.tokens[outcome]
        book = self._books[token]
        best = book["bids"][-1]
        self._ms += 1
        self._books[token] = {
            **book,
            "timestamp": str(self._ms),
            "bids": [*book["bids"][:-1], {"price": best["price"], "size": size}],
        }
        change = {
            "asset_id": token,
            "side": "BUY",
            "price": best["price"],
            "size": size,
            "hash": "",
            "best_bid": best["price"],
            "best_ask": book["asks"][-1]["price"],
        }
        row = {"event_type": "price_change", "market": one.condition_id, "price_changes": [change]}
        await self._tell(token, {**row, "timestamp": str(self._ms)})

    async def trade(self, one: KnownMarket, size: str, outcome: int = 0) -> None:
        """A trade at the best ask, of which the book says nothing."""
        token = one.tokens[outcome]
        self._ms += 1
        row = {
            "event_type": "last_trade_price",
            "market": one.condition_id,
            "asset_id": token,
            "price": self._books[token]["asks"][-1]["price"],
            "size": size,
            "side": "BUY",
            "timestamp": str(self._ms),
        }
        await self._tell(token, row)

    async def resolve(self, one: KnownMarket, winner: int) -> None:
        """Says how a market ended."""
        self._ms += 1
        row = {
            "event_type": "market_resolved",
            "market": one.condition_id,
            "winning_asset_id": one.tokens[winner],
            "timestamp": str(self._ms),
        }
        await self._tell(one.tokens[winner], row)

    def pass_time(self, seconds: float) -> None:
        """The venue's clock moves on."""
        self._ms += round(seconds * 1000)

    async def _tell(self, token: str, row: dict[str, Any]) -> None:
        """Sends it to everyone who is subscribed and not cut off from this token."""
        for socket, client in list(self.sockets.items()):
            place = client.number, token
            if token in client.tokens and place not in self.deaf and place not in self.lost:
                with suppress(ConnectionError):
                    await socket.send_frame(orjson.dumps(self._as_told(row, client)), WSMsgType.TEXT)

    def _as_told(self, row: dict[str, Any], client: Client) -> dict[str, Any]:
        if client.number not in self.spoilt or row["event_type"] != "book":
            return row
        return {**row, "bids": [{"price": "0.011", "size": "1"}, *row["bids"]]}

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
        client = self.sockets[socket] = Client(request.transport, len(self.opens))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._answer(socket, client, message.data)
        except ConnectionError:
            pass  # The client was faster.
        finally:
            del self.sockets[socket]
        return socket

    async def _answer(self, socket: web.WebSocketResponse, client: Client, text: str) -> None:
        self.received.append(text)
        if text == "PING":
            if not self.silent:
                await socket.send_str("PONG")
            return
        request = orjson.loads(text)
        asked = request["assets_ids"]
        if request.get("operation") == "unsubscribe":
            client.tokens.difference_update(asked)
            return
        client.tokens.update(asked)
        self.deaf.difference_update((client.number, one) for one in asked)
        there = [one for one in asked if one in self._books and one not in self.bookless]
        books = [
            self._as_told(self._books[one], client) for one in there if (client.number, one) not in self.lost
        ]
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
