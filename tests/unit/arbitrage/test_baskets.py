"""What markets form, and what they do not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise
from random import Random

import pytest

from consumers.arbitrage.baskets import MOST_LADDERS, MOST_TRIOS, components, formed
from consumers.arbitrage.evaluate import Live, figures_of
from consumers.arbitrage.legs import Leg
from consumers.arbitrage.terms import Terms, dump, load, renewed
from marketdata.decimals import to_micros
from marketdata.market import FeeSchedule, Market
from simulator.synthetic.bruteforce import profitable_baskets
from tests.arbitrage_bench import LIMITS, above, bucket, contest, terms
from tests.unit import test_bruteforce as rows

FIVE = ("80000", "82000", "84000", "86000", "88000")


def kinds(markets: list[Terms]) -> Counter[str]:
    return Counter(formed(markets).kinds())


def test_a_family_forms_ladders_and_trios_over_one_to_three_buckets() -> None:
    family = [
        *(above(one) for one in FIVE),
        *(bucket(low, high) for low, high in pairwise(FIVE)),
    ]
    found = formed(family)
    assert found.kinds() == {"complement": 9, "ladder": 10, "trio": 9, "reverse-trio": 9}
    widths = Counter(len(one.legs) - 2 for one in found.baskets if one.kind == "trio")
    assert widths == {1: 4, 2: 3, 3: 2}
    assert found.notes == ()


def test_a_range_over_others_takes_nothing_from_them() -> None:
    four = [above(one) for one in FIVE[:4]]
    chain = [bucket(low, high) for low, high in pairwise(FIVE[:4])]
    before = formed([*four, *chain])
    assert (before.kinds()["trio"], before.kinds()["reverse-trio"]) == (6, 6)
    wide, twin = (
        bucket("80000", "84000"),
        bucket("82000", "84000", condition_id="0xtwin", tokens=("t1", "t2")),
    )
    after = formed([*four, *chain, wide, twin])
    assert set(before.baskets) <= set(after.baskets)
    # The wide one alone and with the last of the chain; the twin wherever the middle one stands: 1 + 2 + 1 runs.
    assert after.kinds()["trio"] == after.kinds()["reverse-trio"] == 6 + 2 + 4
    flat = bucket("82000", "82000", condition_id="0xflat", tokens=("t3", "t4"))
    assert len(formed([*four, flat]).baskets) < 100


def test_trios_are_bounded_and_it_says_so() -> None:
    strikes = [str(1000 * n) for n in range(1, 19)]
    found = formed([*(above(one) for one in strikes), *(bucket(*two) for two in combinations(strikes, 2))])
    assert found.kinds()["trio"] == found.kinds()["reverse-trio"] == MOST_TRIOS == 2_000
    assert [note.why for note in found.notes] == ["2029 of 4029 trios, those over the most ranges"]


def test_open_buckets_take_part_with_one_threshold() -> None:
    family = [
        above("80000"),
        above("82000"),
        bucket("", "80000"),
        bucket("80000", "82000"),
        bucket("82000", ""),
    ]
    # "< to 82", "80 to 82", "80 to >" and both ends alone; the whole line has no threshold to set against.
    assert kinds(family)["trio"] == 5


def test_a_basket_is_named_by_its_tokens_whatever_the_order() -> None:
    family = [above("80000"), above("82000"), bucket("80000", "82000"), *contest("abc")]
    forwards, backwards = formed(family), formed(family[::-1])
    assert forwards == backwards
    assert all(list(one.legs) == sorted(one.legs) for one in forwards.baskets)
    assert len({one.basket_id for one in forwards.baskets}) == len(forwards.baskets)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"neg_risk_augmented": True}, "augmented"),
        ({"state": "paused"}, "is paused"),
        ({"state": "resolved", "winner": 0}, "decided"),
        ({"state": "resolved", "winner": "split"}, "decided"),
        ({"fees_enabled": True}, "schedule is not known"),
    ],
    ids=["augmented", "paused", "resolved yes", "resolved to both", "unknown fee"],
)
def test_what_ends_a_neg_risk_set(changed: dict[str, object], why: str) -> None:
    markets = contest("abcd")
    assert kinds(markets)["negrisk-yes"] == kinds(markets)["negrisk-no"] == 1
    markets[2] = replace(markets[2], **changed)  # type: ignore[arg-type]
    assert kinds(markets).keys() == {"complement"}
    assert any(why in note.why for note in formed(markets).notes)


def test_a_market_that_resolved_no_leaves_its_set() -> None:
    markets = contest("abcd")
    markets[0] = replace(markets[0], state="resolved", winner=1)
    sets = {one.kind: one for one in formed(markets).baskets if one.kind != "complement"}
    assert (sets["negrisk-yes"].payout, sets["negrisk-no"].payout) == (1, 2)
    assert {len(one.legs) for one in sets.values()} == {3}


def test_an_event_with_a_missing_market_forms_no_set() -> None:
    markets = contest("abcd")[:3]
    assert kinds(markets).keys() == {"complement"}
    assert formed(markets).notes[0].why == "the venue lists 4 markets in the event, the catalog holds 3"


def test_a_market_that_its_family_left_out_is_only_its_own_complement() -> None:
    odd = above("81000", left_out="the label says 81500, the question 81000")
    family = [above("80000"), odd, above("82000")]
    assert kinds(family) == {"complement": 3, "ladder": 1}


def test_a_market_whose_fee_is_not_known_is_no_leg_of_anything() -> None:
    strange = above("81000", fees_enabled=True, fees=FeeSchedule("0.07", "3", True))
    found = formed([above("80000"), strange, above("82000")])
    assert found.kinds() == {"complement": 2, "ladder": 1}
    assert "exponent 3" in found.notes[0].why


def test_ladders_are_bounded_and_it_says_so() -> None:
    found = formed([above(str(1000 * n)) for n in range(1, 71)])
    assert found.kinds()["ladder"] == MOST_LADDERS == 2_000
    assert [note.why for note in found.notes] == ["415 of 2415 ladders, those with the most strikes between"]


def test_only_what_shares_a_family_or_an_event_forms_together() -> None:
    markets = [above("80000"), above("82000"), *contest("ab"), terms("alone")]
    odd = terms("odd", family="event:odd", neg_risk_market_id="0xcontest")
    cut = components([*markets, odd])
    assert sorted(len(one) for one in cut) == [1, 2, 3]
    assert sorted(one.condition_id for part in cut for one in part) == sorted(
        one.condition_id for one in [*markets, odd]
    )


def test_terms_survive_json() -> None:
    markets = [above("80000", fees_enabled=True, fees=FeeSchedule("0.07", "1", True)), *contest("ab")]
    assert load(dump(markets)) == sorted(markets, key=lambda one: one.condition_id)


def test_a_market_that_is_over_when_first_seen_is_believed_to_its_stream() -> None:
    over = terms("over", state="resolved", winner=1)
    (told,) = renewed([], [over], frozenset({over.condition_id}))
    assert told.tradable
    assert told.outcome is None
    (unknown,) = renewed([], [over], frozenset())
    assert not unknown.tradable
    assert unknown.outcome == 1
    # Later changes are news of their own time.
    assert renewed([told], [over], frozenset()) == [told]
    paused = replace(over, state="paused", winner=None)
    assert renewed([told], [paused], frozenset()) == [paused]


def test_a_market_that_is_out_stays_in_mind_as_long_as_its_event() -> None:
    first, second, third = contest("abc")
    out = replace(first, state="resolved", winner=1)
    assert renewed([out, second, third], [second, third], frozenset()) == sorted(
        [out, second, third], key=lambda one: one.condition_id
    )
    assert renewed([out, second, third], [], frozenset()) == []


def test_prices_drawn_at_random_give_what_brute_force_gives() -> None:
    seed = Random().randrange(10**9)
    print(f"seed {seed}")
    random = Random(seed)
    strikes = (80_000, 82_000, 84_000, 86_000)
    fees = random.choice([{}, rows.WITH_FEES])
    pairs = random.sample(list(combinations(strikes, 2)), random.randrange(1, 5))
    markets = [
        *rows.above(*strikes, **fees),
        *rows.buckets(*strikes, **fees),
        *rows.ranges(*pairs),
        *rows.contest("abcd"),
    ]
    assert len({one.family for one in markets[:-4]}) == 1, "the ranges drawn are of the family"
    found = formed([Terms.of(one) for one in markets])
    profitable = 0
    for _ in range(60):
        asks = {
            token: (random.randrange(1, 1000) * 1000, random.randrange(1, 3000) * 10_000)
            for market in markets
            for token in market.tokens
            if random.random() < 0.9
        }
        ours = _worth(markets, found.baskets, asks)
        theirs = {
            (one.kind, one.tokens): (one.size_micros, one.cost_micros, one.fees_micros, one.net_micros)
            for one in profitable_baskets(markets, asks)
            if one.net_micros * 10_000 >= 5 * (one.cost_micros + one.fees_micros)
        }
        assert ours == theirs
        profitable += len(ours)
    assert profitable > 100


def _worth(
    markets: list[Market], baskets: tuple[object, ...], asks: dict[str, tuple[int, int]]
) -> dict[tuple[str, tuple[str, ...]], tuple[int, ...]]:
    legs = {}
    for market in map(Terms.of, markets):
        for outcome, token in enumerate(market.tokens):
            leg = legs[token] = Leg(token, market.condition_id, outcome)
            leg.price, leg.size = asks.get(token, (0, 0))
            leg.subject_to(market.fee_terms(), to_micros(market.min_order_size))
    worth = {}
    for basket in baskets:
        live = Live(basket, tuple(legs[leg.token] for leg in basket.legs), LIMITS)  # type: ignore[attr-defined, arg-type]
        figures = None if live.missing or live.total > live.limit else figures_of(live, LIMITS)
        # The quick look must never turn away what is worth something.
        assert figures is not None or live.missing or figures_of(live, LIMITS) is None
        if figures is not None:
            worth[live.basket.kind, tuple(leg.token for leg in live.legs)] = figures[:4]
    return worth  # type: ignore[return-value]
