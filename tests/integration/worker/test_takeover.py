"""What a new owner reads from the end of a stream, and that counters go on from there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio

from marketdata.entries import EntryId
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter
from worker import takeover
from worker.takeover import Tail, ended, handover, read_tails


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


async def tail(client: redis.asyncio.Redis, writer: StreamWriter, place: int = 0) -> Tail:
    (found,) = await read_tails(client, writer.keys, [writer.markets[place]])
    return found


async def test_nothing_is_found_where_nothing_is(client: redis.asyncio.Redis, writer: StreamWriter) -> None:
    found = await tail(client, writer)
    assert (found.stream.exists, found.stream.gen, found.stream.seq, found.last) == (False, 0, [0, 0], None)
    assert found.stream.last_id == EntryId(0, 0)
    gap = handover(found, "w2", 77)
    assert (gap.gen, gap.outcome, gap.note) == (1, None, "handover 77 w2")


@pytest.mark.parametrize("between", [0, 30, 700])
async def test_both_counters_are_found_however_far_back(
    client: redis.asyncio.Redis, writer: StreamWriter, between: int
) -> None:
    market = writer.markets[0]
    for _ in range(5):
        writer.top(market, 1)
    for _ in range(between + 1):
        last = writer.top(market, 0)
    found = await tail(client, writer)
    assert found.stream.seq == [between + 1, 5]
    assert found.stream.exists
    assert found.stream.last_id == last
    assert found.last is not None
    assert found.last.recv_us == last.ms * 1000 - 1000


async def test_where_a_token_is_not_found_its_counter_cannot_fall(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    for _ in range(9):
        writer.top(market, 1)
    writer.gap(market, None, "shutdown")
    writer.client.xtrim(writer.key(market), maxlen=1, approximate=False)
    found = await tail(client, writer)
    assert found.stream.seq == [9, 9]
    assert ended(found)


async def test_the_generation_is_above_every_one_read(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    writer.top(market, 0)
    writer.gap(market, 0)
    writer.gap(market, 1)
    found = await tail(client, writer)
    assert found.stream.gen == writer.gen
    assert not ended(found)
    assert handover(found, "w2", 77).gen == writer.gen + 1


async def test_the_last_id_counts_even_if_its_entry_is_gone(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    writer.top(market, 0)
    last = writer.top(market, 0)
    writer.client.xdel(writer.key(market), str(last))
    found = await tail(client, writer)
    assert found.stream.last_id == last


async def test_a_foreign_entry_is_passed_over(client: redis.asyncio.Redis, writer: StreamWriter) -> None:
    market = writer.markets[0]
    writer.top(market, 0)
    writer.top(market, 1)
    writer.client.xadd(writer.key(market), {"hello": "world"}, id=f"{writer.ms + 5}-0")
    found = await tail(client, writer)
    assert found.stream.seq == [1, 1]
    assert found.stream.last_id == EntryId(writer.ms + 5, 0)


async def test_a_key_of_another_type_hides_no_other_stream(
    client: redis.asyncio.Redis, writer: StreamWriter
) -> None:
    for market in writer.markets:
        writer.top(market, 0)
    writer.client.delete(writer.key(writer.markets[1]))
    writer.client.set(writer.key(writer.markets[1]), "in the way")
    tails = await read_tails(client, writer.keys, writer.markets)
    assert [found.stream.exists for found in tails] == [True, False, True]
    assert [found.stream.seq for found in tails] == [[1, 0], [0, 0], [1, 0]]


async def test_many_streams_are_read_in_their_order(
    client: redis.asyncio.Redis, server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "STREAMS_A_ROUND", 5)
    with server.client() as blocking:
        blocking.flushall()
        writer = StreamWriter(blocking, count=12)
        for number, market in enumerate(writer.markets):
            for _ in range(number):
                writer.top(market, 0)
        tails = await read_tails(client, writer.keys, writer.markets)
    assert [found.stream.seq[0] for found in tails] == list(range(12))
