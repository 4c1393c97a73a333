"""Trimming against a real server: what grows is cut, what still stands is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import redis.asyncio

from marketdata.clock import now_ms
from marketdata.entries import Entry, Kind, gap_note
from marketdata.keys import Keys
from marketdata.redis_client import open_redis
from marketdata.redis_target import RedisTarget
from tests.gamma_rows import market
from tests.redis_server import PrivateRedis
from worker.retention import Retention
from worker.takeover import read_tails

DAY_MS = 86_400_000
QUIET = market("quiet")
KEY = Keys().book(QUIET.partition, QUIET.condition_id)


@pytest.fixture
async def client(server: PrivateRedis) -> AsyncIterator[redis.asyncio.Redis]:
    client = open_redis(RedisTarget.parse(server.url), client_name="test")
    await client.flushall()
    yield client
    await client.aclose()


async def write(client: redis.asyncio.Redis, entries: int, at_ms: int, *, seq: int = 0, gen: int = 3) -> None:
    """Tops of both tokens in turn."""
    for number in range(entries):
        await add(client, at_ms + number, "top", number % 2, seq + 1 + number // 2, gen)


async def add(
    client: redis.asyncio.Redis,
    at_ms: int,
    kind: Kind,
    outcome: int | None,
    seq: int,
    gen: int = 3,
    note: str = "",
) -> None:
    side = ("0.4", "5", "0.6", "7") if kind == "top" else ("", "", "", "")
    entry = Entry(kind, outcome, *side, None, at_ms * 1000, gen, seq, 0, note)
    await client.execute_command(  # type: ignore[no-untyped-call]
        "XADD", KEY, f"{at_ms}-0", *(part for pair in entry.to_fields().items() for part in pair)
    )


def retention(client: redis.asyncio.Redis, maxlen: int = 10_000) -> Retention:
    return Retention(client, lambda: [KEY], maxlen=maxlen, max_age_s=DAY_MS / 1000)


async def test_old_entries_go_and_young_ones_stay(client: redis.asyncio.Redis) -> None:
    await write(client, 300, now_ms() - 2 * DAY_MS)
    await write(client, 300, now_ms() - 1000, seq=150)
    assert await retention(client).sweep() >= 200
    assert 300 <= await client.xlen(KEY) <= 400


async def test_more_than_the_length_goes(client: redis.asyncio.Redis) -> None:
    await write(client, 600, now_ms() - 1000)
    await retention(client, maxlen=200).sweep()
    assert 200 <= await client.xlen(KEY) <= 300


async def test_the_end_of_a_quiet_market_stays_so_that_nothing_falls(client: redis.asyncio.Redis) -> None:
    await write(client, 40, now_ms() - 2 * DAY_MS)
    await retention(client).sweep()
    (tail,) = await read_tails(client, Keys(), [QUIET])
    assert tail.last is not None
    assert (tail.stream.gen, tail.stream.seq) == (3, [20, 20])


@pytest.mark.parametrize(("kind", "note"), [("resolved", "1"), ("gap", gap_note("shutdown", 1, "w1"))])
async def test_a_market_that_is_over_ages_to_its_end(
    client: redis.asyncio.Redis, kind: Kind, note: str
) -> None:
    began_ms = now_ms() - 2 * DAY_MS
    await write(client, 40, began_ms)
    await add(client, began_ms + 40, kind, None, 20, note=note)
    await retention(client).sweep()
    assert await client.xlen(KEY) == 0


async def test_a_group_far_behind_is_one_line_for_all_its_streams(
    client: redis.asyncio.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await write(client, 100, now_ms() - 1000)
    await client.copy(KEY, "book:{07}:another")
    for key in (KEY, "book:{07}:another"):
        await client.xgroup_create(key, "abandoned", "0")
    said: list[str] = []
    now_s = [0.0]
    keeping = Retention(
        client,
        lambda: [KEY, "book:{07}:another"],
        maxlen=105,
        max_age_s=DAY_MS / 1000,
        clock=lambda: now_s[0],
    )
    monkeypatch.setattr(keeping, "_log", SimpleNamespace(warning=said.append))
    for _ in range(4):
        await keeping.sweep()
        now_s[0] += 60
    assert [line.partition(";")[0] for line in said] == [
        "group abandoned is far behind in 2 streams, up to 100 entries"
    ]


async def test_a_key_of_another_type_is_left_alone(client: redis.asyncio.Redis) -> None:
    await client.set(KEY, "x")
    assert await retention(client).sweep() == 0
    assert await client.get(KEY) == b"x"
