"""What a worker tells of its connections and markets while some of them are silent or on their way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis.asyncio

from marketdata.entries import EntryId
from marketdata.keys import Keys
from marketdata.market import Market
from tests.gamma_rows import market
from tests.unit.worker.moving import House, clock_of, moving
from tests.venue_frames import MS, Row, book, item, price_change, trade
from worker import status as module
from worker.feeds import Step, TokenState
from worker.latency import Latencies
from worker.name import WorkerName
from worker.publisher import Publisher
from worker.recent import Recent
from worker.status import Status

ONE, TWO = market("one"), market("two")


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House(ONE, TWO)
    clock_of(house, monkeypatch)
    return house


def status_of(house: House) -> Status:
    publisher: Any = SimpleNamespace(latencies=Latencies(), pending=0, connected=True)
    nowhere = cast(redis.asyncio.Redis, None)
    name = WorkerName(nowhere, Keys(""), "w1", 64)
    return Status(nowhere, Keys(""), name, house.counters, cast(Publisher, publisher), Recent(), 64)


def told(house: House) -> dict[str, Any]:
    return status_of(house).record(house.shards.connections.values(), markets=2, partitions=64)


def books(one: Market, **changed: Any) -> list[Row]:
    return [book(one, outcome, **changed) for outcome in (0, 1)]


async def test_tokens_are_told_by_what_is_known_of_them(house: House) -> None:
    async with moving(house):
        await house.follow(0, ONE, TWO, books=books)
        tokens = list(house.at(0).protocol.books.tokens.values())
        states = (TokenState.LIVE, TokenState.WAITING, TokenState.UNLISTED, TokenState.QUARANTINED)
        for feed, state in zip(tokens, states, strict=True):
            feed.state = state
        tokens[1].step, tokens[3].step = Step.RESUBSCRIBE, Step.SLOW
        house.at(0).protocol.books.rescues["slow"] += 2
        record = told(house)
        (shard,) = record["connections"]
        names = ("tokens", "live", "waiting", "unlisted", "quarantined", "stale")
        assert [shard[name] for name in names] == [4, 1, 1, 1, 1, 1]
        assert shard["rescues"] == {"slow": 2}
        assert [record[f"tokens_{name}"] for name in names[1:]] == [1, 1, 1, 1, 1]
        assert record["tokens"] == 3, "what the venue has no book of is no token to be had"


async def test_what_arrived_and_what_was_lost_lately(house: House) -> None:
    async with moving(house):
        wire = await house.follow(0, ONE, books=books)
        status = status_of(house)

        def record() -> dict[str, Any]:
            return status.record(house.shards.connections.values(), markets=1, partitions=64, loading=True)

        for _ in range(3):
            status.tick()
            wire.says(trade(ONE), price_change(ONE, item(ONE, 0, "BUY", "0.4", "1", ("0.48", "0.52"), "x")))
        status.tick()
        house.at(0).protocol.frame(b"PONG", house.now_us)
        status.tick()
        assert record()["received"] == {"silent_s": 1, "seconds": 3, "busy_seconds": 3, "messages": 6}
        assert (record()["gaps_last_minute"], record()["loading"]) == (0, True)
        wire.cut()
        await house.wire("c0", life=2)
        status.tick()
        assert record()["gaps_last_minute"] == 2


async def test_a_ping_without_a_pong_is_told_from_its_beginning(house: House) -> None:
    async with moving(house):
        await house.follow(0, ONE, books=books)
        asked = []
        for _ in range(3):
            house.now_us += 16_000_000
            house.at(0).tick()
            (shard,) = told(house)["connections"]
            asked.append(shard["pong_awaited_ms"])
            if len(asked) == 2:
                house.at(0).protocol.frame(b"PONG", house.now_us)
                assert told(house)["connections"][0]["pong_awaited_ms"] == 0
        assert asked[0] == asked[1] == house.now_us // 1000 - 32_000
        assert asked[2] == house.now_us // 1000


async def test_a_market_on_its_way_is_told_of_where_it_is_written_from(house: House) -> None:
    async with moving(house):
        await house.follow(0, ONE, TWO, books=books)
        house.moves.rescue(house.at(0), ONE.condition_id, ONE.tokens[0])
        (await house.wire("c1")).says(*books(ONE))
        record = told(house)
        assert {one["name"]: one["tokens"] for one in record["connections"]} == {"c0": 4, "c1": 0}
        assert record["tokens"] == record["tokens_live"] == 4
        status = status_of(house)
        await status.look_at_markets(house.shards.feeds())
        figures = status.record([], markets=2, partitions=64)["by_market"]
        assert set(figures) == {ONE.condition_id, TWO.condition_id}


async def test_figures_of_a_market(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARKETS_AT_ONCE", 1)
    async with moving(house):
        wire = await house.follow(0, ONE, books=books)
        await house.follow(1, TWO, books=lambda one: books(one, asks=[], hash="x"))
        wire.says(trade(ONE), price_change(ONE, item(ONE, 0, "BUY", "0.4", "1", ("0.48", "0.52"), "x")))
        house.now_us += 1_000_000
        protocol = house.at(0).protocol
        protocol.books.verify([protocol.books.tokens[ONE.tokens[0]]], house.now_us)
        stream = house.feed(0, ONE).stream
        stream.entries, stream.last_id = 5, EntryId(MS, 3)
        status = status_of(house)
        await status.look_at_markets(house.shards.feeds())
        record = status.record(house.shards.connections.values(), markets=2, partitions=64)
        assert record["by_market"] == {
            ONE.condition_id: {
                "entries": 5,
                "last_ms": MS,
                "trades": 1,
                "spread": "0.04",
                "matches": 2,
                "mismatches": 1,
            },
            TWO.condition_id: {
                "entries": 0,
                "last_ms": 0,
                "trades": 0,
                "spread": "",
                "matches": 0,
                "mismatches": 0,
            },
        }


async def test_a_connection_that_came_and_went_says_how(house: House) -> None:
    async with moving(house):
        wire = await house.follow(0, ONE, books=books)
        wire.cut()
        await house.wire("c0", life=2)
        (shard,) = told(house)["connections"]
        assert (shard["opens"], shard["last_close"], shard["generation"]) == (2, "1006", 2)
        assert (shard["live"], shard["waiting"], shard["state"]) == (0, 2, "subscribed")
        assert told(house)["closes"] == {"1006": 1}
