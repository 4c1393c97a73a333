"""Books for a synthetic world, made as naively as its contract allows, and the catalog that belongs to them."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from marketdata.market import Market, market_from_gamma
from simulator.synthetic.listing import (
    FairMoved,
    Listed,
    Listing,
    Quote,
    Resolved,
    Shown,
    Withdrawn,
    World,
    WorldEvent,
)

START_MS = 1_795_000_000_000
"""A morning in November 2026."""

ONE = 1_000_000
Order = tuple[int, int]


class NaiveBooks:
    """One bid and one ask a market, in terms of outcome 0, that change only when a fair value passes them."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.bids: dict[str, Order] = {}
        self.asks: dict[str, Order] = {}
        self.planted: dict[tuple[str, str], Quote] = {}
        self.listings: dict[str, Listing] = {}
        self._random = random
        for listing in world.listings():
            self._quote(listing)

    def take(self, events: Iterable[WorldEvent]) -> None:
        for event in events:
            match event:
                case Listed(listing):
                    self._quote(listing)
                case Resolved(condition_id):
                    del self.listings[condition_id]
                    self.bids.pop(condition_id, None)
                    self.asks.pop(condition_id, None)
                case FairMoved(_, fairs):
                    for condition_id, fair in fairs:
                        self._keep_within(condition_id, fair)
                case Quote():
                    self.planted[event.condition_id, event.side] = event
                case Withdrawn():
                    withdrawn = self.planted.pop((event.condition_id, event.side))
                    assert withdrawn.edge_id == event.edge_id
                    assert withdrawn.price_micros == event.price_micros

    def best_asks(self) -> dict[str, Order]:
        """The best ask of each token that has one."""
        best: dict[str, Order] = {}
        for condition_id, listing in self.listings.items():
            bid, ask = self.bids.get(condition_id), self.asks.get(condition_id)
            sell, buy = self.planted.get((condition_id, "SELL")), self.planted.get((condition_id, "BUY"))
            if sell:
                assert ask is None or sell.price_micros < ask[0]
                ask = sell.price_micros, sell.size_micros
                bid = bid if bid and bid[0] < ask[0] else None
            if buy:
                assert bid is None or buy.price_micros > bid[0]
                bid = buy.price_micros, buy.size_micros
                ask = ask if ask and ask[0] > bid[0] else None
            if ask:
                best[listing.tokens[0]] = ask
            if bid:
                best[listing.tokens[1]] = ONE - bid[0], bid[1]
        return best

    def _quote(self, listing: Listing) -> None:
        self.listings[listing.condition_id] = listing
        self._requote(listing, self.world.fair_yes_micros(listing.condition_id))

    def _keep_within(self, condition_id: str, fair: int) -> None:
        bid, ask = self.bids.get(condition_id), self.asks.get(condition_id)
        if bid is None or ask is None or not bid[0] <= fair <= ask[0]:
            self._requote(self.listings[condition_id], fair)

    def _requote(self, listing: Listing, fair: int) -> None:
        tick, condition_id = listing.tick_micros, listing.condition_id
        bid = fair // tick * tick - tick * self._random.choice((0, 0, 0, 1, 2))
        ask = -(-fair // tick) * tick + tick * self._random.choice((0, 0, 0, 1, 2))
        self.bids.pop(condition_id, None)
        self.asks.pop(condition_id, None)
        # A bid and an ask on a fair value that lies on the grid would match each other.
        if tick <= bid < min(ask, ONE):
            self.bids[condition_id] = bid, self._size()
        if bid < ask <= ONE - tick:
            self.asks[condition_id] = ask, self._size()

    def _size(self) -> int:
        return self._random.randint(500, 200_000) * 10_000


def no_trades(_condition_id: str) -> Shown:
    """What an exchange without orders says of every market."""
    return Shown(None, None, None, 1_000)


def catalog(world: World) -> list[Market]:
    """The world's markets as a worker would enter them."""
    return [
        market_from_gamma(row, event, 64) for event in world.events(no_trades) for row in event["markets"]
    ]
