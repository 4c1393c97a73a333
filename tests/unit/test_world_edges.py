"""Without planted edges nobody can win; a planted edge is worth what the plant says, as long as it says."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from marketdata.decimals import MICROS
from simulator.synthetic.bruteforce import profitable_baskets
from simulator.synthetic.edges import KINDS, LIFE_MS
from simulator.synthetic.fees import taker_fee_micros
from simulator.synthetic.listing import FairMoved, Listed, Quote, Resolved, Withdrawn
from simulator.synthetic.pricing import LegTerms, priced_basket
from simulator.synthetic.world import SyntheticWorld
from tests.world_books import START_MS, NaiveBooks, catalog


@pytest.mark.parametrize("markets", [4, 60, 100])
def test_there_is_no_arbitrage_by_default(markets: int) -> None:
    seed = Random().randrange(10**9)
    print(f"seed {seed}")
    world = SyntheticWorld(seed, START_MS, markets=markets, moves_per_s=30, updown_period_s=60)
    books = NaiveBooks(world, Random(seed))
    known = catalog(world)
    for step in range(6_000):
        events = world.advance(START_MS + step * 200)
        books.take(events)
        if any(isinstance(event, Listed | Resolved) for event in events):
            known = catalog(world)
        if step % 100 == 0:
            assert profitable_baskets(known, books.best_asks()) == []
    assert world.edges() == []


def test_each_planted_edge_is_found_by_brute_force_with_the_promised_profit() -> None:
    seed = Random().randrange(10**9)
    print(f"seed {seed}")
    world = SyntheticWorld(seed, START_MS, markets=60, edges_per_minute=40)
    books = NaiveBooks(world, Random(seed))
    known = catalog(world)
    live: set[int] = set()
    checked: Counter[str] = Counter()
    now = START_MS
    while checked.total() < 60:
        now = world.next_ms()
        events = world.advance(now)
        books.take(events)
        if any(isinstance(event, Listed | Resolved) for event in events):
            known = catalog(world)
        begun = {event.edge_id for event in events if isinstance(event, Quote)}
        ended = {event.edge_id for event in events if isinstance(event, Withdrawn)}
        live = (live | begun) - ended
        if begun or ended:
            found = {
                (basket.kind, basket.tokens): basket
                for basket in profitable_baskets(known, books.best_asks())
            }
            edges = {edge.edge_id: edge for edge in world.edges()}
            assert bool(found) is bool(live)
            for edge in (edges[edge_id] for edge_id in live):
                basket = found[edge.kind, tuple(leg.token for leg in edge.legs)]
                assert (basket.size_micros, basket.payout * MICROS) == (edge.size_micros, edge.payout_micros)
                assert (basket.cost_micros, basket.fees_micros, basket.net_micros) == (
                    edge.cost_micros,
                    edge.fees_micros,
                    edge.net_micros,
                )
                assert edge.net_micros > 0
                checked[edge.kind] += edge.edge_id in begun
    assert checked.keys() == set(KINDS)
    assert min(checked.values()) >= 5


def test_fair_values_stand_still_while_an_edge_lives_and_edges_live_as_long_as_they_say() -> None:
    world = SyntheticWorld(8, START_MS, markets=200, edges_per_minute=60, moves_per_s=50)
    groups = {listing.condition_id: listing.group for listing in world.listings()}
    live: dict[str, Quote] = {}
    planted = 0
    while planted < 300:
        now = world.next_ms()
        for event in world.advance(now):
            match event:
                case Listed(listing):
                    groups[listing.condition_id] = listing.group
                case Quote():
                    group = groups[event.condition_id]
                    assert live.setdefault(group, event).edge_id == event.edge_id
                    assert LIFE_MS[0] <= event.until_ms - now <= LIFE_MS[1]
                    planted += 1
                    fair = world.fair_yes_micros(event.condition_id)
                    if event.side == "SELL":
                        assert 0 < event.price_micros < fair
                    else:
                        assert fair < event.price_micros < MICROS
                case Withdrawn():
                    if quote := live.pop(groups[event.condition_id], None):
                        assert (quote.edge_id, quote.until_ms) == (event.edge_id, now)
                case FairMoved(group):
                    assert group not in live
                case Resolved(condition_id):
                    assert groups[condition_id] not in live


@pytest.mark.parametrize(("markets", "per_minute"), [(4, 30), (60, 6), (60, 120), (1_000, 600)])
def test_there_are_as_many_edges_a_minute_as_asked(markets: int, per_minute: int) -> None:
    world = SyntheticWorld(1, START_MS, markets=markets, edges_per_minute=per_minute, moves_per_s=1)
    world.advance(START_MS + 5 * 60_000)
    expected = 5 * per_minute
    assert abs(len(world.edges()) - expected) <= 5 * expected**0.5


def test_open_buckets_and_runs_of_buckets_take_part() -> None:
    world = SyntheticWorld(1, START_MS, markets=60, edges_per_minute=300)
    world.advance(START_MS + 10 * 60_000)
    legs = Counter(len(edge.legs) for edge in world.edges() if edge.kind in ("trio", "reverse-trio"))
    assert legs.keys() == {2, 3, 4, 5}


@pytest.mark.parametrize("per_minute", [-1, 6_001])
def test_an_impossible_number_of_edges_is_refused(per_minute: int) -> None:
    with pytest.raises(ValueError, match="0 to 6000"):
        SyntheticWorld(1, START_MS, edges_per_minute=per_minute)


@pytest.mark.parametrize(
    ("price", "rate", "exponent", "fee"),
    [
        (500_000, "0.07", "1", 1_750_000),
        (750_000, "0.07", "1", 1_312_500),
        (900_000, "0.07", "1", 630_000),
        (500_000, "0.25", "2", 1_562_500),
        (700_000, "0.25", "2", 1_102_500),
        (50_000, "0.25", "2", 56_410),
        (10_000, "0.25", "2", 2_460),
        (500_000, "0", "1", 0),
    ],
)
def test_fees_of_100_shares_are_the_venues_rounded_up(price: int, rate: str, exponent: str, fee: int) -> None:
    assert taker_fee_micros(100 * MICROS, price, rate, exponent) == fee


def test_a_basket_that_cannot_be_cheap_enough_is_not_priced() -> None:
    cheap = LegTerms(1_000, 1_000, 50 * MICROS, "0", "1")
    assert priced_basket([cheap], 1, 10, Random(1)) is None
    certain = LegTerms(2_000, 1_000, 50 * MICROS, "0", "1")
    assert priced_basket([certain, certain], 0, 10, Random(1)) is None
