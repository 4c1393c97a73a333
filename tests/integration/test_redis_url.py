"""Clients against a real server: nothing is sent twice, refusals are told apart from absence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis

from marketdata.errors import RedisRefusedError
from marketdata.redis_url import RedisTarget, open_redis, redis_session, wait_for_redis
from tests.redis_server import PrivateRedis


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(tcp=True) as server:
        yield server


async def test_a_command_whose_reply_is_lost_is_sent_once(server: PrivateRedis) -> None:
    for key, url in (("a", server.url), ("b", server.tcp_url)):
        client = open_redis(RedisTarget.parse(url), client_name="test", socket_timeout_s=0.2)
        await client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            await client.xadd(key, {"field": "value"})
        async with client.pipeline(transaction=False) as pipeline:
            pipeline.xadd(key, {"field": "value"})
            with pytest.raises((redis.TimeoutError, redis.ConnectionError)):
                await pipeline.execute()
        server.resume()
        # A frozen server still reads what lies in its sockets: the first XADD, and never more than both.
        assert 1 <= await client.xlen(key) <= 2
        await client.aclose()


async def test_a_session_gives_clients_to_the_same_place(server: PrivateRedis) -> None:
    lines: list[str] = []
    async with redis_session(server.tcp_url, client_name="test", log=lines.append) as session:
        other = session.new_client("other", socket_timeout_s=9)
        await session.client.set("key", "value")
        assert await other.get("key") == b"value"
        assert {one["name"] for one in await session.client.client_list()} == {"test", "other"}
        assert session.server is None
    assert lines == []
    with server.client() as client:
        assert len(client.client_list()) == 1


@pytest.mark.parametrize("way", ["unix", "tcp"])
async def test_a_missing_or_wrong_password_is_told_at_once(server: PrivateRedis, way: str) -> None:
    with server.client() as client:
        client.config_set("requirepass", "geheim")
    bare = server.url if way == "unix" else server.tcp_url
    wrong = f"{bare}?password=falsch"
    right = f"{bare}?password=geheim"
    lines: list[str] = []
    async with asyncio.timeout(10):
        for url in (bare, wrong):
            with pytest.raises(RedisRefusedError) as refused:
                async with redis_session(url, client_name="test", log=lines.append):
                    pytest.fail("the session was opened")
            assert "falsch" not in str(refused.value)
            assert "REDIS_URL" in str(refused.value)
        async with redis_session(right, client_name="test", log=lines.append) as session:
            await session.client.ping()
    assert lines == []


async def test_a_database_that_does_not_exist_is_told_at_once(server: PrivateRedis) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(RedisRefusedError, match="DB index"):
            async with redis_session(f"{server.url}?db=9999", client_name="test", log=print):
                pytest.fail("the session was opened")


async def test_a_session_waits_for_a_server_that_comes_later(server: PrivateRedis) -> None:
    server.stop()
    said: asyncio.Queue[str] = asyncio.Queue()

    async def use() -> bytes | None:
        async with redis_session(server.tcp_url, client_name="test", log=said.put_nowait) as session:
            await session.client.set("key", "value")
            value: bytes | None = await session.client.get("key")
            return value

    using = asyncio.create_task(use())
    async with asyncio.timeout(20):
        assert "does not answer" in await said.get()
        server.start()
        assert await using == b"value"
        assert "answers, after" in await said.get()


@asynccontextmanager
async def loading_server(path: Path, pings: int) -> AsyncIterator[None]:
    """Answers like a server that loads its data for so many pings."""
    left = pings

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        while header := await reader.readline():
            words = []
            for _ in range(int(header[1:])):
                await reader.readline()
                words.append((await reader.readline()).strip().upper())
            if words != [b"PING"]:
                writer.write(b"+OK\r\n")
            elif left:
                left -= 1
                writer.write(b"-LOADING Redis is loading the dataset in memory\r\n")
            else:
                writer.write(b"+PONG\r\n")
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield


async def test_loading_is_waited_for(tmp_path: Path) -> None:
    target = RedisTarget.parse(f"unix://{tmp_path}/s.sock")
    lines: list[str] = []
    async with loading_server(tmp_path / "s.sock", pings=2), asyncio.timeout(20):
        client = open_redis(target, client_name="test")
        assert await wait_for_redis(client, target, log=lines.append)
        await client.aclose()
    assert lines == []
