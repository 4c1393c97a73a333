"""Redis forgets all leases (FLUSHALL) while their owner lives: no other worker may write beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import pytest
import redis.asyncio

from marketdata.backoff import Backoff
from marketdata.clock import now_ms
from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from worker.counters import Counters
from worker.ids import IdClock
from worker.ownership import Ownership
from worker.publisher import Publisher

PARTITIONS = 4
TTL_MS = 400


@pytest.fixture
async def client(server: PrivateRedis) -> AsyncIterator[redis.asyncio.Redis]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    await client.flushall()
    yield client
    await client.aclose()


def worker(client: redis.asyncio.Redis, name: str) -> Ownership:
    ids = IdClock()
    publisher = Publisher(
        keys=Keys(),
        worker_id=name,
        new_connection=client.connection_pool.make_connection,
        max_pending=1,
        counters=Counters(),
        ids=ids,
        backoff=Backoff(1.0, 30.0, Random(1)),
    )
    return Ownership(
        client=client,
        leases=Leases(client, Keys(), name, TTL_MS),
        partitions=PARTITIONS,
        publisher=publisher,
        ids=ids,
        on_lost=lambda partitions: None,
    )


@pytest.fixture
def old_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has been up for long: its youth alone protects nobody's lease."""

    async def never(_: Ownership) -> bool:
        return False

    monkeypatch.setattr(Ownership, "_just_back", never)


@pytest.mark.usefixtures("old_server")
async def test_the_owner_has_its_leases_back_before_the_one_that_stands_by(
    client: redis.asyncio.Redis,
) -> None:
    first, second = worker(client, "w1"), worker(client, "w2")
    await first.take_free()
    assert not (await second.take_free()).partitions
    await client.flushall()
    assert not (await second.take_free()).partitions
    assert set(second.owners.values()) == {"w1"}
    await first.renew()
    assert len(first.owned) == PARTITIONS
    assert not (await second.take_free()).partitions
    assert set(second.owners.values()) == {"w1"}


@pytest.mark.usefixtures("old_server")
async def test_an_owner_that_does_not_come_back_is_followed_after_the_life_of_a_lease(
    client: redis.asyncio.Redis,
) -> None:
    first, second = worker(client, "w1"), worker(client, "w2")
    await first.take_free()
    await second.take_free()
    await client.flushall()
    before_ms = now_ms()

    async def taken() -> bool:
        return bool((await second.take_free()).partitions)

    await until(taken, "the leases are taken")
    assert now_ms() - before_ms >= TTL_MS
    assert len(second.owned) == PARTITIONS


@pytest.mark.usefixtures("old_server")
async def test_leases_that_never_were_are_taken_at_once(client: redis.asyncio.Redis) -> None:
    assert len((await worker(client, "w1").take_free()).partitions) == PARTITIONS
