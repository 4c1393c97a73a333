"""Markets that are over for good leave nothing behind in Redis, and no others are touched."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import redis.asyncio

from marketdata.catalog import Catalog
from marketdata.clock import now_ms
from marketdata.market import Market, State
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.gamma_rows import market
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter
from worker.forgetting import UNDECIDED_KEPT_S, Forgetting

MAX_AGE_S = 3_600.0
OLD_MS = int(MAX_AGE_S * 1000) + 60_000
ALL = range(64)


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client, count=0)


@pytest.fixture
async def client(server: PrivateRedis) -> AsyncIterator[redis.asyncio.Redis]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    yield client
    await client.aclose()


class House:
    """A catalog with families, and streams of a given age."""

    def __init__(self, client: redis.asyncio.Redis, writer: StreamWriter) -> None:
        self.writer = writer
        self.written: set[str] = set()
        self.catalog = Catalog(client, writer.keys)
        self.forgetting = Forgetting(
            client, writer.keys, self.catalog, lambda: self.written, max_age_s=MAX_AGE_S
        )

    async def add(self, name: str, family: str, state: State, age_ms: int | None, **more: object) -> Market:
        """A market whose stream's last entry is so old; None: it has no stream."""
        one = replace(market(name), family=family, partition=7, state=state, **more)  # type: ignore[arg-type]
        if age_ms is not None:
            entry_id = f"{now_ms() - age_ms}-0"
            self.writer.client.xadd(self.key(one), {"kind": "top"}, id=entry_id)
            self.writer.client.xgroup_create(self.key(one), "readers", id="0")
        await self.catalog.put([one])
        return one

    def key(self, one: Market) -> str:
        return self.writer.keys.book(one.partition, one.condition_id)

    def streams(self) -> set[str]:
        return {key.decode() for key in self.writer.client.scan_iter(match="*book:*")}

    async def sweep(self, *listed: Market, owned: range = ALL) -> set[str]:
        known = await self.catalog.load()
        return await self.forgetting.sweep(known, owned=owned, listed={one.condition_id for one in listed})


@pytest.fixture
def house(client: redis.asyncio.Redis, writer: StreamWriter) -> House:
    return House(client, writer)


async def test_an_old_family_goes_with_streams_and_groups_and_the_log_says_so(house: House) -> None:
    gone = [
        await house.add("a", "event:1", "resolved", OLD_MS),
        await house.add("b", "event:1", "resolved", None),
    ]
    stays = await house.add("c", "event:2", "resolved", 60_000)
    assert await house.sweep() == {one.condition_id for one in gone}
    assert set(await house.catalog.load()) == {stays.condition_id}
    assert house.streams() == {house.key(stays)}
    log = house.writer.client.xrange(house.writer.keys.catalog_log)
    said = [(fields[b"id"].decode(), fields[b"why"]) for _, fields in log]  # type: ignore[union-attr]
    assert said[-2:] == sorted((one.condition_id, b"dropped") for one in gone)
    assert await house.sweep() == set()


async def test_a_family_of_which_one_is_young_or_trades_or_is_written_stays_whole(house: House) -> None:
    for family, state, age_ms in (("event:1", "resolved", 60_000), ("event:2", "closed", OLD_MS)):
        await house.add(f"{family} old", family, "resolved", OLD_MS)
        last = await house.add(f"{family} last", family, state, age_ms)  # type: ignore[arg-type]
    await house.add("event:3 old", "event:3", "resolved", OLD_MS)
    written = await house.add("event:3 other", "event:3", "resolved", OLD_MS)
    house.written = {house.key(written)}
    everything = house.streams()
    assert await house.sweep(last) == set()
    assert await house.sweep() == set(), "what was never decided stays for long"
    assert house.streams() == everything
    assert len(await house.catalog.load()) == 6


async def test_what_was_never_decided_goes_after_long_by_its_stream_or_else_by_its_date(house: House) -> None:
    long_ms = int(UNDECIDED_KEPT_S * 1000) + OLD_MS
    gone = [
        await house.add("a", "event:1", "closed", long_ms),
        await house.add("b", "event:2", "open", None, end_date="2020-01-01T00:00:00Z"),
    ]
    for name, date in (("c", "2099-01-01T00:00:00Z"), ("d", ""), ("e", "2020-01-01")):
        await house.add(name, f"event:{name}", "open", None, end_date=date)
    trades = await house.add("f", "event:f", "open", long_ms)
    assert await house.sweep(trades) == {one.condition_id for one in gone}
    assert len(await house.catalog.load()) == 4


async def test_other_owners_families_are_not_touched(house: House) -> None:
    await house.add("a", "event:1", "resolved", OLD_MS)
    assert await house.sweep(owned=range(8, 64)) == set()
    assert len(house.streams()) == len(await house.catalog.load()) == 1


async def test_a_key_of_another_type_is_left_where_it_is(house: House) -> None:
    one = await house.add("a", "event:1", "resolved", None)
    house.writer.client.set(house.key(one), "mine")
    assert await house.sweep() == set()
    assert house.writer.client.get(house.key(one)) == b"mine"


async def test_a_stream_that_was_written_in_between_stays(house: House) -> None:
    one = await house.add("a", "event:1", "resolved", OLD_MS)
    unlink = house.forgetting._unlink

    async def late(markets: list[Market], until_ms: int) -> set[str]:
        house.writer.client.xadd(house.key(one), {"kind": "top"})
        return await unlink(markets, until_ms)

    house.forgetting._unlink = late  # type: ignore[method-assign]
    assert await house.sweep() == set()
    assert house.streams() == {house.key(one)}
    assert set(await house.catalog.load()) == {one.condition_id}
