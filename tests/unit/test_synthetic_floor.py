"""The synthetic venue as a whole: its frames, its truth, its freedom of arbitrage, its pace."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter

import pytest

from marketdata.decimals import MICROS
from simulator.synthetic.floor import Floor
from simulator.synthetic.truth import Truth
from simulator.synthetic.world import SyntheticWorld
from tests.naive_venue import NaiveVenue

START_MS = 1_795_000_000_000


def opened(
    seed: int, *, markets: int = 60, rate: float = 500, edges: float = 0, start_ms: int = START_MS
) -> Floor:
    world = SyntheticWorld(seed, start_ms, markets=markets, edges_per_minute=edges)
    return Floor(world, rate=rate, seed=seed, start_ms=start_ms, truth=Truth())


def reader(floor: Floor) -> NaiveVenue:
    return NaiveVenue(
        (desk.wire.socket_book(outcome), desk.market.listing.neg_risk)
        for desk in floor.desks.values()
        for outcome in (0, 1)
    )


@pytest.fixture
def seed() -> int:
    found = secrets.randbits(32)
    print(f"seed {found}")
    return found


def test_every_frame_fits_and_every_hash_is_right(seed: int) -> None:
    floor = opened(seed, edges=20)
    venue = reader(floor)
    since = floor.truth.next_seq
    frames = 0
    while frames < 15_000:
        for frame in floor.act():
            frames += 1
            venue.read(frame.data)
    # Trades that are still to be told explain the hashes of their books.
    while floor._trades:
        for frame in floor._tell_trade():
            venue.read(frame.data)
    venue.finish()
    assert venue.kinds["price_change"] > 10_000
    assert min(venue.kinds[kind] for kind in ("book", "last_trade_price", "best_bid_ask")) > 50
    told: dict[str, list[tuple[int, str, tuple[str, ...]]]] = {}
    for row in floor.truth.rows(since, 10**9):
        if row["kind"] == "top":
            top = row["bid"], row["bid_size"], row["ask"], row["ask_size"]
            told.setdefault(row["token"], []).append((row["venue_ms"], row["hash"], top))
    read = {token: ends[1:] for token, ends in venue.ends.items() if len(ends) > 1}
    assert {token: told[token] for token in read} == read


def test_equal_seeds_give_equal_bytes(seed: int) -> None:
    digests = []
    for one in (seed, seed, seed + 1):
        floor = opened(one, edges=10)
        digest = hashlib.sha256()
        for _ in range(3_000):
            for frame in floor.act():
                digest.update(frame.data)
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1] != digests[2]


def test_fair_values_lie_between_all_bids_and_asks(seed: int) -> None:
    floor = opened(seed)
    for _ in range(8_000):
        floor.act()
        for desk in floor.desks.values():
            bid, ask = desk.market.best()
            fair = floor.world.fair_yes_micros(desk.market.listing.condition_id)
            assert desk.trader.fair == fair
            assert bid < fair or not bid
            assert fair < ask or not ask


def test_the_rate_is_held_and_bursts_come(seed: int) -> None:
    floor = opened(seed, rate=300)
    seconds: Counter[int] = Counter()
    # The mean over all bursts is a matter of many of them.
    while floor.due_ms < START_MS + 400_000:
        second = int(floor.due_ms - START_MS) // 1000
        seconds[second] += len(floor.act())
    assert floor.messages / 400 == pytest.approx(300, rel=0.25)
    assert 2 < max(seconds.values()) / 300 < 12


def test_activity_is_a_few_hot_markets_and_a_long_quiet_tail(seed: int) -> None:
    floor = opened(seed, markets=300)
    counts: Counter[frozenset[str]] = Counter()
    for _ in range(10_000):
        counts.update(frame.markets for frame in floor.act())
    busy = [count for _, count in counts.most_common()]
    assert sum(busy[:30]) > 0.4 * sum(busy)
    assert min(busy) < max(busy) / 20


def test_a_resolved_market_leaves_nothing_behind() -> None:
    floor = opened(11, markets=12, rate=50)
    gone: list[str] = []
    while not gone and floor.due_ms < START_MS + 900_000:
        for frame in floor.act():
            if b'"market_resolved"' in frame.data:
                gone = [*frame.markets]
    assert gone[0] not in floor.desks
    assert all(floor.find(token) is None for token in _tokens_of(floor, gone[0]))


def _tokens_of(floor: Floor, condition_id: str) -> list[str]:
    message = floor.world.market_resolved(condition_id, 0)
    return list(message["assets_ids"])


def test_the_two_books_of_a_market_mirror_each_other(seed: int) -> None:
    floor = opened(seed, markets=20)
    for _ in range(2_000):
        floor.act()
    venue = reader(floor)
    for desk in floor.desks.values():
        yes, no = (venue.tokens[token] for token in desk.tokens)
        assert {1 - price: one[1] for price, one in yes.bids.items()} == {
            price: one[1] for price, one in no.asks.items()
        }
        assert {1 - price: one[1] for price, one in yes.asks.items()} == {
            price: one[1] for price, one in no.bids.items()
        }
        assert sum(size for _, size in desk.market.bids.levels()) % 1 == 0
        assert all(0 < price < MICROS for price, _ in desk.market.asks.levels())
