"""The dashboard's reader: from what Redis holds to a picture, and on after errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.exceptions import RedisError

from consumers.dashboard.reader import DashboardReader
from marketdata.redis_url import RedisSession, redis_session
from tests.redis_server import PrivateRedis
from tests.stream_writer import FIRST_MS, StreamWriter


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client, "demo:")


@pytest.fixture
async def session(server: PrivateRedis) -> AsyncIterator[RedisSession]:
    async with redis_session(server.url, client_name="test", log=print) as session:
        yield session


class Clock:
    """Unix milliseconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.ms = FIRST_MS

    def __call__(self) -> int:
        return self.ms


def speak(writer: StreamWriter, at_ms: int, updates: int, **entries: int) -> None:
    word: dict[str, Any] = {
        "worker": "w1",
        "pid": 1,
        "host": "here",
        "started_ms": FIRST_MS,
        "now_ms": at_ms,
        "state": "running",
        "counters": {"updates": updates},
        "by_market": {
            writer.markets[int(name[1:])].condition_id: {"entries": n} for name, n in entries.items()
        },
        "something_newer": {"than": "this reader"},
    }
    writer.client.set(writer.keys.worker("w1"), json.dumps(word))
    writer.client.zadd(writer.keys.workers, {"w1": at_ms})


async def test_the_newest_quotes_of_active_markets(session: RedisSession, writer: StreamWriter) -> None:
    clock = Clock()
    reader = DashboardReader(session.client, writer.keys, clock)
    first, second, _ = writer.markets
    for price in range(10, 40):
        writer.top(first, 0, bid=f"0.{price}")
    writer.top(second, 1, bid="0.2")
    speak(writer, clock.ms, 31, m0=30, m1=1)
    picture = await reader.picture(10)
    assert picture.is_live
    assert picture.markets_known == 3
    assert [row.question for row in picture.rows] == [first.question, second.question]
    assert picture.rows[0].quotes[0].bid == "0.39"
    assert not picture.rows[0].quotes[1].known

    writer.top(first, 1, bid="0.6")
    writer.gap(second, None, "stale")
    speak(writer, clock.ms + 1000, 131, m0=31, m1=2)
    clock.ms += 1000
    picture = await reader.picture(10)
    assert picture.updates_per_s == 100
    assert [quote.bid for quote in picture.rows[0].quotes] == ["0.39", "0.6"]
    assert [quote.gap for quote in picture.rows[1].quotes] == ["stale", "stale"]


async def test_a_quiet_outcome_is_found_behind_a_busy_one(
    session: RedisSession, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    writer.top(market, 1, bid="0.77")
    pipe = writer.client.pipeline(transaction=False)
    for number in range(700):
        pipe.xadd(
            writer.key(market),
            writer.entry("top", 0, number + 1).to_fields(),
            id=f"{FIRST_MS + 50 + number}-0",
        )  # type: ignore[arg-type]
    pipe.execute()
    speak(writer, FIRST_MS, 1, m0=701)
    picture = await DashboardReader(session.client, writer.keys, Clock()).picture(10)
    assert picture.rows[0].quotes[1].bid == "0.77"


async def test_no_more_markets_than_fit_and_those_that_leave_are_dropped(
    session: RedisSession, writer: StreamWriter
) -> None:
    clock = Clock()
    reader = DashboardReader(session.client, writer.keys, clock)
    for market in writer.markets:
        writer.top(market)
    speak(writer, clock.ms, 3, m0=3, m1=2, m2=1)
    assert len((await reader.picture(3)).rows) == 3
    assert len((await reader.picture(1)).rows) == 1


async def test_no_worker_and_no_catalog_is_an_empty_picture(
    session: RedisSession, writer: StreamWriter
) -> None:
    writer.client.flushall()
    picture = await DashboardReader(session.client, writer.keys, Clock()).picture(10)
    assert (picture.rows, picture.workers, picture.is_live) == ([], [], False)


async def test_it_goes_on_after_redis_was_away(
    server: PrivateRedis, session: RedisSession, writer: StreamWriter
) -> None:
    clock = Clock()
    reader = DashboardReader(session.client, writer.keys, clock)
    writer.top(writer.markets[0], bid="0.1")
    speak(writer, clock.ms, 1, m0=1)
    await reader.picture(10)
    server.kill9()
    with pytest.raises(RedisError):
        await reader.picture(10)
    server.start()
    writer.top(writer.markets[0], bid="0.2")
    assert (await reader.picture(10)).rows[0].quotes[0].bid == "0.2"
