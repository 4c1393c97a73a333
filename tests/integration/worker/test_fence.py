"""A former owner that wakes up while the next one takes over can write to no stream any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio
from redis.exceptions import ResponseError

from marketdata.keys import Keys
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.gamma_rows import market
from tests.redis_server import PrivateRedis
from worker.takeover import fence, read_tails

RAIN = market("rain")
KEY = Keys().book(RAIN.partition, RAIN.condition_id)
LIMIT_MS = 6_000


@pytest.fixture
async def client(server: PrivateRedis) -> AsyncIterator[redis.asyncio.Redis]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    await client.flushall()
    yield client
    await client.aclose()


async def last_id(client: redis.asyncio.Redis) -> Any:
    return (await client.xinfo_stream(KEY))["last-generated-id"]


async def test_every_id_up_to_the_limit_is_refused(client: redis.asyncio.Redis) -> None:
    await client.xadd(KEY, {"a": "b"}, id="1000-0")
    await fence(client, Keys(), [RAIN], LIMIT_MS)
    for late in ("1000-1", "5990-0", f"{LIMIT_MS}-99"):
        with pytest.raises(ResponseError, match="equal or smaller"):
            await client.xadd(KEY, {"a": "b"}, id=late)
    (tail,) = await read_tails(client, Keys(), [RAIN])
    assert tail.stream.last_id == (LIMIT_MS + 1, 0)
    await client.xadd(KEY, {"a": "b"}, id=f"{LIMIT_MS + 2}-0")


async def test_no_id_is_ever_lowered(client: redis.asyncio.Redis) -> None:
    await client.xadd(KEY, {"a": "b"}, id="9000-3")
    await client.xtrim(KEY, maxlen=0)
    await fence(client, Keys(), [RAIN], LIMIT_MS)
    assert await last_id(client) == b"9000-3"


async def test_real_limits_are_spelt_in_full(client: redis.asyncio.Redis) -> None:
    await client.xadd(KEY, {"a": "b"}, id="1795340006256-13")
    await fence(client, Keys(), [RAIN], 1_795_340_011_255)
    assert await last_id(client) == b"1795340011256-0"


async def test_a_stream_that_is_not_there_is_not_made(client: redis.asyncio.Redis) -> None:
    await fence(client, Keys(), [RAIN], LIMIT_MS)
    assert await client.exists(KEY) == 0


async def test_a_key_of_another_type_stops_nothing(client: redis.asyncio.Redis) -> None:
    snow = market("snow")
    await client.set(KEY, "x")
    await client.xadd(Keys().book(snow.partition, snow.condition_id), {"a": "b"}, id="1-0")
    await fence(client, Keys(), [RAIN, snow], LIMIT_MS)
    (tail,) = await read_tails(client, Keys(), [snow])
    assert tail.stream.last_id == (LIMIT_MS + 1, 0)
