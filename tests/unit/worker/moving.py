"""Connections whose venue is the test itself, and markets that change between them; the clock stands until told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from marketdata.backoff import Backoff
from marketdata.market import Market
from tests.venue_frames import US, Row, feed_of, frame
from worker import connection, moves, shards
from worker.connection import Connection
from worker.counters import Counters
from worker.feeds import MarketFeed
from worker.limiter import OpenLimiter
from worker.moves import Moves
from worker.notices import Move, Notice
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionProtocol
from worker.recent import Recent
from worker.shards import Shards
from worker.sockets.base import Closed, ConnectError
from worker.streams import Update

BOUND_S = 10.0


class Wire:
    """One open socket: what was sent on it, and how it was closed."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self._on_frame: Callable[[bytes], None] | None = None
        self._end: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()

    async def receive(self, on_frame: Callable[[bytes], None]) -> Closed:
        self._on_frame = on_frame
        try:
            return await self._end
        finally:
            self._on_frame = None

    async def send(self, text: str) -> None:
        self.sent.append(text if text == "PING" else json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def says(self, *rows: Row) -> None:
        """The venue sends a frame."""
        assert self._on_frame is not None, "nobody listens yet"
        self._on_frame(frame(*rows, array=True))

    def cut(self) -> None:
        """The connection breaks."""
        self._end.set_result(Closed(1006, ""))

    @property
    def listens(self) -> bool:
        return self._on_frame is not None


class House:
    """The connections of a worker, by shard, and what they wrote.

    Attributes:
        now_us: the clock of everything here.
        said: all updates so far.
        wires: the sockets of each connection, by its name, the newest last.
        refuses: names of connections that the venue does not let in.
    """

    def __init__(self, *markets: Market, tokens_per_connection: int = 50, **given: Any) -> None:
        self.now_us = US
        self.said: list[Update] = []
        self.wires: dict[str, list[Wire]] = {}
        self.refuses: set[str] = set()
        self.counters = Counters()
        self.markets = {market.condition_id: market for market in markets}
        self.shards = Shards(self._connection)
        self.moves = Moves(
            shards=self.shards,
            counters=self.counters,
            tokens_per_connection=tokens_per_connection,
            market_of=self.markets.get,
            **{"max_connections": 10, "max_age_s": 0, **given},
        )
        self._limiter = OpenLimiter(1e6)

    def _connection(self, name: str) -> Connection:
        return Connection(
            name,
            name,
            ConnectionProtocol("w1", ProtocolPolicy(pong_timeout_s=1e9), self.counters),
            connector=self._connect,
            limiter=self._limiter,
            backoff=Backoff(0.001, 0.001, Random(1)),
            counters=self.counters,
            recent=Recent(),
            on_update=self.said.append,
            on_notice=self._on_notice,
        )

    async def _connect(self, url: str) -> Wire:
        if url in self.refuses:
            raise ConnectError("not now")
        wire = Wire()
        self.wires.setdefault(url, []).append(wire)
        return wire

    def _on_notice(self, connection: Connection, notice: Notice) -> None:
        if isinstance(notice, Move):
            self.moves.rescue(connection, notice.condition_id, notice.token)

    # -- what tests do --------------------------------------------------------------------------------------

    async def follow(self, shard: int, *markets: Market, books: Callable[[Market], list[Row]]) -> Wire:
        """Puts markets on a shard; their books arrive."""
        self.shards.add(shard, [feed_of(market) for market in markets])
        wire = await self.wire(f"c{shard}")
        wire.says(*(row for market in markets for row in books(market)))
        return wire

    async def wire(self, name: str, life: int = 1) -> Wire:
        """The socket of a connection's so many-th life, once it listens and has subscribed."""

        def there() -> bool:
            wires = self.wires.get(name, [])
            return len(wires) >= life and wires[life - 1].listens and bool(wires[life - 1].sent)

        await self.until(there, f"{name} is open")
        return self.wires[name][life - 1]

    async def until(self, look: Callable[[], object], what: str) -> None:
        """Waits for it; the clock stands meanwhile."""
        try:
            async with asyncio.timeout(BOUND_S):
                while not look():  # noqa: ASYNC110  (anything may be looked for)
                    await asyncio.sleep(0)
        except TimeoutError:
            raise AssertionError(f"still not: {what}") from None

    async def pass_time(self, seconds: float) -> None:
        """The clock moves on, and everyone has looked at it."""
        self.now_us += round(seconds * 1e6)
        for _ in range(20):
            await asyncio.sleep(0)

    def at(self, shard: int) -> Connection:
        return self.shards.connections[shard]

    def feed(self, shard: int, market: Market) -> MarketFeed:
        return self.at(shard).protocol.books.markets[market.condition_id]

    def markets_on(self, shard: int) -> set[str]:
        return set(self.at(shard).protocol.books.markets)

    def take(self) -> list[Update]:
        """The updates since the last call."""
        said, self.said[:] = list(self.said), []
        return said


@asynccontextmanager
async def moving(house: House) -> AsyncIterator[House]:
    """Looks at the markets under way while the test runs; at its end all connections are closed."""
    looking = asyncio.create_task(house.moves.run())
    try:
        yield house
        assert not looking.done(), "a part of the worker ended"
        assert house.shards.failed() is None
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        await house.shards.close(list(house.shards.connections))


def clock_of(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that carries markets reads the house's clock."""
    for module in (connection, moves, shards):
        monkeypatch.setattr(module, "now_us", lambda: house.now_us)
    monkeypatch.setattr(moves, "LOOKED_AT_EVERY_S", 0)


def names(updates: list[Update]) -> Iterator[tuple[str, int | None]]:
    """Kind and outcome of each."""
    return ((update.kind, update.outcome) for update in updates)
