"""A venue whose markets come and go at a word: market channel, Gamma and CLOB on loopback ports."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

import orjson
from aiohttp import web

from simulator.captured.records import KnownMarket
from tests.gamma_rows import Row, event_row, market_row
from tests.gamma_server import Gamma
from tests.integration.worker.fake_venue import FakeVenue, market

SHOWN_WHEN_OVER: Final = 300
"""So many events that are over Gamma still shows."""


class RollingVenue:
    """Markets of both protocol versions, alone or two to an event.

    Attributes:
        venue: channel and books.
        gamma: what the catalog is read from.
        trading: the markets that are open, the oldest first.
    """

    def __init__(self, random: Random) -> None:
        self.venue = FakeVenue([])
        self.gamma = Gamma(page=100)
        self.trading: list[KnownMarket] = []
        self._random = random
        self._count = 0
        self._events: dict[str, Row] = {}
        self._over: deque[Row] = deque()

    def list_new(self, count: int) -> list[KnownMarket]:
        """So many new markets open; nobody is told yet."""
        new: list[KnownMarket] = []
        while len(new) < count:
            together = [self._market() for _ in range(min(self._random.choice((1, 2)), count - len(new)))]
            event = event_row(f"event-{self._count}", *(_row(one) for one in together))
            self.gamma.events.append(event)
            for one in together:
                self._events[one.condition_id] = event
                for outcome in (0, 1):
                    self.venue._set(one, outcome, 10 + self._random.randrange(80))
            new += together
        self.trading += new
        self.venue.markets = self.trading
        return new

    def end(self, count: int) -> dict[str, int]:
        """The oldest markets end; gives the winner of each. Gamma says so, the channel does not yet."""
        ended, self.trading[:] = self.trading[:count], self.trading[count:]
        winners: dict[str, int] = {}
        for one in ended:
            winner = winners[one.condition_id] = self._random.randrange(2)
            event = self._events.pop(one.condition_id)
            row = next(row for row in event["markets"] if row["clobTokenIds"] == json.dumps(one.tokens))
            prices = json.dumps(["0", "1"] if winner else ["1", "0"])
            row |= {"closed": True, "acceptingOrders": False, "outcomePrices": prices}
            row["umaResolutionStatus"] = "resolved"
            for token in one.tokens:
                del self.venue._books[token]
            if all(row["closed"] for row in event["markets"]):
                event["closed"] = True
                self._over.append(event)
        while len(self._over) > SHOWN_WHEN_OVER:
            self.gamma.events.remove(self._over.popleft())
        return winners

    async def announce(self, new: list[KnownMarket]) -> None:
        """The channel tells of new markets."""
        for one in new:
            await self._say(
                {
                    "event_type": "new_market",
                    "market": one.condition_id,
                    "assets_ids": list(one.tokens),
                    "timestamp": "1790000000000",
                }
            )

    async def announce_end(self, tokens: dict[str, str]) -> None:
        """The channel tells how markets ended: winning tokens by condition id."""
        for condition_id, token in tokens.items():
            await self._say(
                {
                    "event_type": "market_resolved",
                    "market": condition_id,
                    "winning_asset_id": token,
                    "timestamp": "1790000000000",
                }
            )

    async def _say(self, message: dict[str, Any]) -> None:
        await self.venue.send(orjson.dumps(message))

    def _market(self) -> KnownMarket:
        self._count += 1
        one = market(self._count)
        if self._count % 4:
            return one
        # Protocol v2: the channel pads the id with two zeros, Gamma shows it without.
        return KnownMarket(f"0x{self._count:062x}00", one.tokens, one.frames, None)


def _row(one: KnownMarket) -> Row:
    is_v2 = one.condition_id.endswith("00")
    return market_row(
        one.condition_id,
        conditionId=one.condition_id[:-2] if is_v2 else one.condition_id,
        version="v2" if is_v2 else "v1",
        clobTokenIds=json.dumps(one.tokens),
        positionIds=list(one.tokens) if is_v2 else None,
    )


@asynccontextmanager
async def rolling_venue(random: Random) -> AsyncIterator[tuple[RollingVenue, dict[str, str]]]:
    """One that listens, and the settings that lead a worker to it."""
    rolling = RollingVenue(random)
    await rolling.venue.start()
    app = web.Application()
    app.add_routes([web.get("/{path:.*}", rolling.gamma.answer)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield (
            rolling,
            {
                "venue_ws_url": rolling.venue.ws_url,
                "clob_url": rolling.venue.url,
                "gamma_url": f"http://127.0.0.1:{runner.addresses[0][1]}",
            },
        )
    finally:
        await runner.cleanup()
        await rolling.venue.stop()
