"""A synthetic venue that stands still, with two clients: faults meet the first, the second hears what was meant."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import orjson

from simulator import service
from simulator.faults.faults import Faults
from simulator.synthetic.opening import Synthetic

BOUND_S = 15.0

Message = dict[str, Any]


class Client:
    """One websocket.

    Attributes:
        dump: the answer to its first subscription, by token.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.dump: dict[str, Message] = {}

    async def receive(self) -> aiohttp.WSMessage:
        return await asyncio.wait_for(self.socket.receive(), BOUND_S)

    async def text(self) -> bytes:
        message = await self.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return str(message.data).encode()

    async def heard(self) -> list[bytes]:
        """All that was sent to it so far: what comes before the answer to a PING."""
        await self.socket.send_str("PING")
        found = []
        while (data := await self.text()) != b"PONG":
            found.append(data)
        return found

    async def ask(self, operation: str, *tokens: str) -> None:
        await self.socket.send_json({"operation": operation, "assets_ids": tokens})

    async def closed(self) -> tuple[int | None, str]:
        """Reads to the end; close code and reason. 1006: there was no close frame."""
        while True:
            message = await self.receive()
            if message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, str(message.extra or "")
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.socket.close_code, ""


class FaultVenue:
    """The venue's doors and its clients.

    Attributes:
        tokens: of all markets; `market_of` each one's condition id.
        faulty: connection 1.
        honest: connection 2.
    """

    def __init__(self, url: str, http: aiohttp.ClientSession, faults: Faults) -> None:
        self.url = url
        self.http = http
        self.faults = faults
        self.market_of: dict[str, str] = {}
        self.faulty: Client
        self.honest: Client

    @property
    def tokens(self) -> list[str]:
        return list(self.market_of)

    def tokens_of(self, market: str) -> list[str]:
        """Both tokens of a market."""
        return [token for token, one in self.market_of.items() if one == market]

    async def call(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        data = None if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.http.request(method, self.url + path, data=data) as answer:
            assert answer.status == status, await answer.text()
            return orjson.loads(await answer.read())

    async def inject(self, kind: str, **more: object) -> int:
        (fault_id,) = (await self.call("POST", "/control/faults", {"kind": kind, **more}))["ids"]
        assert isinstance(fault_id, int)
        return fault_id

    async def case(self, fault_id: int) -> Message:
        """What the log tells of one fault."""
        rows = (await self.call("GET", f"/control/faults/log?since={fault_id}"))["log"]
        found: Message = rows[0]
        return found

    async def steps(self, count: int) -> tuple[list[bytes], list[bytes]]:
        """Makes steps; what both clients heard of them."""
        await self.make(count)
        return await self.faulty.heard(), await self.honest.heard()

    async def make(self, count: int) -> None:
        await self.call("POST", f"/control/step?steps={count}")

    async def open_tokens(self) -> list[str]:
        """Those whose market has not ended meanwhile."""
        asked = [{"token_id": token} for token in self.tokens]
        return [book["asset_id"] for book in await self.call("POST", "/books", asked)]

    async def truth(self, token: str) -> Message:
        found: Message = await self.call("GET", f"/control/truth?token={token}")
        return found

    async def busy_token(self) -> str:
        """A token whose market often changes."""
        _, heard = await self.steps(300)
        seen = Counter(
            change["asset_id"] for row in rows(heard, "price_change") for change in row["price_changes"]
        )
        still = set(await self.open_tokens())
        return str(next(token for token, _ in seen.most_common() if token in still))

    @asynccontextmanager
    async def client(self, *tokens: str, dumped: bool = True) -> AsyncIterator[Client]:
        # Some connections here are dead: their end is not waited for.
        patience = aiohttp.ClientWSTimeout(ws_close=0.5)
        async with self.http.ws_connect(f"{self.url}/ws/market", max_msg_size=0, timeout=patience) as socket:
            client = Client(socket)
            await socket.send_json(
                {"assets_ids": tokens or self.tokens, "type": "market", "custom_feature_enabled": True}
            )
            if dumped:
                client.dump = {row["asset_id"]: row for row in orjson.loads(await client.text())}
            yield client


@asynccontextmanager
async def faulty_venue(**given: Any) -> AsyncIterator[FaultVenue]:
    """A venue of a few markets, paused once both clients have their books."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    faults = given.pop("faults", None) or Faults(seed=seed)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    run = asyncio.create_task(
        service.run_synthetic(
            Synthetic(**{"seed": seed, "markets": 8, "rate": 200.0, **given}),
            host="127.0.0.1",
            port=0,
            stop=stop,
            on_ready=ready.set_result,
            faults=faults,
        )
    )
    await asyncio.wait({run, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=BOUND_S)
    if run.done():
        run.result()
    try:
        async with aiohttp.ClientSession() as http:
            venue = FaultVenue(ready.result(), http, faults)
            await venue.call("POST", "/control/pause")
            for event in await venue.call("GET", "/events?limit=500"):
                for market in event["markets"]:
                    for token in market.get("positionIds") or orjson.loads(market["clobTokenIds"]):
                        venue.market_of[token] = market["conditionId"]
            async with venue.client() as venue.faulty, venue.client() as venue.honest:
                # A protocol v2 id is longer on the wire than in Gamma's rows.
                venue.market_of = {token: row["market"] for token, row in venue.honest.dump.items()}
                yield venue
    finally:
        stop.set()
        await asyncio.wait_for(run, BOUND_S)


def rows(frames: Iterable[bytes], event: str = "") -> list[Message]:
    """The messages of frames, all or those of one type."""
    found = [orjson.loads(frame) for frame in frames]
    return [row for row in found if not event or row["event_type"] == event]


class PlainBook:
    """One token's levels, by doing what the messages say."""

    def __init__(self, token: str, dump: Message) -> None:
        self.token = token
        self.sides: dict[str, dict[Decimal, str]] = {"BUY": {}, "SELL": {}}
        self._replace(dump)

    def read(self, frame: bytes) -> None:
        row = orjson.loads(frame)
        if row["event_type"] == "book" and row["asset_id"] == self.token:
            self._replace(row)
        for change in row.get("price_changes", ()):
            if change["asset_id"] == self.token:
                side = self.sides[change["side"]]
                side[Decimal(change["price"])] = change["size"]
                if change["size"] == "0":
                    del side[Decimal(change["price"])]

    def levels(self) -> tuple[dict[Decimal, str], dict[Decimal, str]]:
        return self.sides["BUY"], self.sides["SELL"]

    @property
    def best(self) -> tuple[Decimal, Decimal]:
        return max(self.sides["BUY"], default=Decimal(0)), min(self.sides["SELL"], default=Decimal(1))

    def _replace(self, row: Message) -> None:
        for name, side in (("bids", "BUY"), ("asks", "SELL")):
            self.sides[side] = {Decimal(one["price"]): one["size"] for one in row[name]}


def same_levels(book: PlainBook, truth: Message) -> bool:
    """Whether a plain book is the exchange's."""
    return book.levels() == PlainBook(book.token, truth["book"]).levels()
