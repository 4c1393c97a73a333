"""The worker's own discovery finds the synthetic world's markets, families and endings over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from marketdata.market import Market
from simulator.feed import Audience
from simulator.synthetic.listing import Listing, Resolved
from simulator.synthetic.world import SyntheticWorld
from simulator.venue.server import VenueServer
from tests.world_books import START_MS, catalog, no_trades
from worker.discovery.found import Resolution
from worker.discovery.gamma import GammaDiscovery
from worker.discovery.selection import Filters


class Listed:
    """A feed of the world's rows; nobody trades."""

    def __init__(self, world: SyntheticWorld) -> None:
        self._world = world

    def events(self) -> Sequence[Mapping[str, Any]]:
        return self._world.events(no_trades)

    def market_of(self, token_id: str) -> str | None:
        return next((one.condition_id for one in self._world.listings() if token_id in one.tokens), None)

    def socket_book(self, token_id: str) -> bytes | None:
        return None

    def rest_book(self, token_id: str) -> bytes | None:
        return None

    def status(self) -> Mapping[str, object]:
        return {"state": "waiting"}

    async def play(self, audience: Audience) -> None:
        return


@dataclass
class Venue:
    world: SyntheticWorld
    url: str
    http: aiohttp.ClientSession

    def discovery(self, **filters: frozenset[str]) -> GammaDiscovery:
        return GammaDiscovery(self.http, self.url, partitions=64, filters=Filters(**filters))

    def listing(self, slug: str) -> Listing:
        return next(listing for listing in self.world.listings() if listing.slug.startswith(slug))


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    world = SyntheticWorld(21, START_MS, markets=900, updown_period_s=60)
    server = VenueServer(Listed(world))
    async with server.listening("127.0.0.1", 0) as url, aiohttp.ClientSession() as http:
        yield Venue(world, url, http)


def by_id(markets: Sequence[Market]) -> dict[str, Market]:
    return {market.condition_id: market for market in markets}


async def test_all_markets_are_found_and_none_is_refused(venue: Venue) -> None:
    found = await venue.discovery().fetch()
    assert found.complete
    assert found.refused == []
    assert by_id(found.markets) == by_id(catalog(venue.world))
    assert all(market.tradable for market in found.markets)


async def test_one_market_of_a_family_brings_the_whole_of_it(venue: Venue) -> None:
    strike = venue.listing("bitcoin-above-")
    found = await venue.discovery(condition_ids=frozenset((strike.condition_id,))).fetch()
    assert len(found.markets) == 22
    assert len({market.family for market in found.markets}) == 1


async def test_markets_of_protocol_v2_are_found_by_their_padded_id(venue: Venue) -> None:
    one = next(listing for listing in venue.world.listings() if listing.version == "v2")
    found = await venue.discovery(condition_ids=frozenset((one.condition_id,))).fetch()
    assert by_id(found.markets)[one.condition_id].tokens == one.tokens


async def test_a_tag_selects_its_events(venue: Venue) -> None:
    found = await venue.discovery(tag_ids=frozenset(("21",))).fetch()
    assert {market.fees.rate for market in found.markets if market.fees} == {"0.07"}
    assert {"threshold", "range", "event"} == {market.family_kind for market in found.markets}


async def test_what_is_over_is_answered_with_its_winner(venue: Venue) -> None:
    before = await venue.discovery().fetch()
    ended = {
        event.condition_id: Resolution("resolved", event.winner)
        for event in venue.world.advance(START_MS + 10 * 60_000)
        if isinstance(event, Resolved)
    }
    asked = [market.condition_id for market in before.markets]
    resolutions = await venue.discovery().resolutions(asked)
    assert resolutions.refused == []
    assert resolutions.over == {one: ended[one] for one in asked if one in ended}
    assert len(resolutions.over) > 10
    open_now = await venue.discovery().fetch()
    tradable = {market.condition_id for market in open_now.markets if market.tradable}
    assert tradable == {listing.condition_id for listing in venue.world.listings()}


async def test_fee_and_tick_are_answered_by_token(venue: Venue) -> None:
    listing = venue.listing("bitcoin-above-")
    async with venue.http.get(f"{venue.url}/fee-rate", params={"token_id": listing.tokens[1]}) as answer:
        assert await answer.json() == {"base_fee": 1000}
    async with venue.http.get(f"{venue.url}/markets/{listing.condition_id}") as answer:
        row = await answer.json()
    assert [token["token_id"] for token in row["tokens"]] == list(listing.tokens)
    assert (row["minimum_tick_size"], row["minimum_order_size"]) == (0.001, 5)
