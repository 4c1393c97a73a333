"""One side of a market's book: price levels, the orders at each in the order of their coming. Pure.

All prices are outcome 0's, in millionths. The same side is the other outcome's opposite one at 1 - p, and both
are written worst level first, so one list of levels serves both tokens.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import Final

from marketdata.decimals import MICROS, from_micros

PRICES_KEPT: Final = 16_384
SIZES_KEPT: Final = 32_768

price_text = lru_cache(maxsize=PRICES_KEPT)(from_micros)
"""The venue's spelling of a price."""

size_text = lru_cache(maxsize=SIZES_KEPT)(from_micros)
"""The venue's spelling of a size. A level is spelt at least twice, and sizes come from a pool."""


@lru_cache(maxsize=PRICES_KEPT)
def _openings(price: int) -> tuple[str, str]:
    """How a level at this price begins in a book of outcome 0, and in one of outcome 1."""
    return (
        f'{{"price":"{price_text(price)}","size":"',
        f'{{"price":"{price_text(MICROS - price)}","size":"',
    )


class Level:
    """The orders at one price: id to what is left of it, the oldest first; `total` is their sum."""

    __slots__ = ("orders", "total")

    def __init__(self) -> None:
        self.total = 0
        self.orders: dict[int, int] = {}


class Side:
    """Bids or asks of a market.

    Args:
        is_bid: whether these are the bids of outcome 0.

    Attributes:
        best: the best price; 0 where there is no level.
    """

    __slots__ = ("_joined", "_keys", "_levels", "_texts", "best", "is_bid")

    def __init__(self, is_bid: bool) -> None:
        self.is_bid = is_bid
        self.best = 0
        # Ascending keys are worst first on either side: a bid's price, an ask's price below zero.
        self._keys: list[int] = []
        self._levels: dict[int, Level] = {}
        self._texts: tuple[list[str], list[str]] = ([], [])
        self._joined: list[str | None] = ["", ""]

    def __len__(self) -> int:
        return len(self._keys)

    def top(self) -> tuple[int, int]:
        """Best price and its total size; zeros where there is no level."""
        best = self.best
        return (best, self._levels[best].total) if best else (0, 0)

    def price_at(self, rank: int) -> int:
        """The price of a level; rank 0 is the best."""
        return abs(self._keys[-1 - rank])

    def total(self, price: int) -> int:
        """The sum of the orders at a price; 0 where there is none."""
        level = self._levels.get(price)
        return 0 if level is None else level.total

    def orders(self, price: int) -> tuple[int, ...]:
        """Ids of the orders at a price, the oldest first."""
        return tuple(self._levels[price].orders)

    def oldest(self, price: int) -> int:
        """The id of the order that has waited longest at a price."""
        return next(iter(self._levels[price].orders))

    def newest(self, price: int) -> int:
        """The id of the order that came last at a price."""
        return next(reversed(self._levels[price].orders))

    def better_than(self, price: int) -> list[int]:
        """Prices of all levels strictly better than `price`, best first."""
        key = price if self.is_bid else -price
        return [abs(one) for one in reversed(self._keys) if one > key]

    def off_grid(self, tick: int) -> list[int]:
        """Prices of levels that are no multiple of `tick`."""
        return [price for price in self._levels if price % tick]

    def levels(self) -> list[tuple[int, int]]:
        """(price, total size), worst first."""
        return [(abs(key), self._levels[abs(key)].total) for key in self._keys]

    def rest(self, order_id: int, price: int, size: int) -> None:
        """Puts an order behind those that wait at its price."""
        level = self._levels.get(price)
        if level is None:
            level = self._levels[price] = Level()
        level.orders[order_id] = size
        level.total += size
        self._write(price, level.total)

    def cancel(self, order_id: int, price: int) -> None:
        """Takes an order out.

        Raises:
            KeyError: no such order at that price.
        """
        level = self._levels[price]
        level.total -= level.orders.pop(order_id)
        self._write(price, level.total)

    def take(self, price: int, size: int) -> int:
        """Fills the orders at a price, the oldest first, up to `size`; returns how much was filled."""
        level = self._levels[price]
        left = size
        while left and level.orders:
            order_id = next(iter(level.orders))
            filled = min(left, level.orders[order_id])
            left -= filled
            if filled == level.orders[order_id]:
                del level.orders[order_id]
            else:
                level.orders[order_id] -= filled
        level.total -= size - left
        self._write(price, level.total)
        return size - left

    def text(self, outcome: int) -> str:
        """All levels as a token's book writes them, compact: bids stay bids for outcome 0, are asks for 1."""
        joined = self._joined[outcome]
        if joined is None:
            joined = self._joined[outcome] = ",".join(self._texts[outcome])
        return joined

    def _write(self, price: int, total: int) -> None:
        key = price if self.is_bid else -price
        place = bisect_left(self._keys, key)
        known = place < len(self._keys) and self._keys[place] == key
        own, mirrored = self._texts
        if total:
            end = f'{size_text(total)}"}}'
            opening, mirrored_opening = _openings(price)
            if known:
                own[place] = opening + end
                mirrored[place] = mirrored_opening + end
            else:
                self._keys.insert(place, key)
                own.insert(place, opening + end)
                mirrored.insert(place, mirrored_opening + end)
                self.best = abs(self._keys[-1])
        else:
            del self._levels[price]
            if known:
                del self._keys[place], own[place], mirrored[place]
                self.best = abs(self._keys[-1]) if self._keys else 0
        self._joined[0] = self._joined[1] = None
