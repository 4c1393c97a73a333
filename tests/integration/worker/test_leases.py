"""Leases against a real server: one holder at a time, a rising epoch, a limit that never falls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.redis_server import PrivateRedis

PARTITIONS = range(8)


@pytest.fixture
async def client(server: PrivateRedis) -> AsyncIterator[redis.asyncio.Redis]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    await client.flushall()
    yield client
    await client.aclose()


def leases(client: redis.asyncio.Redis, owner: str, ttl_ms: int = 60_000, group: str | None = None) -> Leases:
    return Leases(client, Keys(), owner, ttl_ms, group)


async def take(one: Leases, limit_ms: int = 1000, *, respect_expired: bool = False) -> list[bool]:
    taken = await one.take(PARTITIONS, id_limit_ms=limit_ms, respect_expired=respect_expired)
    return [lease.held for lease in taken]


async def expire(client: redis.asyncio.Redis) -> None:
    for partition in PARTITIONS:
        await client.hset(Keys().lease(partition), "expires_ms", "1")


async def test_of_many_takers_each_partition_has_one(client: redis.asyncio.Redis) -> None:
    takers = [leases(client, f"w{number}") for number in range(10)]
    answers = await asyncio.gather(*(take(taker) for taker in takers))
    assert [sum(held) for held in zip(*answers, strict=True)] == [1] * len(PARTITIONS)


async def test_whoever_comes_later_hears_who_holds_it(client: redis.asyncio.Redis) -> None:
    assert all(await take(leases(client, "w1"), 1000))
    (lease, *_) = await leases(client, "w2").take(PARTITIONS, id_limit_ms=9, respect_expired=False)
    assert (lease.held, lease.owner, lease.epoch, lease.old_limit_ms) == (False, "w1", 1, 1000)
    assert 0 < lease.left_ms <= 60_000


async def test_a_lease_that_ran_out_passes_on_with_epoch_and_limit(client: redis.asyncio.Redis) -> None:
    first, second = leases(client, "w1"), leases(client, "w2")
    await take(first, 5000)
    await expire(client)
    assert not any(await take(second, 1000, respect_expired=True))
    (lease, *_) = await second.take(PARTITIONS, id_limit_ms=1000, respect_expired=False)
    assert (lease.held, lease.epoch, lease.old_limit_ms) == (True, 2, 5000)
    # The new owner's limit was below the old one's: whoever comes next must hear the higher.
    (again, *_) = await second.take(PARTITIONS, id_limit_ms=1000, respect_expired=False)
    assert again.old_limit_ms == 5000
    assert await first.renew(PARTITIONS, id_limit_ms=9000) == (list(PARTITIONS), [])
    assert await second.renew(PARTITIONS, id_limit_ms=9000) == ([], [])


async def test_an_owner_renews_after_its_time_if_nobody_came(client: redis.asyncio.Redis) -> None:
    one = leases(client, "w1")
    await take(one)
    await expire(client)
    assert await one.renew(PARTITIONS, id_limit_ms=2000) == ([], [])
    assert not any(await take(leases(client, "w2")))


async def test_of_two_renewals_at_once_the_higher_limit_stands(client: redis.asyncio.Redis) -> None:
    one = leases(client, "w1")
    await take(one, 1000)
    await one.renew(PARTITIONS, id_limit_ms=3000)
    await one.renew(PARTITIONS, id_limit_ms=2000)
    assert await client.hget(Keys().lease(3), "id_limit_ms") == b"3000"


async def test_the_same_name_has_its_leases_back_at_once(client: redis.asyncio.Redis) -> None:
    before, after = leases(client, "w1"), leases(client, "w1")
    await take(before)
    assert all(await take(after, respect_expired=True))
    assert after.epochs[0] == 2
    assert await before.renew(PARTITIONS, id_limit_ms=2000) == (list(PARTITIONS), [])


async def test_released_leases_are_free_and_keep_the_epoch(client: redis.asyncio.Redis) -> None:
    one, other = leases(client, "w1"), leases(client, "w2")
    await take(one, 8000)
    await one.release(PARTITIONS, last_ms=4000)
    assert await one.owners(PARTITIONS) == {}
    (lease, *_) = await other.take(PARTITIONS, id_limit_ms=1, respect_expired=True)
    assert (lease.held, lease.epoch, lease.old_limit_ms) == (True, 2, 4000)
    await one.release(PARTITIONS, last_ms=0)
    assert (await other.owners(PARTITIONS))[0] == "w2"


async def test_forgotten_leases_are_told_and_taken_with_a_higher_epoch(client: redis.asyncio.Redis) -> None:
    one = leases(client, "w1")
    await take(one)
    await client.flushall()
    assert await one.renew(PARTITIONS, id_limit_ms=2000) == ([], list(PARTITIONS))
    assert all(await take(one))
    assert one.epochs[0] == 2


async def test_a_group_and_the_writer_do_not_meet(client: redis.asyncio.Redis) -> None:
    assert all(await take(leases(client, "w1")))
    assert all(await take(leases(client, "m1", group="g")))
    assert not any(await take(leases(client, "m2", group="g")))
