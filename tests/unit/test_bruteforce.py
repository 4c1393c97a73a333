"""The brute force against baskets whose payout and fees are worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from math import ceil
from random import Random

import pytest

from marketdata.market import Market, market_from_gamma
from simulator.synthetic.bruteforce import Found, Offer, profitable_baskets
from tests.gamma_rows import Row, event_row, market_row

END = "2026-11-30T17:00:00Z"
DESCRIPTION = (
    'This market will resolve to "Yes" if the Binance 1 minute candle for BTC/USDT 12:00 in the ET timezone '
    '(noon) on the date specified in the title has a final "Close" price in the range.'
)
WITH_FEES = {"feesEnabled": True, "feeSchedule": {"rate": 0.07, "exponent": 1, "takerOnly": True}}
PLENTY = 100_000_000


def above(*strikes: int, **changed: object) -> list[Market]:
    rows = [
        market_row(
            f"above {strike}",
            question=f"Will the price of Bitcoin be above ${strike:,} on November 30?",
            slug=f"bitcoin-above-{strike}-on-november-30-2026",
            groupItemTitle=f"{strike:,}",
            description=DESCRIPTION,
            endDate=END,
            **changed,
        )
        for strike in strikes
    ]
    return event("bitcoin-above-on-november-30-2026", "Bitcoin above ___ on November 30?", rows)


def buckets(*bounds: int, **changed: object) -> list[Market]:
    asked = [
        ("less than ${:,}", "<{:,}", "less-than-{}", bounds[:1]),
        *(("between ${:,} and ${:,}", "{:,}-{:,}", "between-{}-{}", pair) for pair in pairwise(bounds)),
        ("greater than ${:,}", ">{:,}", "greater-than-{}", bounds[-1:]),
    ]
    rows = [
        market_row(
            f"bucket {strikes} {label}",
            question=f"Will the price of Bitcoin be {words.format(*strikes)} on November 30?",
            slug=f"will-the-price-of-bitcoin-be-{slug.format(*strikes)}-on-november-30-2026",
            groupItemTitle=label.format(*strikes),
            description=DESCRIPTION,
            endDate=END,
            negRisk=True,
            negRiskMarketID="0xbuckets",
            **changed,
        )
        for words, label, slug, strikes in asked
    ]
    return event("bitcoin-price-on-november-30-2026", "Bitcoin price on November 30?", rows, negRisk=True)


def ranges(*bounds: tuple[int, int]) -> list[Market]:
    """Markets of the same family, in no set of outcomes that exclude each other: they may overlap."""
    rows = [
        market_row(
            f"range {low} {high}",
            question=f"Will the price of Bitcoin be between ${low:,} and ${high:,} on November 30?",
            slug=f"will-the-price-of-bitcoin-be-between-{low}-{high}-on-november-30-2026",
            groupItemTitle=f"{low:,}-{high:,}",
            description=DESCRIPTION,
            endDate=END,
        )
        for low, high in bounds
    ]
    return event("bitcoin-between-on-november-30-2026", "Bitcoin price on November 30?", rows)


def contest(names: str, *, augmented: bool = False, **changes: Row) -> list[Market]:
    rows = [
        market_row(name, negRisk=True, negRiskMarketID="0xcontest", **changes.get(name, {})) for name in names
    ]
    return event("contest", "Who wins?", rows, negRisk=True, enableNegRisk=True, negRiskAugmented=augmented)


def event(slug: str, title: str, rows: list[Row], **more: object) -> list[Market]:
    whole = event_row(slug, *rows, title=title, description=DESCRIPTION, endDate=END, **more)
    return [market_from_gamma(row, whole, 64) for row in rows]


def offers(*purchases: tuple[Market, int, str], size: int = PLENTY) -> dict[str, Offer]:
    return {
        market.tokens[outcome]: (int(Fraction(price) * 1_000_000), size)
        for market, outcome, price in purchases
    }


def only(markets: list[Market], asks: dict[str, Offer]) -> Found:
    [found] = profitable_baskets(markets, asks)
    return found


def test_the_families_of_these_tests_are_families() -> None:
    markets = [*above(80_000, 82_000), *buckets(80_000, 82_000)]
    assert len({market.family for market in markets}) == 1
    assert [market.left_out for market in markets] == [""] * 5


def test_yes_and_no_of_one_market_pay_one() -> None:
    [market] = contest("a")
    found = only([market], offers((market, 0, "0.4"), (market, 1, "0.5")))
    assert (found.kind, found.payout, found.strict, found.net_micros) == ("complement", 1, True, 10_000_000)
    assert profitable_baskets([market], offers((market, 0, "0.5"), (market, 1, "0.5"))) == []


def test_all_yes_of_a_complete_event_pay_one_and_all_no_one_less_than_there_are() -> None:
    markets = contest("abc")
    yes = only(markets, offers(*((market, 0, "0.3") for market in markets)))
    assert (yes.kind, yes.payout, yes.net_micros) == ("negrisk-yes", 1, 10_000_000)
    no = only(markets, offers(*((market, 1, "0.6") for market in markets)))
    assert (no.kind, no.payout, no.net_micros) == ("negrisk-no", 2, 20_000_000)


@pytest.mark.parametrize("winner", [0, 1])
def test_a_leg_that_resolved_no_leaves_the_set_and_one_that_resolved_yes_ends_it(winner: int) -> None:
    prices = '["0", "1"]' if winner else '["1", "0"]'
    markets = contest("abc", c={"closed": True, "outcomePrices": prices, "umaResolutionStatus": "resolved"})
    found = profitable_baskets(markets, offers(*((market, 0, "0.4") for market in markets)))
    assert [(one.kind, len(one.legs)) for one in found] == ([("negrisk-yes", 2)] if winner else [])


def test_a_paused_leg_an_augmented_event_and_a_missing_market_form_no_set() -> None:
    paused = contest("abc", c={"acceptingOrders": False})
    augmented = contest("abc", augmented=True)
    incomplete = contest("abcd")[:3]
    for markets in (paused, augmented, incomplete):
        assert profitable_baskets(markets, offers(*((market, 0, "0.2") for market in markets))) == []


def test_a_trio_pays_two_but_one_on_its_lower_strike() -> None:
    low, high = above(80_000, 82_000)
    _, between, _ = buckets(80_000, 82_000)
    markets = [low, high, *buckets(80_000, 82_000)]
    found = only(markets, offers((low, 0, "0.7"), (high, 1, "0.6"), (between, 1, "0.6")))
    assert (found.kind, found.payout, found.ties) == ("trio", 2, ((Fraction(80_000), 1),))
    assert (found.net_a_share, found.net_micros) == (Fraction(1, 10), 10_000_000)


def test_a_reverse_trio_pays_one_but_nothing_on_its_upper_strike() -> None:
    low, high = above(80_000, 82_000)
    _, between, _ = buckets(80_000, 82_000)
    markets = [low, high, *buckets(80_000, 82_000)]
    found = only(markets, offers((low, 1, "0.3"), (high, 0, "0.3"), (between, 0, "0.3")))
    assert (found.kind, found.payout, found.ties) == ("reverse-trio", 1, ((Fraction(82_000), 0),))


def test_a_trio_may_lie_over_up_to_three_adjacent_buckets() -> None:
    strikes = (80_000, 82_000, 84_000, 86_000, 88_000)
    ladder, ranges = above(*strikes), buckets(*strikes)
    for width in (1, 2, 3):
        legs = [(ladder[0], 0, "0.7"), (ladder[width], 1, "0.7")]
        legs += [(bucket, 1, "0.5") for bucket in ranges[1 : 1 + width]]
        found = only([*ladder, *ranges], offers(*legs))
        assert (found.kind, found.payout, len(found.legs)) == ("trio", 1 + width, 2 + width)
    four = [(ladder[0], 0, "0.7"), (ladder[4], 1, "0.7"), *((bucket, 1, "0.5") for bucket in ranges[1:5])]
    assert profitable_baskets([*ladder, *ranges], offers(*four)) == []


def test_an_open_bucket_needs_no_threshold_on_its_open_side() -> None:
    [strike] = above(80_000)
    below, over = buckets(80_000)
    markets = [strike, below, over]
    low = only(markets, offers((strike, 1, "0.4"), (below, 1, "0.4")))
    assert (low.kind, low.payout, low.ties) == ("trio", 1, ())
    high = only(markets, offers((strike, 0, "0.4"), (over, 1, "0.4")))
    assert (high.kind, high.payout, high.ties) == ("trio", 1, ((Fraction(80_000), 0),))
    mirror = only(markets, offers((strike, 0, "0.4"), (below, 0, "0.4")))
    assert (mirror.kind, mirror.payout, mirror.ties) == ("reverse-trio", 1, ((Fraction(80_000), 0),))


def test_a_ladder_pays_at_least_one_whichever_strikes_it_has() -> None:
    markets = above(80_000, 82_000, 84_000)
    found = only(markets, offers((markets[0], 0, "0.5"), (markets[2], 1, "0.4")))
    assert (found.kind, found.payout, found.strict) == ("ladder", 1, True)
    assert profitable_baskets(markets, offers((markets[2], 0, "0.1"), (markets[0], 1, "0.1"))) == []


@pytest.mark.parametrize(("price", "fee"), [("0.50", "1.75"), ("0.25", "1.3125"), ("0.10", "0.63")])
def test_fees_are_the_venues(price: str, fee: str) -> None:
    """100 shares at rate 0.07, as the venue's page counts them."""
    low, high = above(80_000, 82_000, **WITH_FEES)
    found = only([low, high], offers((low, 0, price), (high, 1, "0.01")))
    other = Fraction("0.07") * Fraction("0.01") * Fraction("0.99") * 100
    assert found.fees_micros == Fraction(fee) * 1_000_000 + ceil(other * 100_000) * 10


def test_the_smallest_leg_is_the_size_down_to_a_hundredth_and_at_least_the_minimum_order() -> None:
    low, high = above(80_000, 82_000)
    asks = {low.tokens[0]: (400_000, 7_123_456), high.tokens[1]: (400_000, PLENTY)}
    assert only([low, high], asks).size_micros == 7_120_000
    asks[low.tokens[0]] = 400_000, 4_999_999
    assert profitable_baskets([low, high], asks) == []


def test_a_fee_schedule_that_is_not_known_takes_no_part() -> None:
    low, high = above(80_000, 82_000, feesEnabled=True)
    assert profitable_baskets([low, high], offers((low, 0, "0.1"), (high, 1, "0.1"))) == []


def test_no_small_set_of_tokens_pays_for_certain_unless_it_holds_a_basket() -> None:
    """The kinds of baskets are all there are: any purchase of up to three tokens at fair prices says so."""
    random = Random(4)
    strikes = (80_000, 82_000, 84_000)
    markets = [*above(*strikes), *buckets(*strikes)]
    points = [79_000, 81_000, 83_000, 85_000]
    wins = {
        market.condition_id: [
            (not market.lower or point > int(market.lower))
            and (not market.upper or point < int(market.upper))
            for point in points
        ]
        for market in markets
    }
    for _ in range(20):
        cuts = sorted(random.randrange(1_000_001) for _ in range(3))
        worth = [right - left for left, right in zip([0, *cuts], [*cuts, 1_000_000], strict=True)]
        fair = {
            market.tokens[outcome]: sum(
                share
                for share, won in zip(worth, wins[market.condition_id], strict=True)
                if won ^ bool(outcome)
            )
            for market in markets
            for outcome in (0, 1)
        }
        assert profitable_baskets(markets, {token: (price, PLENTY) for token, price in fair.items()}) == []
        tokens = [(market, outcome) for market in markets for outcome in (0, 1)]
        for size in (1, 2, 3):
            for basket in combinations(tokens, size):
                pays = [
                    sum(wins[market.condition_id][at] ^ bool(outcome) for market, outcome in basket)
                    for at in range(len(points))
                ]
                assert (
                    sum(fair[market.tokens[outcome]] for market, outcome in basket) >= min(pays) * 1_000_000
                )


def test_ranges_that_overlap_cost_no_basket_and_make_more() -> None:
    ladder = above(80_000, 82_000, 84_000, 86_000)
    chain = ranges((80_000, 82_000), (82_000, 84_000), (84_000, 86_000))
    (wide,) = ranges((80_000, 84_000))
    legs = [(ladder[0], 0, "0.7"), (ladder[3], 1, "0.6"), *((one, 1, "0.6") for one in chain)]
    assert {found.kind for found in profitable_baskets([*ladder, *chain, wide], offers(*legs))} == {"trio"}
    over = [(ladder[0], 0, "0.7"), (ladder[3], 1, "0.6"), (wide, 1, "0.6"), (chain[2], 1, "0.6")]
    found = only([*ladder, *chain, wide], offers(*over))
    assert (found.kind, found.payout, len(found.legs)) == ("trio", 3, 4)
