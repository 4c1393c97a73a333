"""The world as the exchange trades it: its own books have no edge but what was planted."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from marketdata.decimals import MICROS
from marketdata.market import Market, market_from_gamma
from simulator.synthetic.bruteforce import Found, Offer, profitable_baskets
from simulator.synthetic.edges import KINDS
from simulator.synthetic.floor import Floor
from simulator.synthetic.truth import Truth
from simulator.synthetic.world import SyntheticWorld
from tests.world_books import START_MS


def any_seed() -> int:
    seed = Random().randrange(10**9)
    print(f"seed {seed}")
    return seed


def floor_of(world: SyntheticWorld, seed: int) -> Floor:
    return Floor(world, rate=500, seed=seed, start_ms=START_MS, truth=Truth())


def catalog(floor: Floor) -> list[Market]:
    return [
        market_from_gamma(row, event, 64)
        for event in floor.world.events(floor.shown)
        for row in event["markets"]
    ]


def best_asks(floor: Floor) -> dict[str, Offer]:
    """The best ask of each token that has one, as the exchange's own books have it."""
    asks: dict[str, Offer] = {}
    for desk in floor.desks.values():
        bid, bid_size = desk.market.bids.top()
        ask, ask_size = desk.market.asks.top()
        if ask_size:
            asks[desk.tokens[0]] = ask, ask_size
        if bid_size:
            asks[desk.tokens[1]] = MICROS - bid, bid_size
    return asks


def found_in(floor: Floor) -> list[Found]:
    return profitable_baskets(catalog(floor), best_asks(floor))


@pytest.mark.parametrize("markets", [4, 60])
def test_no_basket_wins_by_default(markets: int) -> None:
    seed = any_seed()
    floor = floor_of(SyntheticWorld(seed, START_MS, markets=markets, updown_period_s=60), seed)
    for looks in range(1, 61):
        while floor.due_ms < START_MS + looks * 2_000:
            floor.act()
        assert found_in(floor) == []
    assert floor.messages > 30_000


def test_planted_edges_are_in_the_books_as_promised_and_gone_afterwards() -> None:
    seed = any_seed()
    world = SyntheticWorld(seed, START_MS, edges_per_minute=40)
    floor = floor_of(world, seed)
    checked: Counter[str] = Counter()
    live: set[int] = set()
    now = START_MS
    while checked.total() < 60 or len(checked) < len(KINDS):
        now += 100
        while floor.due_ms < now:
            floor.act()
        edges = {
            edge.edge_id: edge
            for edge in world.edges()
            if edge.from_ms < now - 500 <= now < edge.until_ms - 500
        }
        new = edges.keys() - live
        live = set(edges)
        if not new:
            continue
        found = {(basket.kind, basket.tokens): basket for basket in found_in(floor)}
        for edge in edges.values():
            basket = found[edge.kind, tuple(leg.token for leg in edge.legs)]
            assert (basket.size_micros, basket.net_micros) == (edge.size_micros, edge.net_micros)
        checked.update(edges[one].kind for one in new)
    assert checked.keys() == set(KINDS)
