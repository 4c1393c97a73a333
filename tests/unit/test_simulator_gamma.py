"""Market records of recordings in Gamma's shape, and the queries over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from marketdata.errors import CaptureError, VenueFormatError
from marketdata.market import market_from_gamma
from marketdata.venue import padded_condition_id
from simulator.captured.capture import load_capture
from simulator.captured.feed import CapturedFeed
from simulator.captured.records import invented_token
from simulator.venue import gamma
from simulator.venue.rest import clob_market

DATA = Path(__file__).parents[1] / "data"
CAPTURED = DATA / "captures" / "ws_captured"


def feed_of(*names: str) -> CapturedFeed:
    return CapturedFeed([load_capture(CAPTURED / name) for name in names], speed=1, loop=False)


def markets_of(*names: str) -> dict[str, Any]:
    return {
        padded_condition_id(row["conditionId"]): row for row in gamma.all_markets(feed_of(*names).events())
    }


def constructed() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for path in sorted((DATA / "gamma_constructed").glob("*.json")):
        events += orjson.loads(path.read_bytes())
    return events


def test_record_has_the_fields_and_types_of_a_real_one() -> None:
    real = orjson.loads((DATA / "gamma" / "market_btc_updown_5m_march_2026.json").read_bytes())
    for row in markets_of("frames_20260930.jsonl", "protocol_v2_session_20261005.jsonl").values():
        for key, value in row.items():
            number = isinstance(value, (int, float)) and isinstance(real.get(key), (int, float))
            assert key not in real or number or type(value) is type(real[key]), key


def test_both_tokens_come_from_the_frames() -> None:
    (row,) = markets_of("frames_20260930.jsonl").values()
    assert orjson.loads(row["clobTokenIds"]) == [
        "58726851105893121441976415044785550794620582864839872973127370351200548678811",
        "40113202025193181740822500498877260546965498642740503547096491847887927548587",
    ]
    assert orjson.loads(row["outcomes"]) == ["Yes", "No"]
    assert (row["enableOrderBook"], row["acceptingOrders"], row["active"], row["closed"]) == (
        *(True, True, True),
        False,
    )


def test_missing_second_token_is_invented_and_stays_the_same() -> None:
    (row,) = markets_of("dec2024_legacy_changes_stream.jsonl").values()
    (again,) = markets_of("dec2024_legacy_changes_stream.jsonl").values()
    tokens = orjson.loads(row["clobTokenIds"])
    assert tokens == orjson.loads(again["clobTokenIds"])
    assert tokens[1] == invented_token(row["conditionId"], 1)
    assert len(tokens[1]) == 77
    assert tokens[1].isdigit()


def test_protocol_v2_market_is_shown_as_gamma_does() -> None:
    rows = markets_of("protocol_v2_session_20261005.jsonl")
    row = rows["0x017791f201d5a788e0039e511fc1900e5f000000000000000000000000000000"]
    assert row["version"] == "v2"
    assert len(row["conditionId"]) == 2 + 62
    assert row["positionIds"][0].startswith("66357492701247683297")
    assert "clobTokenIds" not in row


def test_announced_market_has_its_real_fields() -> None:
    rows = markets_of("protocol_v2_session_20261005.jsonl")
    row = rows["0xab449b45ddb6c2682ec7e931dfb18705cf611cddf42ae35aa300c79453913dca"]
    assert row["question"] == "Will North Carolina enact a data center moratorium by December 31, 2026?"
    assert row["groupItemTitle"] == "December 31, 2026"
    assert row["feeSchedule"] == {"exponent": 1, "rate": 0.04, "takerOnly": True, "rebateRate": 0.25}
    assert (row["feesEnabled"], row["takerBaseFee"], row["orderPriceMinTickSize"]) == (True, 1000, 0.01)
    (event,) = row["events"]
    assert (event["id"], event["slug"]) == ("1139944", "north-carolina-enacts-data-center-moratorium-by")


def test_price_market_ends_when_its_texts_say_it_settles(tmp_path: Path) -> None:
    rules = "The Binance 1 minute candle for BTC/USDT 12:00 in the ET timezone (noon), its final Close price."
    told = {
        "event_type": "new_market",
        "id": "1",
        "market": "0x" + "ab" * 32,
        "question": "Will the price of Bitcoin be above $64,000 on November 30?",
        "slug": "bitcoin-above-64k-on-november-30-2026",
        "description": rules,
        "assets_ids": ["1", "2"],
        "outcomes": ["Yes", "No"],
        "event_message": {
            "id": "7",
            "slug": "bitcoin-above-on-november-30-2026",
            "title": "Bitcoin above ___ on November 30?",
            "description": rules,
        },
        "group_item_title": "64,000",
    }
    path = tmp_path / "told.jsonl"
    path.write_bytes(orjson.dumps(told))
    (event,) = CapturedFeed([load_capture(path)], speed=1, loop=False).events()
    market = market_from_gamma(event["markets"][0], event, 64)
    # Noon in New York, in winter.
    assert event["endDate"] == event["markets"][0]["endDate"] == "2026-11-30T17:00:00Z"
    assert (market.lower, market.left_out) == ("64000", "")


def test_catalog_takes_every_record() -> None:
    for path in sorted((DATA / "captures").glob("*/*")):
        for event in CapturedFeed([load_capture(path)], speed=1, loop=False).events():
            for row in event["markets"]:
                market = market_from_gamma(row, event, 64)
                assert market.condition_id == padded_condition_id(row["conditionId"])


def test_two_recordings_that_disagree_on_tokens_are_refused(tmp_path: Path) -> None:
    captures = []
    for name, token_id in (("a", "1"), ("b", "2"), ("c", "3")):
        path = tmp_path / name
        path.write_text(
            f'{{"event_type":"last_trade_price","market":"m","asset_id":"{token_id}","price":"0.5"}}'
        )
        captures.append(load_capture(path))
    with pytest.raises(CaptureError, match="other tokens"):
        CapturedFeed(captures, speed=1, loop=False)


def test_clob_form_of_a_market() -> None:
    real = orjson.loads((DATA / "clob" / "market_closed_2026.json").read_bytes())
    for row in markets_of("frames_20260930.jsonl", "protocol_v2_session_20261005.jsonl").values():
        ours = clob_market(row)
        assert set(ours) <= set(real)
        assert set(ours["tokens"][0]) == set(real["tokens"][0])


@pytest.mark.parametrize("kind", ["events", "markets"])
def test_keyset_pages_cover_everything_once(kind: str) -> None:
    events = constructed()
    keyset = {"events": gamma.events_keyset, "markets": gamma.markets_keyset}[kind]
    everything = events if kind == "events" else gamma.all_markets(events)
    seen: list[str] = []
    query = [("limit", "1" if kind == "events" else "5")]
    page: dict[str, Any] = {"next_cursor": None}
    while "next_cursor" in page:
        page = keyset(events, [*query, *([("after_cursor", page["next_cursor"])] if seen else [])])
        seen += [row["id"] for row in page[kind]]
    assert seen == [row["id"] for row in everything]


def test_parameter_named_cursor_is_ignored() -> None:
    first = gamma.markets_keyset(constructed(), [("limit", "2")])
    again = gamma.markets_keyset(constructed(), [("limit", "2"), ("cursor", first["next_cursor"])])
    assert again == first


def test_filters_and_order() -> None:
    events = constructed()
    closed = gamma.markets_page(events, [("closed", "true")])
    assert [row["slug"] for row in closed] == ["bitcoin-above-74k-on-september-30-2026"]
    assert len(gamma.markets_page(events, [("closed", "false"), ("limit", "500")])) == 21
    slug = events[1]["slug"]
    assert [row["slug"] for row in gamma.events_page(events, [("slug", slug)])] == [slug]
    tag = events[0]["tags"][0]["id"]
    assert events[0]["id"] in [row["id"] for row in gamma.events_page(events, [("tag_id", tag)])]
    assert gamma.events_page(events, [("tag_id", "no such tag")]) == []
    volumes = [
        row["volume24hr"]
        for row in gamma.events_page(events, [("order", "volume24hr"), ("ascending", "false")])
    ]
    assert volumes == sorted(volumes, reverse=True)
    wanted = [events[0]["markets"][3]["conditionId"], events[1]["markets"][0]["conditionId"]]
    found = gamma.markets_page(events, [("condition_ids", wanted[1]), ("condition_ids", wanted[0])])
    assert {row["conditionId"] for row in found} == set(wanted)
    assert len(gamma.markets_page(events, [("offset", "20")])) == 2


@pytest.mark.parametrize(
    "query",
    [
        [("limit", "many")],
        [("offset", "-1")],
        [("limit", "9" * 5_000)],
        [("closed", "perhaps")],
        [("order", "markets")],
    ],
)
def test_parameters_that_cannot_be_read_are_refused(query: list[tuple[str, str]]) -> None:
    with pytest.raises(VenueFormatError):
        gamma.events_page(constructed(), query)


@pytest.mark.parametrize(
    "query", [[("offset", "5")], [("after_cursor", "?")], [("after_cursor", "YWZ0ZXI6eA==")]]
)
def test_keyset_refuses_offsets_and_strange_cursors(query: list[tuple[str, str]]) -> None:
    with pytest.raises(VenueFormatError):
        gamma.events_keyset(constructed(), query)
