"""One partition: what opens, changes and closes an opportunity, and what keeps it from opening."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from consumers.arbitrage.evaluate import Limits
from consumers.arbitrage.judge import IDS_A_TRIGGER, MOST_OPEN
from marketdata.entries import EntryId
from tests.arbitrage_bench import CRYPTO, START_MS, Hand, above, bucket, contest, said, terms

LOW, HIGH = above("80000"), above("82000")
BETWEEN = bucket("80000", "82000")
TRIO = (LOW, HIGH, BETWEEN)


def trio(**changed: object) -> Hand:
    """A hand with two legs of a trio on offer; the third at 0.6 makes it worth 10 cents a share."""
    hand = Hand(TRIO, **changed)  # type: ignore[arg-type]
    assert hand.ask(LOW, 0, "0.7") == hand.ask(HIGH, 1, "0.6") == []
    return hand


def test_the_last_leg_opens_a_change_updates_and_its_end_closes() -> None:
    hand = trio()
    (opened,) = hand.ask(BETWEEN, 1, "0.6", "50.009")
    (updated,) = hand.ask(BETWEEN, 1, "0.5", "50", later_ms=10)
    (closed,) = hand.ask(BETWEEN, 1, "0.75", later_ms=20)
    first, second, last = opened.opportunity, updated.opportunity, closed.opportunity
    assert said(hand.found) == ["open trio", "update trio", "close trio price"]
    assert (first.payout, first.size_micros, first.cost_micros, first.fees_micros) == (
        2,
        50_000_000,
        95_000_000,
        0,
    )
    assert (first.net_micros, first.bps_hundredths) == (5_000_000, 52_631)
    assert (second.net_micros, second.opened, second.catalog) == (10_000_000, str(opened.id), "1-0")
    assert (last.duration_ms, last.best_net_micros, last.best_bps_hundredths) == (30, 10_000_000, 111_111)
    assert (last.net_micros, last.opened) == (10_000_000, str(opened.id))
    assert [leg.price for leg in first.legs] == [
        {LOW.tokens[0]: "0.7", HIGH.tokens[1]: "0.6", BETWEEN.tokens[1]: "0.6"}[leg.token]
        for leg in first.legs
    ]


def test_what_is_told_has_the_id_of_its_trigger() -> None:
    hand = trio()
    (opened,) = hand.ask(BETWEEN, 1, "0.6")
    assert opened.id == EntryId(hand.ms, hand.n * IDS_A_TRIGGER)
    assert {leg.entry for leg in opened.opportunity.legs} == {f"{START_MS + n}-{n}" for n in (2, 3, 4)}


def test_an_entry_that_changes_no_price_and_no_size_says_nothing() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6", "50")
    assert hand.ask(LOW, 0, "0.7", "100") == []
    # Not the smallest leg.
    assert hand.ask(LOW, 0, "0.7", "90") == []
    assert said(hand.ask(LOW, 0, "0.7", "40")) == ["update trio"]


def test_fees_are_part_of_the_cost() -> None:
    markets = [replace(one, fees_enabled=True, fees=CRYPTO) for one in TRIO]
    hand = Hand(markets)
    for market, outcome, price in zip(markets, (0, 1, 1), ("0.7", "0.6", "0.65"), strict=True):
        hand.ask(market, outcome, price)
    (one,) = hand.found
    # 0.07 x (0.21 + 0.24 + 0.2275) a share of 100.
    assert (one.opportunity.fees_micros, one.opportunity.net_micros) == (4_742_500, 257_500)
    assert said(hand.ask(markets[2], 1, "0.66")) == ["close trio price"]


def test_both_least_profits_must_hold() -> None:
    by_bps = trio(limits=Limits.of(Decimal(500), Decimal(0), 1_000, 3_000))
    assert by_bps.ask(BETWEEN, 1, "0.61") == []
    assert said(by_bps.ask(BETWEEN, 1, "0.6")) == ["open trio"]
    by_dollars = trio(limits=Limits.of(Decimal(0), Decimal(5), 1_000, 3_000))
    assert by_dollars.ask(BETWEEN, 1, "0.6", "49.99") == []
    assert said(by_dollars.ask(BETWEEN, 1, "0.6", "50")) == ["open trio"]
    nothing = trio(limits=Limits.of(Decimal(0), Decimal(0), 1_000, 3_000))
    assert nothing.ask(BETWEEN, 1, "0.7") == []


def test_a_leg_below_the_minimum_order_is_no_leg() -> None:
    hand = trio()
    assert hand.ask(BETWEEN, 1, "0.6", "4.99") == []
    assert said(hand.ask(BETWEEN, 1, "0.6", "5")) == ["open trio"]
    assert said(hand.ask(BETWEEN, 1, "0.6", "4.99")) == ["close trio size"]


def test_a_tie_is_named_with_what_it_pays() -> None:
    hand = trio()
    (opened,) = hand.ask(BETWEEN, 1, "0.6")
    fields = opened.opportunity.to_fields()
    assert (fields["guarantee"], fields["payout"], fields["ties"]) == ("except-tie", "2", "80000:1,82000:3")


def test_a_resolved_leg_ends_a_price_basket() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    assert said(hand.resolved(HIGH, 1)) == ["close trio resolved"]
    assert hand.ask(BETWEEN, 1, "0.5", later_ms=5_000) == []
    assert hand.engine.open_count == 0


def test_a_leg_that_resolved_no_leaves_its_event_and_one_that_resolved_yes_ends_it() -> None:
    markets = contest("abc")
    hand = Hand(markets)
    for market in markets:
        hand.ask(market, 0, "0.32")
    assert said(hand.found) == ["open negrisk-yes"]
    assert said(hand.resolved(markets[0], 1)) == ["close negrisk-yes resolved", "open negrisk-yes"]
    assert len(hand.found[-1].opportunity.legs) == 2
    assert said(hand.resolved(markets[1], 0)) == ["close negrisk-yes resolved"]


def test_an_augmented_event_forms_nothing() -> None:
    hand = Hand(contest("abc", neg_risk_augmented=True))
    for market in contest("abc", neg_risk_augmented=True):
        assert hand.ask(market, 0, "0.1") == []


def test_a_missing_leg_opens_nothing_and_its_loss_closes() -> None:
    hand = trio()
    assert hand.engine.open_count == 0
    hand.ask(BETWEEN, 1, "0.6")
    assert said(hand.ask(LOW, 0, "")) == ["close trio empty"]


@pytest.mark.parametrize("outcome", [1, None], ids=["its token", "the whole market"])
def test_a_leg_behind_a_gap_takes_no_part_until_its_next_top(outcome: int | None) -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    assert said(hand.gap(BETWEEN, outcome)) == ["close trio gap"]
    # Neither the clock nor a trade speaks for a token behind a gap.
    assert hand.clock(later_ms=2_000) == hand.trade(BETWEEN, 1) == hand.ask(LOW, 0, "0.69") == []
    assert said(hand.ask(BETWEEN, 1, "0.6")) == ["open trio"]


def test_a_gap_of_the_other_token_does_not_matter() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    assert hand.gap(BETWEEN, 0) == []
    assert hand.engine.open_count == 1


def test_entries_that_went_away_are_a_gap() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    hand.engine.lost(BETWEEN.condition_id)
    assert said(hand.clock()) == ["close trio gap"]


def test_a_stale_leg_closes_and_the_clock_brings_it_back() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    # A trade of one leg is all that is heard: 3,000 ms after the clock the others still hold, then no more.
    assert hand.trade(BETWEEN, 1, later_ms=2_997) == []
    (closed,) = hand.trade(BETWEEN, 1, later_ms=4)
    assert said([closed]) == ["close trio stale"]
    assert max(leg.age_ms for leg in closed.opportunity.legs) > 3_000
    assert said(hand.clock(later_ms=2_000)) == ["open trio"]


def test_without_a_clock_legs_speak_for_themselves() -> None:
    hand = trio(clock=False)
    assert said(hand.ask(BETWEEN, 1, "0.6", later_ms=2_900)) == ["open trio"]
    assert said(hand.ask(terms("elsewhere"), 0, "0.5", later_ms=200)) == ["close trio stale"]


def test_a_cooldown_runs_on_the_entries_time_and_its_end_needs_no_touch() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    hand.ask(BETWEEN, 1, "0.9")
    assert hand.ask(BETWEEN, 1, "0.6", later_ms=999) == []
    assert said(hand.clock(later_ms=1)) == ["open trio"]
    assert [one.opportunity.action for one in hand.found] == ["open", "close", "open"]


def test_half_of_a_change_is_no_edge() -> None:
    """Bid of one token and ask of the other are one order; between the two entries the pair seems to cost 0.9."""
    market = terms("alone")
    hand = Hand([market])
    hand.ask(market, 0, "0.6", bid="0.5")
    hand.ask(market, 1, "0.5", bid="0.4")
    assert hand.ask(market, 0, "0.4", bid="0.3") == []
    assert hand.ask(market, 1, "0.7", bid="0.6") == []
    assert hand.found == []


def test_a_pair_that_stays_wrong_is_told() -> None:
    market = terms("alone")
    hand = Hand([market])
    hand.ask(market, 0, "0.6", bid="0.5")
    hand.ask(market, 1, "0.5", bid="0.4")
    assert hand.ask(market, 0, "0.4", bid="0.3") == []
    assert hand.clock(later_ms=299) == []
    assert said(hand.clock()) == ["open complement"]


def test_only_baskets_of_the_token_are_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Hand([*TRIO, *contest("abc")])
    judged: list[str] = []
    judge = hand.engine.judge.judge
    monkeypatch.setattr(
        hand.engine.judge, "judge", lambda live, at: (judged.append(live.basket.kind), judge(live, at))[1]
    )
    for market, outcome in zip(TRIO, (0, 1, 1), strict=True):
        hand.ask(market, outcome, "0.3")
    assert set(judged) == {"trio", "ladder"}


def test_a_catalog_that_changes_its_mind_closes_what_is_gone() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    hand.engine.adopt(
        "2-0", sorted([LOW, HIGH, replace(BETWEEN, left_out="odd")], key=lambda one: one.condition_id)
    )
    (closed,) = hand.clock()
    assert said([closed]) == ["close trio catalog"]
    assert closed.opportunity.catalog == "2-0"
    hand.engine.adopt("3-0", sorted(TRIO, key=lambda one: one.condition_id))
    assert hand.clock() == []
    assert said(hand.clock(later_ms=1_000)) == ["open trio"]


def test_a_fee_that_changes_is_news_without_any_entry_of_the_legs() -> None:
    hand = trio()
    hand.ask(BETWEEN, 1, "0.6")
    hand.engine.adopt(
        "2-0",
        sorted(
            [LOW, HIGH, replace(BETWEEN, fees_enabled=True, fees=CRYPTO)], key=lambda one: one.condition_id
        ),
    )
    (updated,) = hand.clock()
    assert said([updated]) == ["update trio"]
    assert updated.opportunity.fees_micros == 1_680_000
    hand.engine.adopt(
        "3-0", sorted([LOW, HIGH, replace(BETWEEN, min_order_size="200")], key=lambda one: one.condition_id)
    )
    assert said(hand.clock()) == ["close trio size"]


def test_what_one_entry_cannot_tell_the_next_one_does() -> None:
    """60 thresholds: one cheap Yes is an edge with each No above it; ids of a trigger must not run into the next."""
    ladder = [above(str(n)) for n in range(1, 61)]
    hand = Hand(ladder)
    for market in ladder[1:]:
        hand.ask(market, 1, "0.5")
    found = hand.ask(ladder[0], 0, "0.1")
    assert [one.id.n for one in found] == [hand.n * IDS_A_TRIGGER + k for k in range(59)]
    for market in ladder[1:40]:
        hand.ask(market, 0, "0.1")
    assert hand.engine.open_count == MOST_OPEN
    assert len({one.id for one in hand.found}) == len(hand.found)
    assert [one.id for one in hand.found] == sorted(one.id for one in hand.found)
    (first, *_) = hand.gap(ladder[59], None)
    assert first.opportunity.reason == "gap"
    # Room was made: those that waited come.
    hand.clock(later_ms=1_000)
    assert hand.engine.open_count == MOST_OPEN


def test_an_entry_that_comes_too_late_changes_the_state_and_tells_nothing() -> None:
    hand = trio()
    at = EntryId(hand.ms - 1, 0)
    assert hand.engine.top(at, BETWEEN.condition_id, 1, "", "0.6", "50") == []
    assert hand.engine.late == 1
    assert said(hand.clock()) == ["open trio"]


def test_a_size_finer_than_a_millionth_is_no_offer() -> None:
    hand = trio()
    assert hand.ask(BETWEEN, 1, "0.6", "50.0000001") == []
