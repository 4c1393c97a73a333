"""A market is read from the venue's odd rows exactly, or refused with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata import gamma_fields
from marketdata.errors import CatalogError
from marketdata.market import FeeSchedule, Market, market_from_gamma
from tests.gamma_rows import event_row, market, market_row, recorded, token

UNREADABLE = {"fragment_bitcoin_between_march_3_2026.json": "outcomes are not two distinct names"}
EXPECTED = {
    "1500056": ("open", None, "0.001"),
    "559657": ("open", None, "0.001"),
    "662278": ("paused", None, "0.001"),
    "1557558": ("open", None, "0.01"),
    "1460332": ("resolved", 1, "0.001"),
    "1812085": ("resolved", 0, "0.01"),
    "43": ("closed", None, ""),
    "12": ("closed", None, ""),
    "1878156": ("resolved", 0, "0.001"),
    "1878152": ("resolved", 0, "0.001"),
}


@pytest.mark.parametrize("folder", ["gamma", "gamma_constructed"])
def test_every_recorded_row_is_read_or_refused_with_its_reason(folder: str) -> None:
    read, refused = 0, set()
    for name, row, event in recorded(folder):
        if name in UNREADABLE:
            with pytest.raises(CatalogError, match=UNREADABLE[name]):
                market_from_gamma(row, event, 64)
            refused.add(name)
            continue
        one = market_from_gamma(row, event, 64)
        read += 1
        assert list(one.tokens) == json.loads(row["clobTokenIds"])
        assert one.condition_id == row["conditionId"]
        assert Market.from_json(one.to_json()) == one
        if row["id"] in EXPECTED:
            assert (one.state, one.winner, one.tick_size) == EXPECTED[row["id"]]
    assert (read, refused) == {"gamma": (11, set(UNREADABLE)), "gamma_constructed": (22, set())}[folder]


def test_every_expected_row_is_in_the_data() -> None:
    assert EXPECTED.keys() <= {row["id"] for _, row, _ in recorded("gamma")}


def test_equal_markets_give_equal_bytes_in_the_order_of_the_fields() -> None:
    first, second = market("a", event="e"), market("a", event="e")
    assert first.to_json() == second.to_json()
    assert list(orjson.loads(first.to_json()))[:3] == ["condition_id", "tokens", "outcomes"]


def test_a_closed_market_that_still_accepts_orders_is_not_tradable() -> None:
    one = market(closed=True)
    assert (one.state, one.tradable) == ("closed", False)


@pytest.mark.parametrize("missing", ["enableOrderBook", "acceptingOrders"])
def test_a_market_without_its_order_book_flags_is_paused(missing: str) -> None:
    changed: dict[str, Any] = {missing: None}
    assert market(**changed).state == "paused"


@pytest.mark.parametrize(
    ("status", "prices", "state", "winner"),
    [
        ({"umaResolutionStatus": "resolved"}, '["0", "1"]', "resolved", 1),
        ({"resolutionStatus": "RESOLVED"}, '["1", "0"]', "resolved", 0),
        ({"umaResolutionStatus": "resolved"}, '["0.5", "0.5"]', "resolved", "split"),
        ({}, '["1", "0"]', "resolved", 0),
        ({}, '["0.5", "0.5"]', "closed", None),
        ({"umaResolutionStatus": "proposed"}, '["1", "0"]', "closed", None),
        ({"umaResolutionStatus": "resolved"}, '["0", "0"]', "closed", None),
        ({"umaResolutionStatus": "resolved"}, None, "closed", None),
    ],
)
def test_the_winner_of_a_closed_market(
    status: dict[str, str], prices: str, state: str, winner: object
) -> None:
    one = market(closed=True, outcomePrices=prices, **status)
    assert (one.state, one.winner) == (state, winner)


def test_prices_of_an_open_market_decide_nothing() -> None:
    assert market(outcomePrices='["1", "0"]').winner is None


def test_protocol_v2_takes_position_ids_and_pads_the_condition_id() -> None:
    ids = [token("v2 yes"), token("v2 no")]
    short = "0x" + "ab" * 31
    one = market(version="v2", positionIds=ids, conditionId=short)
    assert (one.version, one.tokens) == ("v2", tuple(ids))
    assert one.condition_id == short + "00"


def test_protocol_v1_ignores_position_ids() -> None:
    assert market("x", positionIds=["1", "2"]).tokens == (token("x yes"), token("x no"))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": "v3"}, "protocol version 'v3' is not known"),
        ({"version": 2}, "protocol version '2' is not known"),
        ({"version": "v2"}, "no token ids yet"),
        ({"clobTokenIds": None}, "no token ids yet"),
        ({"clobTokenIds": ""}, "no token ids yet"),
        ({"clobTokenIds": "[]"}, "no token ids yet"),
        ({"clobTokenIds": '["1"]'}, "two distinct ids but 1"),
        ({"clobTokenIds": '["1", "1"]'}, "two distinct ids"),
        ({"clobTokenIds": '["1", "0x2"]'}, "not a decimal token id"),
        ({"clobTokenIds": '["1", "²"]'}, "not a decimal token id"),
        ({"clobTokenIds": "[1, 2]"}, "not a list of strings"),
        ({"clobTokenIds": "[1"}, "not a JSON list"),
        ({"outcomes": '["Yes"]'}, "outcomes"),
        ({"outcomes": '["Yes", "Yes"]'}, "outcomes"),
        ({"outcomes": '["A", "B", "C"]'}, "outcomes"),
        ({"conditionId": "0x12"}, "conditionId"),
        ({"conditionId": None}, "conditionId"),
        ({"conditionId": "0x" + "g" * 64}, "conditionId"),
        ({"orderPriceMinTickSize": None}, "orderPriceMinTickSize of an open market is missing"),
        ({"orderPriceMinTickSize": 0}, "orderPriceMinTickSize of an open market is 0"),
        ({"orderMinSize": "many"}, "orderMinSize is not a number"),
        ({"orderMinSize": True}, "orderMinSize is not a number"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_in_one_line(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(CatalogError, match=reason) as caught:
        market(**changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "spelled"),
    [
        (0.001, "0.001"),
        (0.0001, "0.0001"),
        (0.00001, "0.00001"),
        (0.005, "0.005"),
        (0.0025, "0.0025"),
        (0.1, "0.1"),
        (5, "5"),
        (5.0, "5"),
        ("0.010", "0.01"),
        (100, "100"),
    ],
)
def test_numbers_become_plain_decimals_without_float_noise(number: float | str, spelled: str) -> None:
    assert market(orderPriceMinTickSize=number).tick_size == spelled


@given(st.integers(1, 10**9), st.integers(0, 9))
def test_a_json_number_keeps_the_digits_it_was_written_with(digits: int, places: int) -> None:
    written = f"{digits // 10**places}.{digits % 10**places:0{places}d}" if places else str(digits)
    read = gamma_fields.decimal({"x": orjson.loads(written)}, "x")
    assert "e" not in read
    assert read == (written.rstrip("0").rstrip(".") if places else written)


def test_fees_come_from_the_schedule_and_never_from_the_base_fee() -> None:
    schedule = {"rate": 0.07, "exponent": 1, "takerOnly": True, "rebateRate": 0.2}
    paid = market(feesEnabled=True, feeSchedule=schedule, takerBaseFee=1000)
    assert (paid.fees_enabled, paid.fees) == (True, FeeSchedule("0.07", "1", True))
    assert market(feesEnabled=False, feeSchedule=schedule).fees_enabled is False
    assert market(feesEnabled=None, takerBaseFee=1000).fees_enabled is False


def test_fees_without_a_schedule_are_not_taken_for_none() -> None:
    unknown = market(feesEnabled=True)
    assert (unknown.fees_enabled, unknown.fees) == (True, None)
    assert market(feesEnabled=True, feeSchedule={"rate": 0.07}).fees is None


def test_event_fields_come_from_the_event_or_from_the_row_itself() -> None:
    row = market_row("m", negRisk=True)
    event = event_row("some-event", row, market_row("n"), negRisk=True, negRiskMarketID="0x9")
    direct = market_from_gamma(row, event, 64)
    assert (direct.event_slug, direct.event_size, direct.tag_ids) == ("some-event", 2, ("1",))
    assert direct.neg_risk_market_id == "0x9"
    embedded = {**row, "events": [{key: value for key, value in event.items() if key != "markets"}]}
    by_itself = market_from_gamma(embedded, None, 64)
    assert replace(by_itself, event_size=2) == direct


def test_an_event_is_augmented_only_where_both_of_its_flags_say_so() -> None:
    row = market_row("m", negRisk=True)
    both = event_row("e", row, negRisk=True, enableNegRisk=True, negRiskAugmented=True)
    assert market_from_gamma(row, both, 64).neg_risk_augmented
    assert not market_from_gamma(row, {**both, "enableNegRisk": False}, 64).neg_risk_augmented
    assert not market_from_gamma(row, {**both, "negRiskAugmented": False}, 64).neg_risk_augmented


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"{}",
        market().to_json().replace(b'"tokens":["', b'"tokens":[1,"'),
    ],
)
def test_garbage_is_not_a_record(data: bytes) -> None:
    with pytest.raises(CatalogError, match="not a market record"):
        Market.from_json(data)


def test_keys_of_a_newer_version_are_ignored() -> None:
    row = orjson.loads(market().to_json())
    assert Market.from_json(orjson.dumps({**row, "moon": "full"})) == market()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(market_row())), json_values)
def test_whatever_a_field_holds_the_row_is_read_or_refused(name: str, value: object) -> None:
    row = {**market_row(), name: value}
    try:
        one = market_from_gamma(row, event_row("e", row), 64)
    except CatalogError:
        return
    assert Market.from_json(one.to_json()) == one


@given(st.sampled_from(sorted(event_row("e"))), json_values)
def test_whatever_an_event_holds_the_row_is_read(name: str, value: object) -> None:
    row = market_row()
    one = market_from_gamma(row, {**event_row("e", row), name: value}, 64)
    assert Market.from_json(one.to_json()) == one
