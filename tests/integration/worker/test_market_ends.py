"""Markets that stop trading and are resolved hours later, as the venue's catalog tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from marketdata.market import Market
from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.rig import Streams, causes, until, verified, worker_settings, working
from tests.redis_server import PrivateRedis


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with open_venue(2) as venue:
        yield venue


def say(catalog: Path, condition_id: str, **news: Any) -> None:
    """Changes one market's row in the file that the worker reads."""
    events = orjson.loads(catalog.read_bytes())
    for event in events:
        for row in event["markets"]:
            if row["conditionId"] == condition_id:
                row |= news
    new = catalog.with_suffix(".new")
    new.write_bytes(orjson.dumps(events))
    new.replace(catalog)


async def test_a_resolution_that_comes_after_the_end_of_trading_is_written_once(
    server: PrivateRedis, venue: FakeVenue, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog.json"
    with server.client() as client:
        client.flushall()
        streams = Streams(client)
        settings = worker_settings(
            server.url,
            worker_id="w1",
            venue_ws_url=venue.ws_url,
            clob_url=venue.url,
            catalog=venue.write_catalog(catalog),
            catalog_refresh_s=1,
        )

        def record(condition_id: str) -> Market:
            stored = client.hget(streams.keys.catalog, condition_id)
            assert stored is not None
            return Market.from_json(stored)

        def kinds() -> list[str]:
            return [row.entry.kind for row in streams.by_market()[over]]

        async with working(settings):
            await until(lambda: len(streams.by_market()) == 2, "both markets are followed")
            over, other = sorted(streams.by_market())
            await until(lambda: "top" in kinds(), "its books are live")

            say(catalog, over, closed=True, acceptingOrders=False)
            await until(lambda: kinds()[-1] == "gap", "the end of trading is marked", 15)
            assert causes(streams.by_market()[over])[-1] == "shutdown"
            assert record(over).state == "closed"

            ended = {"outcomePrices": '["0", "1"]', "umaResolutionStatus": "resolved"}
            say(catalog, over, **ended)
            await until(lambda: kinds()[-1] == "resolved", "the resolution is written", 15)
            await until(lambda: record(over).state == "resolved", "the catalog says so", 15)
            assert record(over).winner == 1
            assert streams.by_market()[over][-1].entry.note == "1"

            say(catalog, other, volume24hr=4711.0)
            await until(lambda: record(other).volume_24h == 4711.0, "the catalog was read once more", 15)

        assert kinds()[-1] == "resolved", "nothing follows a resolution"
        assert kinds().count("resolved") == 1
        await verified(server.url, "")
