"""A leg that falls silent: what is told of its age, how it can be kept out, and what its gap says afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consumers.arbitrage.aging import NOT_SOON_MS, Aging
from consumers.arbitrage.feed import gap_start_ms
from consumers.arbitrage.opportunity import Opportunity
from consumers.arbitrage.settings import ArbitrageSettings
from marketdata.entries import EntryId, gap_note
from marketdata.errors import EntryError
from tests.arbitrage_bench import LIMITS, Hand, above, contest, said

LOW, HIGH = above("80000"), above("82000")
NO_OLDER = replace(LIMITS, max_top_age_ms=5_000)


def silent(**given: object) -> Hand:
    """A hand whose first leg said its last 6,001 ms ago; the clock vouches for it."""
    hand = Hand([LOW, HIGH], **given)  # type: ignore[arg-type]
    hand.ask(LOW, 0, "0.5")
    hand.clock(later_ms=2_000)
    hand.clock(later_ms=2_000)
    hand.clock(later_ms=2_000)
    return hand


def by_market(opportunity: Opportunity) -> dict[str, tuple[int | None, int]]:
    return {leg.market: (leg.age_ms, leg.vouched_ms) for leg in opportunity.legs}


def test_a_leg_tells_its_own_age_and_what_vouches_for_it() -> None:
    hand = silent()
    (opened,) = hand.ask(HIGH, 1, "0.4", later_ms=760)
    told = opened.opportunity
    assert by_market(told) == {LOW.condition_id: (6_760, 760), HIGH.condition_id: (0, 0)}
    assert told.oldest_leg_ms == 6_760
    hand.trade(LOW, 0, later_ms=40)
    (updated,) = hand.ask(HIGH, 1, "0.3", later_ms=2)
    assert by_market(updated.opportunity)[LOW.condition_id] == (6_802, 2)


def test_a_leg_whose_own_top_is_too_old_takes_no_part_until_its_next_one() -> None:
    hand = silent(limits=NO_OLDER)
    assert hand.ask(HIGH, 1, "0.4") == []
    # Neither a clock nor a trade makes its quote younger; the same quote once more does.
    assert hand.clock() == hand.trade(LOW, 0) == []
    assert said(hand.ask(LOW, 0, "0.5")) == ["open ladder"]


def test_the_limit_is_part_of_what_a_group_shares() -> None:
    shaping = [ArbitrageSettings(arb_max_top_age_ms=one).shaping("") for one in (0, 5_000)]
    assert [" ARB_MAX_TOP_AGE_MS 0," in shaping[0], " ARB_MAX_TOP_AGE_MS 5000," in shaping[1]] == [True, True]
    assert ArbitrageSettings().limits == LIMITS
    assert ArbitrageSettings(arb_max_top_age_ms=5_000).limits == NO_OLDER


def test_an_open_one_closes_with_the_next_entry_once_a_leg_is_too_old() -> None:
    hand = Hand([LOW, HIGH, *contest("ab")], limits=NO_OLDER)
    hand.ask(LOW, 0, "0.5")
    assert said(hand.ask(HIGH, 1, "0.4", later_ms=1_000)) == ["open ladder"]
    assert hand.clock(later_ms=2_000) == hand.clock(later_ms=2_000) == []
    (closed,) = hand.ask(contest("ab")[0], 0, "0.5")
    assert said([closed]) == ["close ladder old"]
    assert by_market(closed.opportunity)[LOW.condition_id] == (5_001, 1)
    assert closed.opportunity.doubted_since_ms is None


def test_a_leg_that_speaks_again_keeps_it_open() -> None:
    hand = Hand([LOW, HIGH], limits=NO_OLDER)
    hand.ask(LOW, 0, "0.5")
    hand.ask(HIGH, 1, "0.4")
    for _ in range(3):
        assert hand.clock(later_ms=2_400) == hand.ask(LOW, 0, "0.5") == hand.ask(HIGH, 1, "0.4") == []
    assert hand.clock(later_ms=2_900) == hand.clock(later_ms=2_099) == []
    assert said(hand.clock()) == ["close ladder old"]


def test_without_the_limit_a_quote_stands_for_hours() -> None:
    hand = silent()
    for _ in range(4_000):
        hand.clock(later_ms=2_000)
    assert said(hand.ask(HIGH, 1, "0.4")) == ["open ladder"]


@pytest.mark.parametrize("outcome", [0, None], ids=["its token", "the whole market"])
def test_a_close_by_a_gap_that_began_before_the_opening_says_so(outcome: int | None) -> None:
    hand = silent()
    (opened,) = hand.ask(HIGH, 1, "0.4")
    (closed,) = hand.gap(LOW, outcome, later_ms=20, back_ms=6_000)
    told = closed.opportunity
    assert said([closed]) == ["close ladder gap"]
    assert told.doubted_since_ms == closed.id.ms - 6_000 < opened.id.ms
    assert told.to_fields()["doubted_since_ms"] == str(closed.id.ms - 6_000)


@pytest.mark.parametrize(
    ("back_ms", "doubted"), [(19, False), (20, False), (21, True)], ids=["after", "at", "before"]
)
def test_what_counts_is_when_it_was_told_last(back_ms: int, doubted: bool) -> None:
    hand = silent()
    hand.ask(HIGH, 1, "0.4")
    assert said(hand.ask(HIGH, 1, "0.3", later_ms=500)) == ["update ladder"]
    (closed,) = hand.gap(LOW, 0, later_ms=20, back_ms=back_ms)
    assert (closed.opportunity.doubted_since_ms is not None) is doubted


def test_of_several_doubts_the_first_counts_and_a_new_top_ends_them() -> None:
    hand = silent()
    hand.ask(HIGH, 1, "0.4")
    # Comes behind its time, so the close is told with the next entry, and its gap is no later than the other.
    late = EntryId(hand.ms, 0)
    assert hand.engine.gap(late, LOW.condition_id, 0, hand.ms - 300) == []
    (closed,) = hand.gap(HIGH, 1, back_ms=100)
    assert closed.opportunity.doubted_since_ms == late.ms - 300
    hand.ask(LOW, 0, "0.5", later_ms=2_000)
    assert said(hand.ask(HIGH, 1, "0.4")) == ["open ladder"]
    (closed,) = hand.ask(HIGH, 1, "")
    assert closed.opportunity.doubted_since_ms is None


def test_entries_that_were_lost_tell_no_time() -> None:
    hand = silent()
    hand.ask(HIGH, 1, "0.4")
    hand.engine.lost(LOW.condition_id)
    (closed,) = hand.clock()
    assert (closed.opportunity.reason, closed.opportunity.doubted_since_ms) == ("gap", None)


@pytest.mark.parametrize(
    ("note", "start_ms"), [(gap_note("stale", 17_999, "w1"), 17), ("stale", 0), ("stale soon w1", 0), ("", 0)]
)
def test_a_gap_that_does_not_say_since_when_doubts_everything(note: str, start_ms: int) -> None:
    assert gap_start_ms(note) == start_ms


def test_an_entry_of_an_older_engine_tells_no_age_of_a_top() -> None:
    (opened,) = silent().ask(HIGH, 1, "0.4")
    fields = opened.opportunity.to_fields()
    del fields["doubted_since_ms"]
    legs = fields["legs"].replace('"vouched_ms":', '"was":')
    older = {name.encode(): value.encode() for name, value in (fields | {"legs": legs}).items()}
    with pytest.raises(EntryError):
        Opportunity.from_fields(older)
    older[b"legs"] = b"[%s]" % b",".join(
        b'{"token":"1","market":"0x1","outcome":0,"price":"0.5","size":"1","age_ms":%d,"entry":"1-0"}'
        % age_ms
        for age_ms in (760, 3)
    )
    read = Opportunity.from_fields(older)
    assert [(leg.age_ms, leg.vouched_ms) for leg in read.legs] == [(None, 760), (None, 3)]
    assert (read.oldest_leg_ms, read.doubted_since_ms) == (None, None)


def test_aging_asks_for_each_once_and_not_too_late() -> None:
    aging = Aging(100)
    aging.watch("b", 50)
    aging.watch("a", 40)
    aging.watch("a", 90)
    assert aging.next_ms == 140
    assert aging.due(140) == []
    assert aging.due(151) == ["a", "b"]
    assert (aging.due(1_000), aging.next_ms) == ([], NOT_SOON_MS)
    aging.watch("a", 90)
    assert aging.due(191) == ["a"]
    without = Aging(0)
    without.watch("a", 1)
    assert (without.next_ms, without.due(10**15)) == (NOT_SOON_MS, [])
