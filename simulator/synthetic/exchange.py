"""The matching engine of one market: orders in, steps out. Pure.

Both tokens trade in one book: buying outcome 1 at 1 - p is selling outcome 0 at p, and the venue shows each
resting order in both. So the engine knows outcome 0 alone, in millionths.
Source of the order within a step: captured traffic of the venue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from marketdata.decimals import MICROS
from simulator.synthetic.ladder import Side
from simulator.synthetic.listing import Listing
from simulator.synthetic.steps import Fill, Step


class Order(NamedTuple):
    """A resting order: where it stands, and its id within its market."""

    is_bid: bool
    price: int
    order_id: int


class NewOrder(NamedTuple):
    """An order to place."""

    is_bid: bool
    price: int
    size: int


class Market:
    """One market's orders.

    Attributes:
        tick: now, millionths.
        last_trade: price of outcome 0 at the last fill; None before the first.
    """

    __slots__ = ("_next_id", "asks", "bids", "last_trade", "listing", "tick")

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.tick = listing.tick_micros
        self.bids = Side(is_bid=True)
        self.asks = Side(is_bid=False)
        self.last_trade: int | None = None
        self._next_id = 0

    def side(self, is_bid: bool) -> Side:
        """Bids or asks of outcome 0."""
        return self.bids if is_bid else self.asks

    def best(self) -> tuple[int, int]:
        """Best bid and ask of outcome 0; 0 where there is none."""
        return self.bids.best, self.asks.best

    def change(self, cancels: Iterable[Order] = (), orders: Iterable[NewOrder] = ()) -> Step:
        """Cancels and places orders that meet nobody, in one step.

        Raises:
            ValueError: an order off the grid, or one that would cross; the book may be half changed.
            KeyError: no such order.
        """
        step = Step(best_before=self.best())
        # A level that is touched twice is told once, with what is left in the end.
        touched: dict[tuple[bool, int], None] = {}
        for order in cancels:
            self.side(order.is_bid).cancel(order.order_id, order.price)
            touched[order.is_bid, order.price] = None
        for new in orders:
            self._check(new)
            if self._meets(new.is_bid, new.price):
                raise ValueError(f"an order at {new.price} would cross")
            self._rest(new)
            touched[new.is_bid, new.price] = None
        step.levels = list(touched)
        return step

    def place(self, new: NewOrder) -> Step:
        """`change` with one new order; most steps are this or `cancel`.

        Raises:
            ValueError: off the grid, or it would cross; nothing was done.
        """
        self._check(new)
        if self._meets(new.is_bid, new.price):
            raise ValueError(f"an order at {new.price} would cross")
        before = self.bids.best, self.asks.best
        self._rest(new)
        return Step([(new.is_bid, new.price)], best_before=before)

    def cancel(self, order: Order) -> Step:
        """`change` with one order that goes.

        Raises:
            KeyError: no such order.
        """
        before = self.bids.best, self.asks.best
        self.side(order.is_bid).cancel(order.order_id, order.price)
        return Step([(order.is_bid, order.price)], best_before=before)

    def cross(self, taker: NewOrder, *, rest: bool) -> Step:
        """Matches an order by price and time; what is left of it rests, or is dropped.

        Raises:
            ValueError: off the grid.
        """
        self._check(taker)
        step = Step(best_before=self.best(), taker_buys=taker.is_bid)
        against = self.side(not taker.is_bid)
        left, consumed = taker.size, []
        while left and (price := against.best) and self._meets(taker.is_bid, taker.price):
            filled = against.take(price, left)
            left -= filled
            step.fills.append(Fill(price, filled))
            if not against.total(price):
                consumed.append((not taker.is_bid, price))
        if left and rest:
            self._rest(taker._replace(size=left))
            step.levels.append((taker.is_bid, taker.price))
        step.levels += consumed
        if step.fills:
            self.last_trade = step.fills[-1].price
        return step

    def retick(self, tick: int) -> Step:
        """Changes the grid; orders off the new one vanish."""
        step = Step(best_before=self.best(), old_tick=self.tick)
        self.tick = tick
        for side in (self.bids, self.asks):
            for price in side.off_grid(tick):
                for order_id in side.orders(price):
                    side.cancel(order_id, price)
        return step

    def newest_id(self) -> int:
        """The id of the order placed last."""
        return self._next_id

    def _check(self, new: NewOrder) -> None:
        if new.price % self.tick or not self.tick <= new.price <= MICROS - self.tick or new.size <= 0:
            raise ValueError(f"not on the grid of {self.tick}: {new}")

    def _meets(self, is_bid: bool, price: int) -> bool:
        other = self.side(not is_bid).best
        return other != 0 and (price >= other if is_bid else price <= other)

    def _rest(self, new: NewOrder) -> None:
        self._next_id += 1
        self.side(new.is_bid).rest(self._next_id, new.price, new.size)
