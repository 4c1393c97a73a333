"""The synthetic world: what exists, what it is worth, and that the same seed gives the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random

import pytest

from marketdata.market import Market
from simulator.synthetic import mix
from simulator.synthetic.listing import FairMoved, Listed, Listing, Resolved, WorldEvent
from simulator.synthetic.stage import KEEP_CLOSED_MS
from simulator.synthetic.weights import PEAK, Bursts
from simulator.synthetic.world import SyntheticWorld
from tests.world_books import ONE, START_MS, NaiveBooks, catalog, no_trades

MINUTE_MS = 60_000


def any_seed() -> int:
    seed = Random().randrange(10**9)
    print(f"seed {seed}")
    return seed


def until(world: SyntheticWorld, ms: int, step_ms: int = 1000, start_ms: int = START_MS) -> list[WorldEvent]:
    """Everything that happens until `ms` after the start."""
    return [event for now in range(start_ms, START_MS + ms + 1, step_ms) for event in world.advance(now)]


def assert_coherent(world: SyntheticWorld, markets: list[Market]) -> None:
    """All fair values of a group are probabilities of one distribution."""
    open_now = {listing.condition_id: listing for listing in world.listings()}
    contests, families = defaultdict(list), defaultdict(list)
    for market in markets:
        if market.condition_id in open_now:
            fair = world.fair_yes_micros(market.condition_id)
            assert 0 <= fair <= ONE
            if market.neg_risk:
                contests[market.event_id].append(fair)
            if market.family_kind in ("threshold", "range"):
                families[market.family].append((market, fair))
    assert all(sum(fairs) == ONE for fairs in contests.values())
    for family in families.values():
        above = sorted((int(m.lower), fair) for m, fair in family if m.family_kind == "threshold")
        buckets = [(int(m.lower or -1), fair) for m, fair in family if m.family_kind == "range"]
        assert all(low[1] >= high[1] for low, high in pairwise(above))
        bounds = {lower for lower, _ in buckets}
        for strike, fair in above:
            if strike in bounds:
                assert fair == sum(worth for lower, worth in buckets if lower >= strike)


@pytest.mark.parametrize("markets", [*range(4, 130), 1_000, 20_000])
def test_a_world_has_as_many_markets_as_asked(markets: int) -> None:
    parts = mix.parts(markets, Random(markets))
    assert sum(part.markets for part in parts) == markets
    assert any(part.kind == "contest" for part in parts)


@pytest.mark.parametrize("markets", [0, 3, 20_001])
def test_too_few_or_too_many_markets_are_refused(markets: int) -> None:
    with pytest.raises(ValueError, match="4 to 20000 markets"):
        SyntheticWorld(1, START_MS, markets=markets)


def test_the_default_world_has_something_of_everything() -> None:
    world = SyntheticWorld(any_seed(), START_MS)
    assert len(world.listings()) == 60
    kinds = Counter((market.family_kind, bool(market.left_out)) for market in catalog(world))
    assert kinds["threshold", False] == kinds["range", False] == 11
    assert kinds["neg-risk", False] == 12
    assert kinds["neg-risk", True] == 7
    assert kinds["event", False] == 19
    listings = world.listings()
    assert {listing.version for listing in listings} == {"v1", "v2"}
    assert {listing.tick_micros for listing in listings} == {1_000, 10_000}
    assert {listing.outcomes for listing in listings} == {("Yes", "No"), ("Up", "Down")}


def test_all_ids_are_different_and_look_like_the_venues() -> None:
    listings = SyntheticWorld(any_seed(), START_MS, markets=1_000).listings()
    assert len({listing.condition_id for listing in listings}) == 1_000
    assert len({token for listing in listings for token in listing.tokens}) == 2_000
    assert len({listing.slug for listing in listings}) == 1_000
    for listing in listings:
        assert len(listing.condition_id) == 66
        assert listing.version == "v1" or listing.condition_id.endswith("00")
        assert {len(token) for token in listing.tokens} == {77 if listing.version == "v1" else 75}


def test_a_few_markets_get_most_of_the_activity() -> None:
    weights = sorted(listing.weight for listing in SyntheticWorld(3, START_MS, markets=1_000).listings())
    assert sum(weights) == pytest.approx(1.0)
    assert sum(weights[-50:]) > 0.5
    assert sum(weights[:500]) < 0.1
    assert weights[0] > 0


def test_bursts_reach_seven_times_the_mean_and_the_mean_is_one() -> None:
    bursts = Bursts("seed 1")
    factors = [bursts.factor(second * 1000) for second in range(50_000)]
    assert sum(factors) / len(factors) == pytest.approx(1.0, abs=0.03)
    assert 6.9 < max(factors) <= PEAK
    assert sorted(factors)[len(factors) // 2] < 1
    assert [Bursts("seed 1").factor(second * 1000) for second in range(100)] == factors[:100]


def test_the_same_seed_gives_the_same_however_time_is_cut() -> None:
    seed = any_seed()
    worlds = [SyntheticWorld(seed, START_MS, edges_per_minute=20, updown_period_s=60) for _ in range(2)]
    fine = until(worlds[0], 40 * MINUTE_MS, 100)
    coarse = until(worlds[1], 40 * MINUTE_MS, 600_000)
    assert fine == coarse
    assert worlds[0].events(no_trades) == worlds[1].events(no_trades)
    assert worlds[0].edges() == worlds[1].edges()
    other = SyntheticWorld(seed + 1, START_MS)
    assert {listing.condition_id for listing in other.listings()}.isdisjoint(
        listing.condition_id for listing in worlds[0].listings()
    )


def test_events_can_be_followed_over_a_long_jump() -> None:
    """Whoever was asleep finds each market known and worth something when it is told of it."""
    world = SyntheticWorld(any_seed(), START_MS, updown_period_s=60)
    listed = resolved = 0
    for event in world.advance(START_MS + 60 * MINUTE_MS):
        match event:
            case Listed(listing):
                listed += 1
                assert 0 <= world.fair_yes_micros(listing.condition_id) <= ONE
                assert world.new_market(listing.condition_id, START_MS)["slug"] == listing.slug
            case Resolved(condition_id):
                resolved += 1
                assert world.market_resolved(condition_id, START_MS)["market"] == condition_id
    assert listed > 100
    assert resolved > 100


def test_nothing_happens_before_its_time() -> None:
    world = SyntheticWorld(any_seed(), START_MS)
    for _ in range(500):
        due_ms = world.next_ms()
        assert world.advance(due_ms - 1) == []
        assert world.next_ms() == due_ms
        world.advance(due_ms)
        assert world.next_ms() > due_ms


def test_fair_values_are_coherent_at_every_moment_and_no_quote_is_ever_beyond_them() -> None:
    seed = any_seed()
    world = SyntheticWorld(seed, START_MS, markets=140, updown_period_s=60, moves_per_s=60)
    books = NaiveBooks(world, Random(seed))
    markets: list[Market] = []
    for step in range(3_000):
        events = world.advance(START_MS + step * 500)
        if step == 0 or any(isinstance(event, Listed) for event in events):
            markets = catalog(world)
        books.take(events)
        assert_coherent(world, markets)
        for condition_id in books.listings:
            fair = world.fair_yes_micros(condition_id)
            assert condition_id not in books.bids or books.bids[condition_id][0] <= fair
            assert condition_id not in books.asks or books.asks[condition_id][0] >= fair


def test_each_move_is_of_one_group_and_says_what_holds_now() -> None:
    world = SyntheticWorld(any_seed(), START_MS, markets=100)
    groups = {listing.condition_id: listing.group for listing in world.listings()}
    fairs = {condition_id: world.fair_yes_micros(condition_id) for condition_id in groups}
    moves = 0
    for event in until(world, 3 * MINUTE_MS):
        match event:
            case Listed(Listing(condition_id=condition_id, group=group)):
                groups[condition_id] = group
            case FairMoved(group, moved):
                moves += 1
                assert moved
                assert {groups[condition_id] for condition_id, _ in moved} == {group}
                assert all(fairs.get(condition_id) != fair for condition_id, fair in moved)
                fairs.update(moved)
            case Resolved(condition_id):
                del fairs[condition_id]
    assert moves > 500
    for listing in world.listings():
        if listing.condition_id in fairs:
            assert world.fair_yes_micros(listing.condition_id) == fairs[listing.condition_id]


def test_up_or_down_markets_roll_over() -> None:
    world = SyntheticWorld(any_seed(), START_MS, updown_period_s=60)
    period_ms = 60_000
    first_ms = START_MS // period_ms * period_ms
    open_markets = {m.condition_id: m for m in world.listings() if m.slug.startswith("btc-updown-1m")}
    last_fair: dict[str, int] = {}
    resolved = 0
    for now in range(START_MS, START_MS + 20 * MINUTE_MS, 500):
        for event in world.advance(now):
            match event:
                case Listed(listing) if listing.slug.startswith("btc-updown-1m"):
                    open_markets[listing.condition_id] = listing
                    assert listing.ends_ms is not None
                    assert listing.opens_ms <= now < listing.ends_ms - period_ms
                case FairMoved(_, fairs):
                    last_fair.update(fairs)
                case Resolved(condition_id, winner) if condition_id in open_markets:
                    listing = open_markets.pop(condition_id)
                    assert listing.ends_ms is not None
                    assert listing.ends_ms < now <= listing.ends_ms + 6_000
                    assert last_fair[condition_id] == (0 if winner else ONE)
                    resolved += 1
        running = [m for m in open_markets.values() if m.ends_ms and m.ends_ms - period_ms <= now < m.ends_ms]
        assert len(running) == 1
    assert resolved == (START_MS + 20 * MINUTE_MS - first_ms) // period_ms


def test_what_is_over_is_forgotten() -> None:
    world = SyntheticWorld(any_seed(), START_MS, markets=60, updown_period_s=60)
    sizes = []
    gone: dict[str, int] = {}
    for minute in range(60):
        for event in until(world, (minute + 1) * MINUTE_MS, MINUTE_MS, START_MS + minute * MINUTE_MS):
            if isinstance(event, Resolved):
                gone[event.condition_id] = minute
        sizes.append(len(world.events(no_trades)))
        shown = {market.condition_id: market.state for market in catalog(world)}
        kept_minutes = KEEP_CLOSED_MS // MINUTE_MS
        for condition_id, ended in gone.items():
            if minute - ended < kept_minutes:
                assert shown[condition_id] == "resolved"
            elif minute - ended > kept_minutes:
                assert condition_id not in shown
                with pytest.raises(KeyError):
                    world.market_resolved(condition_id, START_MS)
        assert abs(len(world.listings()) - 60) <= 10
    assert len(gone) > 100
    assert max(sizes[30:]) <= max(sizes[:30]) + 8


def test_price_families_settle_and_are_followed_by_later_noons() -> None:
    world = SyntheticWorld(any_seed(), START_MS, markets=400, moves_per_s=0.01)
    ends = Counter(m.ends_ms for m in world.listings() if m.group.startswith("price:BTC"))
    assert len(ends) >= 2
    resolved = [e for e in until(world, 2 * 24 * 60 * MINUTE_MS, 60_000) if isinstance(e, Resolved)]
    assert resolved
    later = Counter(m.ends_ms for m in world.listings() if m.group.startswith("price:BTC"))
    assert len(later) == len(ends)
    assert set(later.values()) == {22}
    assert min(end for end in later if end) > START_MS + 2 * 24 * 60 * MINUTE_MS
    assert_coherent(world, catalog(world))


def test_a_contest_loses_outcomes_until_one_wins_and_is_followed_by_another() -> None:
    world = SyntheticWorld(any_seed(), START_MS, markets=150, moves_per_s=1)
    started: dict[str, list[str]] = defaultdict(list)
    series_of = {}
    for market in world.listings():
        if market.group.startswith("contest"):
            series = series_of[market.condition_id] = market.group.rpartition(":")[0]
            started[series].append(market.condition_id)
    over: dict[str, list[list[Resolved]]] = defaultdict(list)
    followed: list[Listed] = []
    now = START_MS
    while not followed:
        now = world.next_ms()
        assert now < START_MS + 24 * 60 * MINUTE_MS
        ended = defaultdict(list)
        for event in world.advance(now):
            match event:
                case Resolved(condition_id) if condition_id in series_of:
                    ended[series_of[condition_id]].append(event)
                case Listed(listing) if listing.group.startswith("contest"):
                    followed.append(event)
        for series, together in ended.items():
            over[series].append(together)
    [series] = {event.listing.group.rpartition(":")[0] for event in followed}
    outcomes, ends = len(started[series]), over[series]
    assert [len(together) for together in ends] == [1] * (outcomes - 3) + [3]
    assert all(end.winner == 1 for [end] in ends[:-1])
    assert sorted(end.winner for end in ends[-1]) == [0, 1, 1]
    assert len(followed) == outcomes
    assert sum(world.fair_yes_micros(event.listing.condition_id) for event in followed) == ONE
