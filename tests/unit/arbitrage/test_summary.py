"""The report: what opportunities come to."""

from __future__ import annotations

from consumers.arbitrage.summary import Summary, quantiles
from tests.arbitrage_bench import Hand, above, contest


def test_the_best_moment_of_each_opportunity_counts_once() -> None:
    low, high = above("80000"), above("82000")
    markets = contest("ab")
    hand = Hand([low, high, *markets])
    hand.ask(low, 0, "0.5")
    hand.ask(high, 1, "0.4")
    hand.ask(high, 1, "0.3")
    hand.ask(high, 1, "0.35")
    hand.ask(high, 1, "0.9", later_ms=100)
    hand.ask(markets[0], 0, "0.4")
    hand.ask(markets[1], 0, "0.5", "50")
    summary = Summary()
    for one in hand.found:
        summary.add(one.id, one.opportunity)
    told = summary.to_dict()
    assert (told["opened"], told["still_open"], told["net"]) == (2, 1, "25")
    ladder, yes = told["kinds"]["ladder"], told["kinds"]["negrisk-yes"]
    assert (ladder["opened"], ladder["updated"], ladder["closed"], ladder["strict"]) == (1, 2, 1, 1)
    assert (ladder["net"], ladder["most_bps"], ladder["closed_by"]) == ("20", "2500.00", {"price": 1})
    assert ladder["duration_ms"] == {"p50": 102, "p95": 102, "max": 102}
    assert (yes["net"], yes["closed"], yes["duration_ms"]) == ("5", 0, {})
    assert (told["from"], told["to"]) == (str(hand.found[0].id), str(hand.found[-1].id))


def test_nothing_comes_to_nothing() -> None:
    assert Summary().to_dict() == {
        "from": None,
        "to": None,
        "opened": 0,
        "still_open": 0,
        "net": "0",
        "kinds": {},
    }


def test_quantiles() -> None:
    assert quantiles(range(1, 101)) == {"p50": 51, "p95": 96, "max": 100}
    assert quantiles([7]) == {"p50": 7, "p95": 7, "max": 7}
