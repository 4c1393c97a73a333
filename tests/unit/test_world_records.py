"""The synthetic world in Gamma's rows and in the socket's announcements."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import orjson
import pytest

from marketdata.decimals import to_micros
from marketdata.market import FeeSchedule, Market, market_from_gamma
from simulator.synthetic.listing import Listed, Resolved, Shown
from simulator.synthetic.world import SyntheticWorld
from tests.world_books import START_MS, catalog, no_trades
from worker.messages import MarketResolved, NewMarket, parse_frame


@pytest.fixture(scope="module")
def world() -> SyntheticWorld:
    return SyntheticWorld(11, START_MS, markets=1_000)


@pytest.fixture(scope="module")
def markets(world: SyntheticWorld) -> list[Market]:
    return catalog(world)


def test_every_row_is_a_market_of_the_catalog(world: SyntheticWorld, markets: list[Market]) -> None:
    listings = {listing.condition_id: listing for listing in world.listings()}
    assert listings.keys() == {market.condition_id for market in markets}
    for market in markets:
        listing = listings[market.condition_id]
        assert market.tradable
        assert (market.tokens, market.outcomes, market.version) == (
            listing.tokens,
            listing.outcomes,
            listing.version,
        )
        assert to_micros(market.min_order_size) == listing.min_order_size_micros
        assert (market.event_id, market.event_slug) == (listing.event_id, listing.event_slug)
        assert market.neg_risk is listing.neg_risk
        assert market.volume_24h == pytest.approx(10_000_000 * listing.weight, abs=0.01)
        if market.fees is None:
            assert (listing.fee_rate, market.fees_enabled) == ("0", False)
        else:
            assert market.fees == FeeSchedule(listing.fee_rate, listing.fee_exponent, True)


def test_ladder_and_range_of_one_noon_are_one_family(markets: list[Market]) -> None:
    families = {market.family for market in markets if market.family_kind == "threshold"}
    assert len(families) >= 6
    for family in families:
        bound = [market for market in markets if market.family == family]
        assert [market.left_out for market in bound] == [""] * 22
        assert len({market.event_id for market in bound}) == 2
        assert len({market.partition for market in bound}) == 1
        assert {market.settlement_time for market in bound} == {bound[0].end_date}
        symbol = {"Bitcoin": "BTC", "Ethereum": "ETH", "Solana": "SOL"}[bound[0].asset]
        assert bound[0].settlement_source == f"Binance {symbol}/USDT"
        buckets = sorted((m for m in bound if m.family_kind == "range"), key=lambda m: int(m.lower or 0))
        assert [m.lower for m in buckets[1:]] == [m.upper for m in buckets[:-1]]
        assert (buckets[0].lower, buckets[-1].upper) == ("", "")
        assert all(m.neg_risk for m in buckets)
        assert not any(m.neg_risk for m in bound if m.family_kind == "threshold")


def test_most_ladders_line_up_with_their_ranges_and_some_do_not(markets: list[Market]) -> None:
    shared = {}
    for market in markets:
        if market.family_kind == "range" and market.lower:
            bounds = shared.setdefault(market.family, [set(), set()])
            bounds[0].add(Fraction(market.lower))
    for market in markets:
        if market.family_kind == "threshold":
            shared[market.family][1].add(Fraction(market.lower))
    common = [len(bounds & strikes) for bounds, strikes in shared.values()]
    assert set(common) == {0, 10}
    assert common.count(10) > common.count(0)


def test_only_the_augmented_event_is_left_out(markets: list[Market]) -> None:
    augmented = [market for market in markets if market.neg_risk_augmented]
    assert len(augmented) == 7
    assert len({market.event_id for market in augmented}) == 1
    assert [m.group_item_title for m in augmented if m.neg_risk_other] == ["Other"]
    assert {m.condition_id for m in augmented} == {m.condition_id for m in markets if m.left_out}
    sizes = {m.event_id: m.event_size for m in markets if m.neg_risk and m.family_kind == "neg-risk"}
    assert min(sizes.values()) == 3
    assert max(sizes.values()) > 20


def test_rows_follow_the_books(world: SyntheticWorld) -> None:
    rows = world.events(lambda _id: Shown(480_000, 500_000, 490_000, 10_000))
    row = rows[0]["markets"][0]
    assert row["outcomePrices"] == '["0.49", "0.51"]'
    assert (row["bestBid"], row["bestAsk"], row["spread"], row["lastTradePrice"]) == (0.48, 0.5, 0.02, 0.49)
    assert row["orderPriceMinTickSize"] == 0.01
    empty = world.events(no_trades)[0]["markets"][0]
    assert (empty["bestBid"], empty["bestAsk"], empty["outcomePrices"]) == (0.0, 1.0, '["0.5", "0.5"]')


def test_rows_have_the_venues_odd_forms(world: SyntheticWorld) -> None:
    versions = set()
    for event in world.events(no_trades):
        orjson.dumps(event)
        assert datetime.fromisoformat(event["endDate"]).tzinfo is not None
        for row in event["markets"]:
            versions.add(row["version"])
            assert isinstance(row["outcomes"], str)
            assert isinstance(row["groupItemThreshold"], str)
            if row["version"] == "v2":
                assert len(row["conditionId"]) == 64
                assert isinstance(row["positionIds"], list)
                assert "clobTokenIds" not in row
            else:
                assert len(row["conditionId"]) == 66
                assert isinstance(row["clobTokenIds"], str)
    assert versions == {"v1", "v2"}


def test_listed_and_resolved_markets_are_announced_as_the_venue_does() -> None:
    world = SyntheticWorld(2, START_MS, updown_period_s=60)
    announced = resolved = 0
    for now in range(START_MS, START_MS + 10 * 60_000, 1000):
        for event in world.advance(now):
            if isinstance(event, Listed):
                message = world.new_market(event.listing.condition_id, now)
                assert message["assets_ids"] == message["clob_token_ids"] == list(event.listing.tokens)
                assert message["market"] == message["condition_id"] == event.listing.condition_id
                assert message["event_message"]["slug"] == event.listing.event_slug
                [read] = parse_frame(orjson.dumps(message))
                assert isinstance(read, NewMarket)
                announced += 1
            if isinstance(event, Resolved):
                message = world.market_resolved(event.condition_id, now)
                assert message["winning_asset_id"] == message["assets_ids"][event.winner]
                [read] = parse_frame(orjson.dumps(message))
                assert isinstance(read, MarketResolved)
                row, gamma_event = row_of(world, event.condition_id)
                market = market_from_gamma(row, gamma_event, 64)
                assert (market.state, market.winner) == ("resolved", event.winner)
                resolved += 1
    assert announced > 20
    assert resolved > 20


def test_an_open_market_has_no_announcement_of_its_end() -> None:
    world = SyntheticWorld(2, START_MS)
    with pytest.raises(ValueError, match="is still open"):
        world.market_resolved(world.listings()[0].condition_id, START_MS)


def row_of(world: SyntheticWorld, condition_id: str) -> tuple[dict[str, object], dict[str, object]]:
    for event in world.events(no_trades):
        for row in event["markets"]:
            if condition_id.startswith(row["conditionId"]):
                return row, event
    raise KeyError(condition_id)
