"""Which families are over for good."""

from __future__ import annotations

from dataclasses import replace

from marketdata.market import Market
from tests.gamma_rows import market
from worker.forgetting import over


def of_one_event(*states: str) -> list[Market]:
    return [
        replace(market(f"m{number}"), family="event:1", state=state)  # type: ignore[arg-type]
        for number, state in enumerate(states)
    ]


def test_a_family_goes_when_all_of_it_is_resolved_even_if_it_is_listed_still() -> None:
    family = of_one_event("resolved", "resolved")
    assert over(family, {one.condition_id for one in family}) == [family]


def test_a_family_stays_whole_while_one_of_it_may_go_on() -> None:
    family = of_one_event("resolved", "closed")
    assert over(family, {family[1].condition_id}) == []
    assert over(family, {family[0].condition_id}) == [family], "nobody lists the other one any more"


def test_families_are_judged_one_by_one() -> None:
    ended, trades = market("ended", event="e1"), market("trades", event="e2")
    ended = replace(ended, state="resolved", winner=0)
    assert over([ended, trades], {ended.condition_id, trades.condition_id}) == [[ended]]
