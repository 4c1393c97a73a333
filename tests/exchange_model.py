"""A naive exchange with one market, right by being slow: every price and every checksum made anew each time."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from random import Random

from marketdata.market import Market
from tests.venue_frames import MS, Row, book, item, price_change, wire_hash

Side = dict[Decimal, Decimal]
Change = tuple[str, Decimal, Decimal]
"""side of the first token, price, new total size."""

ONE_UNIT = Decimal(1)


def spelt(number: Decimal) -> str:
    """The shortest spelling, as the venue's live messages have it."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def best(bids: Side, asks: Side) -> tuple[str, str]:
    """Best bid and ask as `best_bid` and `best_ask` say them."""
    return spelt(max(bids, default=Decimal(0))), spelt(min(asks, default=ONE_UNIT))


def applied(bids: Side, asks: Side, side: str, price: Decimal, size: Decimal) -> None:
    """Sets the total at a price."""
    levels = bids if side == "BUY" else asks
    levels.pop(price, None)
    if size:
        levels[price] = size


class Exchange:
    """Both tokens of a market, one the mirror of the other.

    Attributes:
        bids, asks: of the first token.
        ms: the venue's time.
    """

    def __init__(self, market: Market, random: Random) -> None:
        self.market = market
        self.bids: Side = {}
        self.asks: Side = {}
        self.ms = MS
        self._random = random
        for _ in range(6):
            self.bids[Decimal(random.randint(30, 48)) / 100] = self._size()
            self.asks[Decimal(random.randint(52, 70)) / 100] = self._size()

    def sides(self, outcome: int) -> tuple[Side, Side]:
        """Bids and asks of a token."""
        if outcome == 0:
            return dict(self.bids), dict(self.asks)
        mirrored = [
            {ONE_UNIT - price: size for price, size in side.items()} for side in (self.asks, self.bids)
        ]
        return mirrored[0], mirrored[1]

    def book(self, outcome: int) -> Row:
        """A `book` message of a token as it is now."""
        bids, asks = self.sides(outcome)
        return book(self.market, outcome, *_wire(bids, asks), ms=self.ms)

    def step(self, changes: Iterable[Change]) -> list[Row]:
        """One step: a message a change, all with the prices and the checksum after the last."""
        wanted = list(changes)
        self.ms += self._random.choice((1, 1, 7, 300))
        for side, price, size in wanted:
            applied(self.bids, self.asks, side, price, size)
        finals = []
        for outcome in (0, 1):
            bids, asks = self.sides(outcome)
            signature = wire_hash(self.market, outcome, self.ms, *_wire(bids, asks))
            finals.append((best(bids, asks), signature))
        return [
            price_change(
                self.market,
                item(self.market, 0, side, spelt(price), spelt(size), *finals[0]),
                item(
                    self.market,
                    1,
                    "SELL" if side == "BUY" else "BUY",
                    spelt(ONE_UNIT - price),
                    spelt(size),
                    *finals[1],
                ),
                ms=self.ms,
            )
            for side, price, size in wanted
        ]

    def random_step(self) -> list[Row]:
        """One to six changes that leave the book uncrossed, if only at the end."""
        random = self._random
        changes: list[Change] = []
        bids, asks = dict(self.bids), dict(self.asks)
        for _ in range(random.randint(1, 4)):
            side = random.choice(("BUY", "SELL"))
            price = Decimal(random.randint(35, 65)) / 100
            size = random.choice((Decimal(0), self._size(), self._size()))
            changes.append((side, price, size))
            applied(bids, asks, side, price, size)
        # An order that crosses takes what it meets: resting first, removals after.
        last_side = changes[-1][0]
        while bids and asks and max(bids) >= min(asks):
            taken = ("SELL", min(asks)) if last_side == "BUY" else ("BUY", max(bids))
            changes.append((*taken, Decimal(0)))
            applied(bids, asks, *taken, Decimal(0))
        return self.step(changes)

    def _size(self) -> Decimal:
        return Decimal(self._random.randint(1, 50_000_000)) / 10 ** self._random.choice((0, 2, 6))


def _wire(bids: Side, asks: Side) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    return (
        [(spelt(price), spelt(bids[price])) for price in sorted(bids)],
        [(spelt(price), spelt(asks[price])) for price in sorted(asks, reverse=True)],
    )
