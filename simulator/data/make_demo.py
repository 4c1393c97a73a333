"""Writes demo.jsonl.gz: constructed traffic of twelve markets for 45 seconds, the same bytes each time.

    python -m simulator.data.make_demo

Only the shapes follow the venue's: every id is made from a name, every price and size from one seed. Books
change as the venue's do: both tokens mirrored, one exchange step in one to three messages with the final best
prices and hashes, a fill as a new pair of books with the trade told 36 ms later. Every hash verifies.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson

from marketdata.decimals import MICROS, from_micros
from marketdata.venue import book_hash, last_trade_spelling

SEED: Final = 20_261_122
START_MS: Final = 1_795_000_000_000
LENGTH_MS: Final = 45_000
STEPS_PER_S: Final = 16
DEPTH: Final = 8

Message = dict[str, Any]
Timed = tuple[int, Message | list[Message]]

EVENTS: Final[Sequence[tuple[str, str, bool, Sequence[tuple[str, str, str, int]]]]] = (
    (
        "bitcoin-above-on-november-30-2026",
        "Bitcoin above ___ on November 30?",
        False,
        [
            (
                f"bitcoin-above-{strike}k-on-november-30-2026",
                f"Will the price of Bitcoin be above ${strike},000 on November 30?",
                f"{strike},000",
                price,
            )
            for strike, price in ((104, 720), (106, 550), (108, 360), (110, 210))
        ],
    ),
    (
        "which-demo-team-wins-the-cup",
        "Which demo team wins the cup?",
        True,
        [
            (f"will-{name.lower()}-win-the-demo-cup", f"Will {name} win the demo cup?", name, price)
            for name, price in (("Alpha", 420), ("Bravo", 270), ("Charlie", 190), ("Delta", 110))
        ],
    ),
    *(
        (slug, question, False, [(slug, question, "", price)])
        for slug, question, price in (
            ("will-it-rain-in-the-demo-city-tomorrow", "Will it rain in the demo city tomorrow?", 640),
            ("demo-bill-passed-by-december-31", "Demo bill passed by December 31?", 180),
            ("demo-index-up-this-week", "Will the demo index rise this week?", 510),
            ("demo-rocket-launched-by-december-15", "Demo rocket launched by December 15?", 830),
        )
    ),
)
"""Event slug, title, negative risk, and its markets: slug, question, label, price of Yes in thousandths."""

ABOVE_RULES: Final = (
    "This market resolves to Yes if the Binance 1 minute candle for BTC/USDT 12:00 in the ET timezone (noon)"
    " on the date in the title has a final Close price strictly higher than the price in the title."
    " Made up for a demo."
)


@dataclass(slots=True)
class DemoMarket:
    """One market; the book is that of Yes in ticks to sizes in hundredths, the other one is its mirror."""

    event: tuple[str, str, bool]
    slug: str
    question: str
    label: str
    mid: int
    tick_micros: int
    bids: dict[int, int] = field(default_factory=dict)
    asks: dict[int, int] = field(default_factory=dict)
    last_trade: str = ""

    @property
    def condition_id(self) -> str:
        return "0x" + hashlib.sha256(f"demo {self.slug}".encode()).hexdigest()

    @property
    def tokens(self) -> tuple[str, str]:
        yes, no = (_number(f"demo token {side} {self.slug}", 77) for side in (0, 1))
        return yes, no

    def price(self, tick: int) -> str:
        return from_micros(tick * self.tick_micros)

    def mirrored(self, tick: int) -> int:
        return MICROS // self.tick_micros - tick

    def levels(self, outcome: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Bids and asks of one token, worst first."""
        bids, asks = self.bids, self.asks
        if outcome == 1:
            bids, asks = (
                {self.mirrored(tick): size for tick, size in self.asks.items()},
                {self.mirrored(tick): size for tick, size in self.bids.items()},
            )
        return (
            [(self.price(tick), _size(bids[tick])) for tick in sorted(bids)],
            [(self.price(tick), _size(asks[tick])) for tick in sorted(asks, reverse=True)],
        )

    def hash(self, outcome: int, at_ms: int) -> str:
        bids, asks = self.levels(outcome)
        return book_hash(
            market=self.condition_id,
            asset_id=self.tokens[outcome],
            timestamp=str(at_ms),
            bids=bids,
            asks=asks,
            tick_size=from_micros(self.tick_micros),
            neg_risk=self.event[2],
            last_trade_price=self.last_trade,
        )


def traffic(seed: int = SEED) -> Iterator[Timed]:
    """All frames with their time, Unix milliseconds, in order."""
    random = Random(seed)
    markets = [
        DemoMarket(
            (slug, title, neg_risk),
            *market[:3],
            market[3] // (1 if neg_risk else 10),
            1000 if neg_risk else 10_000,
        )
        for slug, title, neg_risk, listed in EVENTS
        for market in listed
    ]
    for market in markets:
        yield START_MS, announcement(market)
    for market in markets:
        fill(market, random)
        yield START_MS, [book(market, outcome, START_MS, first=True) for outcome in (0, 1)]
    told_later: list[Timed] = []
    at_ms = START_MS
    while (at_ms := at_ms + random.randint(1, 2 * 1000 // STEPS_PER_S)) < START_MS + LENGTH_MS:
        while told_later and told_later[0][0] <= at_ms:
            yield told_later.pop(0)
        market = random.choice(markets)
        if random.random() < 0.08:
            trade = take(market, random, at_ms)
            for outcome in (0, 1):
                yield at_ms, book(market, outcome, at_ms, first=False)
            told_later.append((at_ms + 36, trade | {"timestamp": str(at_ms + 36)}))
        else:
            for message in step(market, random, at_ms):
                yield at_ms, message
    yield from told_later


def fill(market: DemoMarket, random: Random) -> None:
    """Gives a market its first book, around its middle."""
    last = MICROS // market.tick_micros - 1
    for depth in range(1, DEPTH + 1):
        for side, tick in ((market.bids, market.mid - depth), (market.asks, market.mid + depth)):
            if 1 <= tick <= last:
                side[tick] = random.randint(5, 900) * 100


def step(market: DemoMarket, random: Random, at_ms: int) -> list[Message]:
    """One to three changes of resting orders; each message has the final best prices and hashes."""
    last = MICROS // market.tick_micros - 1
    changes: list[tuple[str, int, int]] = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        name = random.choice(("BUY", "SELL"))
        side, other = (market.bids, market.asks) if name == "BUY" else (market.asks, market.bids)
        best, sign = (max(side), 1) if name == "BUY" else (min(side), -1)
        tick = best + sign * random.choice((1, 0, 0, 0, -1, -2, -4))
        crosses = tick >= min(other) if name == "BUY" else tick <= max(other)
        if crosses or not 1 <= tick <= last or abs(tick - market.mid) > 3 * DEPTH:
            tick = best
        size = 0 if len(side) > 4 and random.random() < 0.3 else random.randint(500, 90_000)
        if size:
            side[tick] = size
        elif side.pop(tick, None) is None:
            continue
        changes.append((name, tick, size))
    return [change(market, *one, at_ms) for one in changes]


def take(market: DemoMarket, random: Random, at_ms: int) -> Message:
    """A taker fills half or all of the best level; gives the trade, which is told later."""
    name = random.choice(("BUY", "SELL"))
    side = market.asks if name == "BUY" else market.bids
    tick = min(side) if name == "BUY" else max(side)
    filled = side[tick] if len(side) > 4 and random.random() < 0.5 else max(side[tick] // 2, 1)
    side[tick] -= filled
    if not side[tick]:
        del side[tick]
    market.last_trade = last_trade_spelling(tick * market.tick_micros)
    return {
        "market": market.condition_id,
        "asset_id": market.tokens[0],
        "price": market.price(tick),
        "size": _size(filled),
        "side": name,
        "fee_rate_bps": "0",
        "transaction_hash": "0x" + hashlib.sha256(f"demo trade {market.slug} {at_ms}".encode()).hexdigest(),
        "event_type": "last_trade_price",
    }


def change(market: DemoMarket, name: str, tick: int, size: int, at_ms: int) -> Message:
    """A `price_change`: the level on Yes and its mirror on No, both with the state after the whole step."""
    told = []
    for outcome, side, at in (
        (0, name, tick),
        (1, "SELL" if name == "BUY" else "BUY", market.mirrored(tick)),
    ):
        bids, asks = market.levels(outcome)
        told.append(
            {
                "asset_id": market.tokens[outcome],
                "price": market.price(at),
                "size": _size(size),
                "side": side,
                "hash": market.hash(outcome, at_ms),
                "best_bid": bids[-1][0],
                "best_ask": asks[-1][0],
            }
        )
    return {
        "market": market.condition_id,
        "price_changes": told,
        "timestamp": str(at_ms),
        "event_type": "price_change",
    }


def book(market: DemoMarket, outcome: int, at_ms: int, *, first: bool) -> Message:
    """A whole book; the first one also tells tick size and last trade."""
    bids, asks = market.levels(outcome)
    message: Message = {
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
        "hash": market.hash(outcome, at_ms),
        "timestamp": str(at_ms),
        "event_type": "book",
    }
    if first:
        message |= {"tick_size": from_micros(market.tick_micros), "last_trade_price": market.last_trade}
    return message


def announcement(market: DemoMarket) -> Message:
    """A `new_market`: what the stand-in venue's catalog knows of the market."""
    slug, title, _ = market.event
    description = ABOVE_RULES if slug.startswith("bitcoin-above") else "Made up for a demo."
    return {
        "id": _number(f"demo market {market.slug}", 7),
        "question": market.question,
        "market": market.condition_id,
        "slug": market.slug,
        "description": description,
        "assets_ids": list(market.tokens),
        "outcomes": ["Yes", "No"],
        "event_message": {
            "id": _number(f"demo event {slug}", 6),
            "ticker": slug,
            "slug": slug,
            "title": title,
            "description": description,
        },
        "timestamp": str(START_MS),
        "tags": ["demo"],
        "condition_id": market.condition_id,
        "active": True,
        "clob_token_ids": list(market.tokens),
        "order_price_min_tick_size": from_micros(market.tick_micros),
        "group_item_title": market.label,
        "fees_enabled": True,
        "fee_schedule": {"exponent": "1", "rate": "0.04", "rebate_rate": "0.25", "taker_only": True},
        "event_type": "new_market",
    }


def recording() -> bytes:
    """The whole file, before it is packed."""
    return b"".join(
        orjson.dumps({"t": at_ms, "dir": "recv", "data": orjson.dumps(frame).decode()}) + b"\n"
        for at_ms, frame in traffic()
    )


def _size(hundredths: int) -> str:
    return from_micros(hundredths * MICROS // 100)


def _number(name: str, digits: int) -> str:
    floor = 10 ** (digits - 1)
    return str(floor + int(hashlib.sha256(name.encode()).hexdigest(), 16) % (9 * floor))


if __name__ == "__main__":
    Path(__file__).with_name("demo.jsonl.gz").write_bytes(gzip.compress(recording(), 9, mtime=0))
