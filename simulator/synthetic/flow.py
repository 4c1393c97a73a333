"""Who trades: random orders around the fair values, and what happens to them when these move. Pure.

No bid rests at or above the fair value and no ask at or below it, except for the orders of a planted edge. So
at every moment one consistent set of fair values lies between all bids and asks, and no basket has an edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log
from random import Random
from typing import Final

from marketdata.decimals import MICROS
from simulator.synthetic.exchange import Market, NewOrder, Order
from simulator.synthetic.listing import Quote, Side, Withdrawn
from simulator.synthetic.sizes import Sizes
from simulator.synthetic.steps import Step

FINE_TICK: Final = 1_000
COARSE_TICK: Final = 10_000
"""Markets that begin on this grid get the fine one near the ends. Source: the venue's documentation."""

FINE_BELOW: Final = 40_000
COARSE_AGAIN_ABOVE: Final = 60_000
"""Between the two the grid stays as it is, so that it does not flutter."""

TRADE_SHARE: Final = 0.012
BATCH_SHARE: Final = 0.10
"""Of ordinary steps; as in recordings, where nearly all messages are price changes of one level."""

MAX_BATCH: Final = 8
SWEEP_SHARE: Final = 0.5
"""Of the markets whose fair value overran resting orders: these are bought, not withdrawn."""


class Trader:
    """All who trade in one market.

    Args:
        liveliness: 0 to 1; lively markets have more levels.

    Attributes:
        fair: of outcome 0, millionths.
        highest_bid, lowest_ask: where ordinary orders may rest.
    """

    __slots__ = (
        "_pins",
        "_random",
        "_reach",
        "_sizes",
        "_wanted",
        "fair",
        "highest_bid",
        "lowest_ask",
        "market",
    )

    def __init__(self, market: Market, fair: int, liveliness: float, random: Random, sizes: Sizes) -> None:
        self.market = market
        self.fair = fair
        self._random = random
        self._sizes = sizes
        self._wanted = int((14 + 34 * liveliness) * random.uniform(0.7, 1.3))
        self._reach = 0.0
        self._pins: dict[tuple[Side, int], Order] = {}
        self._bound()

    def open(self) -> None:
        """Fills the book for the first time; not a step, for nobody has seen the market yet."""
        self.market.tick = self._fitting_tick()
        self._bound()
        for is_bid in (True, False):
            for _ in range(self._wanted * 3):
                if (order := self._new_order(is_bid)) is not None:
                    self.market.place(order)
        if self._random.random() < 0.8:
            self.market.last_trade = min(max(self.highest_bid, self.market.tick), MICROS - self.market.tick)

    def ordinary(self) -> Step | None:
        """One step of everyday trade; None where nobody wants anything just now."""
        draw = self._random.random()
        if draw < TRADE_SHARE and not self._pins:
            return self._trade()
        if draw < TRADE_SHARE + BATCH_SHARE:
            return self._batch()
        is_bid = self._random.random() < 0.5
        if self._random.random() < self._wish_for_more(is_bid) and (order := self._new_order(is_bid)):
            return self.market.place(order)
        withdrawn = self._waiting(is_bid)
        return self.market.cancel(withdrawn) if withdrawn else None

    def give_way(self, fair: int, *, may_rest: bool) -> Step | None:
        """Clears what would stand on the wrong side of a new fair value, which holds from now on.

        Args:
            may_rest: what is left of an order that swept the book may rest. Only for the last market of a group
                that moves: until then the old fair values must fit the others.
        """
        was_pinned = bool(self._pins)
        self.fair = fair
        self._bound()
        step = None
        stale = [*self._stale(is_bid=True), *self._stale(is_bid=False)]
        if stale:
            if not was_pinned and self._random.random() < SWEEP_SHARE:
                step = self._sweep(stale, may_rest=may_rest)
            step = step or self.market.change(cancels=stale)
        return step

    def new_grid(self) -> Step | None:
        """Changes the tick where the fair value asks for it."""
        tick = self._fitting_tick()
        if tick == self.market.tick or self._pins:
            return None
        step = self.market.retick(tick)
        self._bound()
        return step

    def pin(self, quote: Quote) -> Step:
        """Places an order of a planted edge, after clearing what it would meet."""
        is_bid = quote.side == "BUY"
        against = self.market.side(not is_bid)
        key = quote.side, quote.price_micros
        self._pins[key] = Order(is_bid, quote.price_micros, 0)
        self._bound()
        met = list(against.better_than(quote.price_micros))
        if against.total(quote.price_micros):
            met.append(quote.price_micros)
        cancels = [Order(not is_bid, price, order_id) for price in met for order_id in against.orders(price)]
        step = self.market.change(cancels, (NewOrder(is_bid, quote.price_micros, quote.size_micros),))
        self._pins[key] = Order(is_bid, quote.price_micros, self.market.newest_id())
        return step

    def unpin(self, quote: Withdrawn) -> Step:
        """Takes an order of a planted edge back.

        Raises:
            KeyError: there is none.
        """
        order = self._pins.pop((quote.side, quote.price_micros))
        self._bound()
        return self.market.cancel(order)

    def _bound(self) -> None:
        tick = self.market.tick
        highest_bid = -(-self.fair // tick) * tick - tick
        lowest_ask = self.fair // tick * tick + tick
        for side, price in self._pins:
            if side == "SELL":
                highest_bid = min(highest_bid, -(-price // tick) * tick - tick)
            else:
                lowest_ask = max(lowest_ask, price // tick * tick + tick)
        self.highest_bid, self.lowest_ask = highest_bid, lowest_ask
        # Orders lie thinner on a fine grid, yet reach less far.
        self._reach = 9.0 if tick >= COARSE_TICK else 22.0

    def _fitting_tick(self) -> int:
        if self.market.listing.tick_micros != COARSE_TICK:
            return self.market.tick
        end = min(self.fair, MICROS - self.fair)
        if end < FINE_BELOW:
            return FINE_TICK
        return COARSE_TICK if end > COARSE_AGAIN_ABOVE else self.market.tick

    def _new_order(self, is_bid: bool) -> NewOrder | None:
        tick = self.market.tick
        distance = int(-log(1.0 - self._random.random()) * self._reach) * tick
        price = self.highest_bid - distance if is_bid else self.lowest_ask + distance
        return NewOrder(is_bid, price, self._sizes.draw()) if tick <= price <= MICROS - tick else None

    def _wish_for_more(self, is_bid: bool) -> float:
        levels = len(self.market.side(is_bid))
        return min(max(0.5 + 0.8 * (self._wanted - levels) / self._wanted, 0.15), 0.9)

    def _waiting(self, is_bid: bool) -> Order | None:
        """Some order of a side that may be withdrawn."""
        side = self.market.side(is_bid)
        levels = len(side)
        if not levels:
            return None
        random = self._random
        # Most withdrawals are near the best price, yet what was left far behind goes too.
        rank = (
            int(-log(1.0 - random.random()) * 4) if random.random() < 0.6 else int(random.random() * levels)
        )
        price = side.price_at(min(rank, levels - 1))
        order_id = side.newest(price) if random.random() < 0.6 else side.oldest(price)
        order = Order(is_bid, price, order_id)
        return None if self._pins and order in self._pins.values() else order

    def _batch(self) -> Step | None:
        """A market maker moves: some orders go, some come, all at once."""
        count = 2 + int(self._random.random() * (MAX_BATCH - 1))
        cancels: dict[Order, None] = {}
        orders: list[NewOrder] = []
        for _ in range(count):
            is_bid = self._random.random() < 0.5
            if self._random.random() < self._wish_for_more(is_bid):
                if (new := self._new_order(is_bid)) is not None:
                    orders.append(new)
            elif (old := self._waiting(is_bid)) is not None:
                cancels[old] = None
        return self.market.change(cancels, orders) if cancels or orders else None

    def _trade(self) -> Step | None:
        """Somebody takes: mostly a part of the best level, now and then more than one."""
        is_buy = self._random.random() < 0.5
        against = self.market.side(not is_buy)
        price, waiting = against.top()
        if not waiting:
            return None
        draw = self._random.random()
        if draw < 0.6:
            size = min(waiting, max(10_000, int(waiting * self._random.random()) // 10_000 * 10_000))
        elif draw < 0.85 or len(against) < 3:
            size = waiting
        else:
            second = against.price_at(1)
            price, size = second, waiting + max(1, against.total(second) // 2)
        return self.market.cross(NewOrder(is_buy, price, size), rest=False)

    def _sweep(self, stale: Sequence[Order], *, may_rest: bool) -> Step | None:
        sides = {order.is_bid for order in stale}
        if len(sides) != 1:
            return None
        is_buy = not stale[0].is_bid
        against = self.market.side(not is_buy)
        prices = {order.price for order in stale}
        limit = max(prices) if is_buy else min(prices)
        size = sum(against.total(price) for price in prices)
        bound = self.highest_bid if is_buy else self.lowest_ask
        if may_rest and (limit <= bound if is_buy else limit >= bound) and 0 < bound < MICROS:
            return self.market.cross(NewOrder(is_buy, bound, size + self._sizes.draw()), rest=True)
        return self.market.cross(NewOrder(is_buy, limit, size), rest=False)

    def _stale(self, *, is_bid: bool) -> Iterator[Order]:
        side = self.market.side(is_bid)
        pinned = set(self._pins.values())
        for price in side.better_than(self.highest_bid if is_bid else self.lowest_ask):
            for order_id in side.orders(price):
                if (order := Order(is_bid, price, order_id)) not in pinned:
                    yield order
