"""Nothing follows a resolution, however long the venue's catalog goes on listing the market."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any, cast

import pytest
import redis.asyncio

from marketdata.backoff import Backoff
from marketdata.clock import now_us
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter
from worker.connection import Connection
from worker.counters import Counters
from worker.feeds import MarketFeed, TokenFeed
from worker.following import Following
from worker.ids import IdClock
from worker.moves import Moves
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionProtocol
from worker.publisher import Publisher
from worker.shards import Shards


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client)


@pytest.fixture
async def client(server: PrivateRedis) -> AsyncIterator[redis.asyncio.Redis]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    yield client
    await client.aclose()


class Shell:
    """A connection to nowhere."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.protocol = ConnectionProtocol("w1", ProtocolPolicy(), Counters())

    async def run(self) -> None:
        await asyncio.Event().wait()

    def flush(self) -> None:
        self.protocol.updates.clear()


def following(client: redis.asyncio.Redis, writer: StreamWriter) -> Following:
    ids, counters = IdClock(), Counters()
    publisher = Publisher(
        keys=writer.keys,
        worker_id="w1",
        new_connection=client.connection_pool.make_connection,
        max_pending=100,
        counters=counters,
        ids=ids,
        backoff=Backoff(1.0, 30.0, Random(1)),
    )
    publisher.limits.update(dict.fromkeys(range(64), 10**15))
    shards = Shards(lambda name: cast(Connection, cast(Any, Shell(name))))
    moves = Moves(
        shards=shards,
        counters=counters,
        tokens_per_connection=50,
        max_connections=40,
        max_age_s=0,
        market_of=lambda condition_id: None,
    )
    return Following(
        client=client,
        keys=writer.keys,
        worker_id="w1",
        publisher=publisher,
        ids=ids,
        counters=counters,
        tokens_per_connection=50,
        shards=shards,
        moves=moves,
    )


async def test_a_stream_that_ends_with_a_resolution_is_not_begun_again(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    over, goes_on = writer.markets[:2]
    for market in (over, goes_on):
        writer.top(market, 0)
    writer.add(over, writer.entry("resolved", None, 1, note="1"))
    followed = following(client, writer)
    await followed.follow([over, goes_on])
    assert followed.condition_ids == set(followed.streams) == {goes_on.condition_id}
    await followed.shut_down()


async def test_a_market_that_was_resolved_just_now_is_not_followed_again(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    over, goes_on = writer.markets[:2]
    followed = following(client, writer)
    await followed.follow([over, goes_on])
    found = followed._shards.feed(over.condition_id)
    assert found is not None
    found[0].protocol.books.resolve(found[1], "1", None, now_us())
    await followed.drop(over.condition_id)
    await followed.follow([over, goes_on])
    assert followed.condition_ids == set(followed.streams) == {goes_on.condition_id}
    await followed.shut_down()


async def test_a_stream_taken_over_whose_market_is_followed_no_more_is_closed(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    gone, goes_on = writer.markets[:2]
    for market in (gone, goes_on):
        writer.top(market, 0)
    followed = following(client, writer)
    await followed.take_over([gone, goes_on], 0)
    assert set(followed.streams) == {gone.condition_id, goes_on.condition_id}
    await followed.follow([goes_on])
    assert followed.condition_ids == set(followed.streams) == {goes_on.condition_id}
    assert told(followed, gone.condition_id) == ["handover", "shutdown"]
    await followed.shut_down()


async def test_a_stream_taken_over_whose_market_is_over_gets_its_last_entry(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    over, goes_on = writer.markets[:2]
    writer.top(over, 0)
    followed = following(client, writer)
    await followed.take_over([over], 0)
    await followed.finish(over, "split")
    await followed.follow([over, goes_on])
    assert told(followed, over.condition_id) == ["handover", "split"]
    assert followed.condition_ids == set(followed.streams) == {goes_on.condition_id}
    await followed.shut_down()


def told(followed: Following, condition_id: str) -> list[str]:
    """What waits to be written of a market: causes of gaps, and notes."""
    waiting = followed._publisher._outbox._pending._queue
    return [one.note.split()[0] for one in waiting if one.stream.condition_id == condition_id]


async def test_what_is_known_of_a_market_goes_with_it_and_waits_for_no_collector(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    over, goes_on = writer.markets[:2]
    followed = following(client, writer)
    await followed.follow([over, goes_on])
    gc.disable()
    try:
        before = feeds_alive()
        await followed.drop(over.condition_id)
        assert before - feeds_alive() == 3, "a market and its two tokens"
    finally:
        gc.enable()
    await followed.shut_down()


def feeds_alive() -> int:
    # By type: isinstance would ask weak proxies of others, whose objects may be gone.
    return sum(type(one) in (MarketFeed, TokenFeed) for one in gc.get_objects())
