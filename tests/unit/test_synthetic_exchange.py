"""Price, time, and what a step says: the matching engine and its words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.venue import book_hash
from simulator.synthetic.exchange import Market, NewOrder, Order
from simulator.synthetic.ladder import Side
from simulator.synthetic.listing import Listing
from simulator.synthetic.steps import Fill
from simulator.synthetic.wire import Wire

YES, NO = "1" * 77, "2" * 77
CONDITION = "0x" + "ab" * 32
MS = 1_795_000_000_000


def listing(tick: int = 10_000, version: Any = "v1", *, neg_risk: bool = False) -> Listing:
    return Listing(
        condition_id=CONDITION,
        tokens=(YES, NO),
        outcomes=("Yes", "No"),
        question="?",
        slug="q",
        tick_micros=tick,
        min_order_size_micros=5_000_000,
        neg_risk=neg_risk,
        version=version,
        event_id="1",
        event_slug="e",
        group="g",
        weight=1.0,
        fee_rate="0",
        fee_exponent="1",
        opens_ms=0,
        ends_ms=None,
    )


def shares(count: float) -> int:
    return int(count * 1_000_000)


def market_of(bids: dict[int, float], asks: dict[int, float], **given: Any) -> Market:
    """Prices in cents."""
    market = Market(listing(**given))
    orders = [NewOrder(True, price * 10_000, shares(size)) for price, size in bids.items()]
    orders += [NewOrder(False, price * 10_000, shares(size)) for price, size in asks.items()]
    market.change(orders=orders)
    return market


def rows(wire: Wire, step: Any, ms: int = MS + 5, **given: Any) -> list[dict[str, Any]]:
    return [json.loads(frame.data) for frame in wire.messages(step, ms, **given)]


def test_the_oldest_order_at_the_best_price_is_filled_first() -> None:
    market = market_of({40: 10}, {60: 10, 61: 10})
    market.place(NewOrder(False, 600_000, shares(4)))
    first, second = market.asks.orders(600_000)
    step = market.cross(NewOrder(True, 610_000, shares(12)), rest=False)
    assert step.fills == [Fill(600_000, shares(12))]
    assert market.asks.orders(600_000) == (second,)
    assert market.asks.total(600_000) == shares(2)
    assert step.levels == [], "a partial fill is told by the books alone"
    step = market.cross(NewOrder(True, 610_000, shares(3)), rest=False)
    assert step.fills == [Fill(600_000, shares(2)), Fill(610_000, shares(1))]
    assert step.levels == [(False, 600_000)]
    assert market.last_trade == 610_000
    assert first != second


def test_a_crossing_order_is_told_as_the_venue_tells_it() -> None:
    market = market_of({50: 100, 49: 20}, {51: 30, 52: 5, 55: 7})
    wire = Wire(market, flips_last_trade=True, ms=MS)
    step = market.cross(NewOrder(True, 520_000, shares(50)), rest=True)
    told = rows(wire, step, early=True)
    assert [row["event_type"] for row in told] == [
        *["best_bid_ask"] * 2,
        *["price_change"] * 3,
        *["book"] * 2,
    ]
    assert {row["timestamp"] for row in told} == {str(MS + 5)}
    changes = [row["price_changes"] for row in told[2:5]]
    assert [(one["price"], one["size"], one["side"]) for one, _ in changes] == [
        ("0.52", "15", "BUY"),
        ("0.49", "0", "BUY"),
        ("0.48", "0", "BUY"),
    ]
    assert [change[0]["asset_id"] for change in changes] == [YES, NO, NO]
    for change in changes:
        by_token = {one["asset_id"]: one for one in change}
        assert (by_token[YES]["best_bid"], by_token[YES]["best_ask"]) == ("0.52", "0.55")
        assert (by_token[NO]["best_bid"], by_token[NO]["best_ask"]) == ("0.45", "0.48")
        assert {by_token[token]["hash"] for token in (YES, NO)} == {*wire.hashes}
    books = {row["asset_id"]: row for row in told[5:]}
    assert books[YES]["bids"][-1] == {"price": "0.52", "size": "15"}
    assert books[NO]["asks"][-1] == {"price": "0.48", "size": "15"}
    assert "tick_size" not in books[YES]
    for token, row in books.items():
        assert row["hash"] == book_hash(
            market=CONDITION,
            asset_id=token,
            timestamp=row["timestamp"],
            bids=[(one["price"], one["size"]) for one in row["bids"]],
            asks=[(one["price"], one["size"]) for one in row["asks"]],
            last_trade_price="0.480",
        )
    trade = json.loads(wire.trade(step.fills[0], step.taker_buys, 1, MS + 40, "f" * 64).data)
    assert (trade["asset_id"], trade["price"], trade["size"], trade["side"]) == (NO, "0.49", "30", "SELL")
    assert trade["timestamp"] == str(MS + 40)


def test_live_frames_are_spaced_as_recorded_and_the_dump_is_not() -> None:
    market = market_of({50: 100}, {51: 30.5})
    wire = Wire(market, flips_last_trade=False, ms=MS)
    (frame,) = wire.messages(market.place(NewOrder(True, 490_000, shares(60))), MS + 1)
    first, second = wire.hashes
    assert frame.data.decode() == (
        f'{{"market":"{CONDITION}", "price_changes":[{{"asset_id":"{YES}", "price":"0.49", "size":"60", '
        f'"side":"BUY", "hash":"{first}", "best_bid":"0.5", "best_ask":"0.51"}}, {{"asset_id":"{NO}", '
        f'"price":"0.51", "size":"60", "side":"SELL", "hash":"{second}", "best_bid":"0.49", '
        f'"best_ask":"0.5"}}], "timestamp":"{MS + 1}", "event_type":"price_change"}}'
    )
    assert wire.socket_book(0).decode() == (
        f'{{"market":"{CONDITION}","asset_id":"{YES}","timestamp":"{MS + 1}","hash":"{first}",'
        '"bids":[{"price":"0.49","size":"60"},{"price":"0.5","size":"100"}],'
        '"asks":[{"price":"0.51","size":"30.5"}],"tick_size":"0.01","event_type":"book","last_trade_price":""}'
    )


def test_books_of_protocol_v2_say_so_and_hash_so() -> None:
    market = market_of({50: 100}, {51: 30}, version="v2", neg_risk=True)
    wire = Wire(market, flips_last_trade=False, ms=MS)
    row = json.loads(wire.socket_book(1))
    assert row["version"] == "v2"
    expected = book_hash(
        market=CONDITION,
        asset_id=NO,
        timestamp=str(MS),
        bids=[("0.49", "30")],
        asks=[("0.5", "100")],
        neg_risk=True,
        version="v2",
    )
    assert row["hash"] == expected


def test_empty_sides_have_the_venues_marks() -> None:
    market = market_of({}, {51: 30})
    wire = Wire(market, flips_last_trade=False, ms=MS)
    (order_id,) = market.asks.orders(510_000)
    step = market.cancel(Order(False, 510_000, order_id))
    change = rows(wire, step)[0]["price_changes"]
    assert [(one["best_bid"], one["best_ask"]) for one in change] == [("0", "1"), ("0", "1")]
    assert json.loads(wire.socket_book(0))["asks"] == []


def test_steps_of_a_millisecond_that_lead_to_one_book_do_not_share_it() -> None:
    market = market_of({50: 100}, {51: 30})
    wire = Wire(market, flips_last_trade=False, ms=MS)
    stamps = []
    for _ in range(3):
        stamps.append(rows(wire, market.place(NewOrder(True, 490_000, shares(1))), MS + 1)[0]["timestamp"])
        order = Order(True, 490_000, market.newest_id())
        stamps.append(rows(wire, market.cancel(order), MS + 1)[0]["timestamp"])
    assert stamps == [str(MS + n) for n in (1, 1, 2, 2, 3, 3)]


def test_a_new_grid_takes_what_is_off_it() -> None:
    market = market_of({4: 100}, {6: 30})
    market.tick = 1_000
    market.place(NewOrder(False, 55_000, shares(3)))
    wire = Wire(market, flips_last_trade=False, ms=MS)
    told = rows(wire, market.retick(10_000))
    kinds = [row["event_type"] for row in told]
    assert kinds == ["tick_size_change", "tick_size_change", "book", "book", "best_bid_ask", "best_bid_ask"]
    assert [told[0][name] for name in ("old_tick_size", "new_tick_size")] == ["0.001", "0.01"]
    assert told[2]["asks"] == [{"price": "0.06", "size": "30"}]


def test_a_repeated_change_has_the_tokens_the_other_way_round() -> None:
    market = market_of({50: 100}, {51: 30})
    wire = Wire(market, flips_last_trade=False, ms=MS)
    first, again = rows(wire, market.place(NewOrder(True, 490_000, shares(1))), swapped=True)
    assert first["price_changes"] == again["price_changes"][::-1]


@pytest.mark.parametrize("price", [0, 5_000, 1_000_000, 515_000])
def test_orders_off_the_grid_are_refused(price: int) -> None:
    with pytest.raises(ValueError, match="grid"):
        market_of({40: 1}, {60: 1}).place(NewOrder(True, price, shares(1)))


def test_an_order_that_would_cross_is_no_resting_order() -> None:
    market = market_of({40: 1}, {60: 1})
    for refused in (NewOrder(True, 600_000, 1), NewOrder(False, 400_000, 1)):
        with pytest.raises(ValueError, match="cross"):
            market.place(refused)
        with pytest.raises(ValueError, match="cross"):
            market.change(orders=(refused,))
    assert market.best() == (400_000, 600_000)


@settings(max_examples=200, deadline=None)
@given(
    is_bid=st.booleans(),
    does=st.lists(
        st.tuples(st.integers(1, 12), st.integers(1, 9), st.sampled_from(("rest", "cancel", "take"))),
        max_size=40,
    ),
)
def test_a_side_is_what_a_list_of_orders_says(is_bid: bool, does: list[tuple[int, int, str]]) -> None:
    side, orders = Side(is_bid), list[list[int]]()
    for number, (cents, size, act) in enumerate(does):
        price = cents * 10_000
        here = [order for order in orders if order[1] == price]
        if act == "rest":
            side.rest(number, price, size)
            orders.append([number, price, size])
        elif act == "cancel" and here:
            side.cancel(here[0][0], price)
            orders.remove(here[0])
        elif act == "take" and here:
            left = size
            for order in here:
                filled = min(left, order[2])
                order[2] -= filled
                left -= filled
            assert side.take(price, size) == size - left
            orders = [order for order in orders if order[2]]
        totals: dict[int, int] = {}
        for _, at, count in orders:
            totals[at] = totals.get(at, 0) + count
        worst_first = sorted(totals.items(), reverse=not is_bid)
        assert side.levels() == worst_first
        assert side.top() == (worst_first[-1] if worst_first else (0, 0))
        assert len(side) == len(worst_first)
        own, mirrored = (json.loads(f"[{side.text(outcome)}]") for outcome in (0, 1))
        assert [round(float(one["price"]) * 1e6) for one in own] == [price for price, _ in worst_first]
        assert [round(float(one["price"]) * 1e6) for one in mirrored] == [
            1_000_000 - price for price, _ in worst_first
        ]
        assert [one["size"] for one in own] == [one["size"] for one in mirrored]
