"""NautilusTrader's decoder, instruments and order book over the simulator's socket; exits 1 if a top differs.

    tests/public_client/run.sh

Its message types do not know the custom features, so these are not asked for. The top after the last message of
each (token, timestamp) is compared with the simulator's log.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from decimal import Decimal
from typing import Any

import msgspec
import websockets
from nautilus_trader.adapters.polymarket.common.parsing import parse_instrument, update_instrument
from nautilus_trader.adapters.polymarket.schemas.book import (
    PolymarketBookSnapshot,
    PolymarketQuotes,
    PolymarketTickSizeChange,
    PolymarketTrade,
)
from nautilus_trader.adapters.polymarket.websocket.types import MARKET_WS_MESSAGE
from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import BookOrder, OrderBookDelta
from nautilus_trader.model.enums import BookAction, BookType, OrderSide, RecordFlag

QUIET_S = 1.0


def get(url: str, *, post: bool = False) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST" if post else "GET")) as answer:
        return bytes(answer.read())


class Client:
    """What the adapter's data client does with a frame, without the rest of its engine."""

    def __init__(self, url: str) -> None:
        self.instruments: dict[str, Any] = {}
        self.books: dict[str, Any] = {}
        self.tops: dict[tuple[str, int], tuple[Decimal, ...]] = {}
        self.messages = self.trades = self.ticks = 0
        for event in json.loads(get(f"{url}/events?limit=500")):
            for row in event["markets"]:
                info = json.loads(get(f"{url}/markets/{row['conditionId']}"))
                for token in info["tokens"]:
                    self.instruments[token["token_id"]] = parse_instrument(
                        info, token["token_id"], token["outcome"], 0
                    )

    def frame(self, decoder: Any, data: str) -> None:
        decoded = decoder.decode(data)
        for message in decoded if isinstance(decoded, list) else [decoded]:
            self.messages += 1
            if isinstance(message, PolymarketBookSnapshot):
                self.snapshot(message)
            elif isinstance(message, PolymarketQuotes):
                self.quotes(message)
            elif isinstance(message, PolymarketTickSizeChange):
                self.ticks += 1
                name = message.asset_id
                self.instruments[name] = update_instrument(self.instruments[name], change=message, ts_init=0)
            else:
                assert isinstance(message, PolymarketTrade)
                message.parse_to_trade_tick(self.instruments[message.asset_id], 0)
                self.trades += 1

    def snapshot(self, message: Any) -> None:
        instrument = self.instruments[message.asset_id]
        book = OrderBook(instrument.id, book_type=BookType.L2_MBP)
        if (deltas := message.parse_to_snapshot(instrument, 0)) is not None:
            book.apply_deltas(deltas)
        self.books[message.asset_id] = book
        self.note(message.asset_id, int(message.timestamp))

    def quotes(self, message: Any) -> None:
        for change in message.price_changes:
            instrument = self.instruments[change.asset_id]
            order = BookOrder(
                side=OrderSide.BUY if change.side.name == "BUY" else OrderSide.SELL,
                price=instrument.make_price(float(change.price)),
                size=instrument.make_qty(float(change.size)),
                order_id=0,
            )
            self.books[change.asset_id].apply_delta(
                OrderBookDelta(
                    instrument_id=instrument.id,
                    action=BookAction.UPDATE if order.size > 0 else BookAction.DELETE,
                    order=order,
                    flags=RecordFlag.F_LAST,
                    sequence=0,
                    ts_event=0,
                    ts_init=0,
                )
            )
            self.note(change.asset_id, int(message.timestamp))

    def note(self, token: str, ms: int) -> None:
        book = self.books[token]
        found = (book.best_bid_price(), book.best_bid_size(), book.best_ask_price(), book.best_ask_size())
        self.tops[token, ms] = tuple(Decimal(0) if one is None else Decimal(str(one)) for one in found)


async def read(client: Client, url: str, seconds: float) -> None:
    decoder = msgspec.json.Decoder(MARKET_WS_MESSAGE)
    address = f"ws{url.removeprefix('http')}/ws/market"
    async with websockets.connect(address, max_size=1 << 24, ping_interval=None) as socket:
        tokens = list(client.instruments)
        for start in range(0, len(tokens), 100):
            words = {"operation": "subscribe"} if start else {"type": "market"}
            await socket.send(json.dumps({"assets_ids": tokens[start : start + 100], **words}))
        ends, paused = time.monotonic() + seconds, False
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    client.frame(decoder, str(await socket.recv()))
            except TimeoutError:
                if paused:
                    return
            if not paused and time.monotonic() >= ends:
                await asyncio.to_thread(get, f"{url}/control/pause", post=True)
                paused = True


def truth(url: str) -> dict[tuple[str, int], tuple[Decimal, ...]]:
    found: dict[tuple[str, int], tuple[Decimal, ...]] = {}
    since = 0
    while True:
        rows = [json.loads(line) for line in get(f"{url}/control/truths?since={since}").splitlines()]
        if not rows:
            return found
        since = rows[-1]["seq"] + 1
        for row in rows:
            if row["kind"] == "top":
                found[row["token"], row["venue_ms"]] = tuple(
                    Decimal(row[name] or "0") for name in ("bid", "bid_size", "ask", "ask_size")
                )


def main() -> int:
    url, seconds = sys.argv[1].strip(), float(sys.argv[2])
    client = Client(url)
    asyncio.run(read(client, url, seconds))
    true = truth(url)
    first = {}
    for token, ms in client.tops:
        first[token] = min(ms, first.get(token, ms))
    wanted = {key: top for key, top in true.items() if key[0] in first and key[1] >= first[key[0]]}
    wrong = [key for key, top in wanted.items() if client.tops.get(key) != top]
    wrong += [key for key in client.tops if key not in wanted]
    print(
        f"nautilus_trader read {client.messages} messages of {len(client.books)} tokens: {client.trades} trades,"
        f" {client.ticks} ticks; {len(wanted)} tops compared, {len(wrong)} differ"
    )
    for key in wrong[:10]:
        print(key, "read", client.tops.get(key), "true", wanted.get(key))
    return 1 if wrong or not wanted else 0


if __name__ == "__main__":
    sys.exit(main())
