"""Families are followed whole, the busiest first, and what is left out is said with what it would take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from marketdata.market import Market, market_from_gamma
from tests.gamma_rows import market, recorded
from worker.discovery.selection import Filters, Limits, select

ROOMY = Limits(max_markets=500, max_connections=40, tokens_per_connection=50)


def family(name: str, size: int, volume: float = 100.0, **changed: Any) -> list[Market]:
    """An event of so many open markets, whose volumes add up to `volume`."""
    return [market(f"{name}-{n}", event=name, volume24hr=volume / size, **changed) for n in range(size)]


def limited(markets: int) -> Limits:
    return replace(ROOMY, max_markets=markets)


def test_without_filters_and_below_the_limits_all_are_followed_the_busiest_first() -> None:
    quiet, busy = family("quiet", 2, 10), family("busy", 3, 1000)
    chosen = select([*quiet, *busy], Filters(), ROOMY)
    assert chosen.followed == (*busy, *quiet)
    assert (chosen.recorded, chosen.left_out) == ((), ())


def test_a_family_too_large_for_what_is_left_is_skipped_whole_and_named() -> None:
    first, second, third = family("first", 3, 300), family("second", 4, 200), family("third", 2, 100)
    chosen = select([*third, *second, *first], Filters(), limited(5))
    assert chosen.followed == (*first, *third)
    assert chosen.left_out == (
        "4 markets of 1 events left out: MAX_MARKETS=5; all would need MAX_MARKETS=9 and MAX_CONNECTIONS=40",
        "the busiest families left out whole (markets): second (4)",
    )


def test_a_family_above_the_limit_by_itself_is_told_apart() -> None:
    chosen = select(family("huge", 9), Filters(), limited(5))
    assert chosen.followed == ()
    assert chosen.left_out[-1] == ("family huge has 9 trading markets, more than the limit of 5 by itself")


def test_the_connections_limit_as_well() -> None:
    markets = [one for n in range(6) for one in family(f"event-{n}", 1, 100 - n)]
    chosen = select(markets, Filters(), Limits(max_markets=500, max_connections=2, tokens_per_connection=5))
    assert len(chosen.followed) == 4
    assert chosen.left_out[0] == (
        "2 markets of 2 events left out: MAX_CONNECTIONS=2 with TOKENS_PER_CONNECTION=5; "
        "all would need MAX_MARKETS=500 and MAX_CONNECTIONS=3"
    )


def test_many_left_out_families_are_named_only_in_part() -> None:
    markets = [one for n in range(50) for one in family(f"event-{n:02d}", 1, 100 - n)]
    chosen = select(markets, Filters(), limited(10))
    assert len(chosen.left_out) == 2
    assert chosen.left_out[1].endswith("event-14 (1) and 35 more")


def test_a_filter_that_names_one_market_brings_its_whole_family() -> None:
    markets = [market_from_gamma(row, event, 64) for _, row, event in recorded("gamma_constructed")]
    others = family("other", 2, 10**6)
    for filters in (
        Filters(condition_ids=frozenset({markets[0].condition_id})),
        Filters(event_slugs=frozenset({"bitcoin-above-on-september-30-2026"})),
        Filters(tag_ids=frozenset({"235"})),
    ):
        chosen = select([*markets, *others], filters, ROOMY)
        assert {one.condition_id for one in (*chosen.followed, *chosen.recorded)} == {
            one.condition_id for one in markets
        }
        assert {one.state for one in chosen.recorded} == {"paused", "resolved"}
        assert len(chosen.followed) == 20


def test_condition_ids_of_protocol_v2_match_in_both_spellings() -> None:
    one = market(conditionId="0x" + "ab" * 31, version="v2", positionIds=["1", "2"])
    for spelling in ("0x" + "ab" * 31, "0x" + "AB" * 31 + "00"):
        assert select([one], Filters(condition_ids=frozenset({spelling})), ROOMY).followed == (one,)


def test_named_families_are_united_and_minimums_hold_for_all_of_them() -> None:
    tagged = family("tagged", 2, 50)
    named, other = family("named", 2, 5000), family("other", 2, 9000)
    tagged = [replace(one, tag_ids=("77",)) for one in tagged]
    both = Filters(tag_ids=frozenset({"77"}), event_slugs=frozenset({"named"}))
    everything = [*tagged, *named, *other]
    assert select(everything, both, ROOMY).followed == (*named, *tagged)
    assert select(everything, replace(both, min_volume_24h=51), ROOMY).followed == tuple(named)


def test_volume_and_liquidity_are_those_of_the_whole_family() -> None:
    markets = family("event", 4, 100, liquidityNum=10)
    assert select(markets, Filters(min_volume_24h=100, min_liquidity=40), ROOMY).followed == tuple(markets)
    assert select(markets, Filters(min_volume_24h=101), ROOMY).followed == ()
    assert select(markets, Filters(min_liquidity=41), ROOMY).followed == ()


def test_markets_that_do_not_trade_take_no_room_and_a_family_without_trade_is_not_chosen() -> None:
    markets = family("event", 3)
    closed = [replace(one, state="closed") for one in markets[:2]]
    chosen = select([*closed, markets[2]], Filters(), limited(1))
    assert (chosen.followed, chosen.recorded) == ((markets[2],), tuple(closed))
    assert select(closed, Filters(), ROOMY).recorded == ()


def test_a_followed_family_gives_way_only_to_a_clearly_busier_one() -> None:
    now, slightly, clearly = family("now", 1, 100), family("slightly", 1, 140), family("clearly", 1, 160)
    followed = [now[0].condition_id]
    assert select([*now, *slightly], Filters(), limited(1), followed).followed == tuple(now)
    assert select([*now, *clearly], Filters(), limited(1), followed).followed == tuple(clearly)
    assert select([*now, *slightly], Filters(), limited(1)).followed == tuple(slightly)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(0, 1000)), max_size=12),
    st.integers(1, 30),
    st.integers(1, 4),
    st.integers(2, 11),
)
def test_families_stay_whole_and_limits_hold(
    shapes: list[tuple[int, int]], markets: int, connections: int, tokens: int
) -> None:
    limits = Limits(markets, connections, tokens)
    families = [family(f"f{n}", size, float(volume)) for n, (size, volume) in enumerate(shapes)]
    everything = [one for members in families for one in members]
    chosen = select(everything, Filters(), limits)
    assert len(chosen.followed) <= min(markets, connections * (tokens // 2))
    taken = set(chosen.followed)
    for members in families:
        assert taken.issuperset(members) or taken.isdisjoint(members)
    assert bool(chosen.left_out) == (len(taken) < len(everything))
    left = limits.markets - len(taken)
    assert all(len(members) > left for members in families if taken.isdisjoint(members))
    assert select(reversed(everything), Filters(), limits).left_out == chosen.left_out
