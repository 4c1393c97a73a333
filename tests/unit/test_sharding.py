"""Every wanted market is on exactly one connection, and no market moves without need."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.errors import SettingsError
from marketdata.market import Market
from tests.gamma_rows import market
from worker.sharding import Plan, markets_a_connection, rebalance

MARKETS = [market(f"m{n}") for n in range(40)]
BY_ID = {one.condition_id: one for one in MARKETS}


def ids(markets: list[Market]) -> list[str]:
    return [one.condition_id for one in markets]


def apply(current: dict[int, list[str]], plan: Plan) -> dict[int, list[str]]:
    """What a worker has after it followed the plan to the letter."""
    after = {shard: list(members) for shard, members in current.items() if shard not in plan.dropped}
    for shard, gone in plan.remove.items():
        after[shard] = [one for one in after[shard] if one not in gone]
    for shard, added in plan.add.items():
        after.setdefault(shard, []).extend(ids(added))
    return after


chosen = st.lists(st.sampled_from(MARKETS), unique=True, max_size=40)
tokens = st.integers(2, 15)


@given(st.lists(chosen, min_size=1, max_size=5), tokens)
def test_following_plan_after_plan_keeps_every_promise(wishes: list[list[Market]], limit: int) -> None:
    current: dict[int, list[str]] = {}
    room = limit // 2
    most = 0
    for wanted in wishes:
        plan = rebalance(current, wanted, limit)
        after = apply(current, plan)
        placed = [one for members in after.values() for one in members]
        assert sorted(placed) == sorted(ids(wanted)), "each wanted market exactly once"
        assert all(0 < len(members) <= room for members in after.values())
        assert {shard: tuple(members) for shard, members in after.items()} == plan.shards
        before = {one: shard for shard, members in current.items() for one in members}
        now = {one: shard for shard, members in after.items() for one in members}
        assert all(now[one] == before[one] for one in before.keys() & now.keys()), "nothing moves"
        assert set(plan.new) == after.keys() - current.keys()
        assert set(plan.dropped) == current.keys() - after.keys()
        most = max(most, ceil(len(wanted) / room))
        assert len(after) <= most, "never more connections than the most that was ever needed"
        if plan.new:
            assert sum(len(members) < room for members in after.values()) <= 1, "holes are filled first"
        assert rebalance(after, wanted, limit).changes_nothing
        current = after


overlapping = st.dictionaries(
    st.integers(0, 6), st.lists(st.sampled_from(ids(MARKETS)), max_size=12), max_size=5
)


@given(overlapping, chosen, tokens)
def test_any_placement_however_wrong_is_mended(
    current: dict[int, list[str]], wanted: list[Market], limit: int
) -> None:
    plan = rebalance(current, wanted, limit)
    after = [one for members in plan.shards.values() for one in members]
    assert sorted(after) == sorted(ids(wanted))
    assert all(0 < len(members) <= limit // 2 for members in plan.shards.values())
    for shard, gone in plan.remove.items():
        assert set(gone) <= set(current[shard])
        assert not set(gone) & set(plan.shards[shard])
    for shard, added in plan.add.items():
        assert set(ids(added)) <= set(plan.shards[shard])
        assert not set(ids(added)) & (set(current.get(shard, ())) - set(plan.remove.get(shard, ())))


def test_holes_of_the_fullest_shard_are_filled_first() -> None:
    a, b, c, d, e = MARKETS[:5]
    plan = rebalance({0: ids([a]), 1: ids([b, c])}, [a, b, c, d, e], 6)
    assert plan.add == {1: [d], 0: [e]}
    assert (plan.remove, plan.new, plan.dropped) == ({}, (), ())


def test_a_shard_that_emptied_is_used_again_before_a_new_one_is_opened() -> None:
    a, b, c = MARKETS[:3]
    plan = rebalance({0: ids([a]), 1: ids([b])}, [a, c], 2)
    assert (plan.add, plan.remove, plan.new, plan.dropped) == ({1: [c]}, {1: ids([b])}, (), ())


def test_an_empty_shard_is_dropped() -> None:
    a, b = MARKETS[:2]
    plan = rebalance({0: ids([a]), 7: ids([b])}, [a], 4)
    assert (plan.add, plan.remove, plan.new, plan.dropped) == ({}, {}, (), (7,))


def test_new_shards_lie_above_all_current_ones() -> None:
    plan = rebalance({3: ids(MARKETS[:1])}, MARKETS[:3], 2)
    assert plan.new == (4, 5)


def test_a_market_named_twice_counts_once() -> None:
    assert rebalance({}, [MARKETS[0], MARKETS[0]], 50).shards == {0: (MARKETS[0].condition_id,)}


def test_markets_of_all_partitions_fill_one_shard() -> None:
    assert len({one.partition for one in MARKETS[:25]}) > 5
    plan = rebalance({}, MARKETS[:25], 50)
    assert list(plan.shards) == [0]


def test_an_odd_limit_rounds_down_and_less_than_two_is_refused() -> None:
    assert markets_a_connection(51) == 25
    with pytest.raises(SettingsError, match="TOKENS_PER_CONNECTION=1"):
        markets_a_connection(1)
