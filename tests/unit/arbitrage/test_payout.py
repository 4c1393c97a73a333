"""What a basket says it pays, it pays: over every interval and on every strike."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from consumers.arbitrage.baskets import Basket, formed
from consumers.arbitrage.terms import Terms
from tests.arbitrage_bench import above, bucket, contest

STRIKES = st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True).map(sorted)


@st.composite
def families(draw: st.DrawFn) -> list[Terms]:
    """Thresholds and buckets whose strikes need not line up; two markets may share a strike."""
    spell = draw(st.sampled_from([lambda n: str(n * 1000), lambda n: f"0.{n:02d}", lambda n: f"{n}.5"]))
    markets = [above(spell(n), str(twin)) for n in draw(STRIKES) for twin in range(draw(st.integers(1, 2)))]
    bounds = draw(STRIKES)
    if draw(st.booleans()):
        markets.append(bucket("", spell(bounds[0])))
    markets += [bucket(spell(low), spell(high)) for low, high in pairwise(bounds) if draw(st.booleans())]
    if draw(st.booleans()):
        markets.append(bucket(spell(bounds[-1]), ""))
    return markets


def wins(market: Terms, value: Fraction) -> bool:
    if market.family_kind == "threshold":
        return value > Fraction(market.lower)
    return (not market.lower or value >= Fraction(market.lower)) and (
        not market.upper or value < Fraction(market.upper)
    )


def pays(basket: Basket, markets: dict[str, Terms], value: Fraction) -> int:
    return sum(wins(markets[leg.condition_id], value) == (leg.outcome == 0) for leg in basket.legs)


@given(families())
def test_every_basket_of_a_price_family_pays_what_it_says(family: list[Terms]) -> None:
    markets = {one.condition_id: one for one in family}
    strikes = sorted({Fraction(text) for one in family for text in (one.lower, one.upper) if text})
    inside = [strikes[0] - 1, *((low + high) / 2 for low, high in pairwise(strikes)), strikes[-1] + 1]
    for basket in formed(family).baskets:
        if basket.kind == "complement":
            continue
        assert min(pays(basket, markets, value) for value in inside) == basket.payout >= 1
        on_strike = {strike: pays(basket, markets, strike) for strike in strikes}
        named = {Fraction(tie.strike): tie.pays for tie in basket.ties}
        if min(on_strike.values()) >= basket.payout:
            assert (basket.guarantee, named) == ("strict", {})
        else:
            assert basket.guarantee == "except-tie"
            assert named.items() <= on_strike.items()
            assert all(paid >= basket.payout for strike, paid in on_strike.items() if strike not in named)
            assert all(paid != basket.payout for paid in named.values())


@given(families())
def test_each_kind_pays_what_it_is_known_for(family: list[Terms]) -> None:
    markets = {one.condition_id: one for one in family}
    for basket in formed(family).baskets:
        buckets = [
            markets[leg.condition_id]
            for leg in basket.legs
            if markets[leg.condition_id].family_kind == "range"
        ]
        thresholds = len(basket.legs) - len(buckets)
        match basket.kind:
            case "complement" | "ladder" | "reverse-trio":
                assert basket.payout == 1
            case "trio":
                # Yes of the lower and No of the upper threshold pay 1 or 2, all No but one of the buckets pay.
                assert basket.payout == len(buckets) + thresholds - 1
            case kind:
                raise AssertionError(kind)
        if basket.kind == "ladder":
            assert basket.guarantee == "strict"


def named(markets: list[Terms], kind: str) -> list[Basket]:
    return [basket for basket in formed(markets).baskets if basket.kind == kind]


def test_a_trio_names_both_its_strikes() -> None:
    (trio,) = named([above("80000"), above("82000"), bucket("80000", "82000")], "trio")
    assert (trio.payout, trio.guarantee) == (2, "except-tie")
    assert [tuple(tie) for tie in trio.ties] == [("80000", 1), ("82000", 3)]


def test_a_reverse_trio_pays_nothing_on_its_upper_strike() -> None:
    (trio,) = named([above("80000"), above("82000"), bucket("80000", "82000")], "reverse-trio")
    assert (trio.payout, [tuple(tie) for tie in trio.ties]) == (1, [("80000", 2), ("82000", 0)])


def test_an_open_bucket_takes_one_threshold() -> None:
    strict, exposed = (
        named([above("80000"), open_bucket], "trio")[0]
        for open_bucket in (bucket("", "80000"), bucket("80000", ""))
    )
    assert (strict.payout, strict.guarantee, len(strict.legs)) == (1, "strict", 2)
    assert (exposed.payout, [tuple(tie) for tie in exposed.ties]) == (1, [("80000", 0)])


@given(st.integers(2, 8))
def test_a_neg_risk_event_pays_whoever_wins(size: int) -> None:
    markets = contest("abcdefgh"[:size])
    (yes,), (no,) = named(markets, "negrisk-yes"), named(markets, "negrisk-no")
    assert (yes.payout, no.payout, yes.guarantee, no.guarantee) == (1, size - 1, "strict", "strict")
    for winner in markets:
        for basket in (yes, no):
            paid = sum((leg.condition_id == winner.condition_id) == (leg.outcome == 0) for leg in basket.legs)
            assert paid == basket.payout
