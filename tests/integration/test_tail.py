"""`tail` shows what is written, as it is written, in order, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter, demo_markets

SOON_S = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client)


class Tail:
    """A running `bookstream tail`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(SOON_S):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def ids(self, count: int) -> list[str]:
        return [json.loads(await self.line())["id"] for _ in range(count)]

    async def complaint(self) -> str:
        assert self.process.stderr is not None
        async with asyncio.timeout(SOON_S):
            return (await self.process.stderr.readline()).decode().rstrip("\n")

    async def end(self) -> tuple[int, str, str]:
        """Exit code, the rest of the output, the rest of what was complained."""
        async with asyncio.timeout(SOON_S):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def tail(server: PrivateRedis, *flags: str) -> AsyncIterator[Tail]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bookstream", "tail", "--redis-url", server.url, *flags),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )
    try:
        yield Tail(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def listens(writer: StreamWriter) -> None:
    """Waits until a tail has found its places: it listens for wake-ups after that."""

    def heard() -> int:
        ((_, count),) = writer.client.pubsub_numsub(writer.keys.wake(0))
        return int(count)

    await until(heard, "tail listens")


async def test_it_begins_now(server: PrivateRedis, writer: StreamWriter) -> None:
    first, second, third = writer.markets
    for market in (first, second, first):
        writer.top(market)
    async with tail(server, "--json", "--count", "3") as running:
        await listens(writer)
        new = [writer.top(third, 1), writer.top(first), writer.gap(second, None)]
        code, out, err = await running.end()
    assert (code, err) == (0, "")
    assert [json.loads(line)["id"] for line in out.splitlines()] == [str(one) for one in new]


async def test_what_stands_comes_first_is_marked_and_not_counted(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    first, second, third = writer.markets
    writer.top(first)
    old = [writer.top(second), writer.top(first)]
    async with tail(server, "--json", "--standing", "--count", "3") as running:
        lines = [json.loads(await running.line()) for _ in old]
        assert [line["id"] for line in lines] == [str(one) for one in old]
        assert all(line["standing"] is True for line in lines)
        new = [writer.top(third, 1), writer.top(first), writer.gap(second, None)]
        code, out, _ = await running.end()
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["id"] for line in lines] == [str(one) for one in new]
    assert not any("standing" in line for line in lines)
    async with tail(server, "--standing", "--no-follow") as running:
        _, out, _ = await running.end()
    assert len(out.splitlines()) == 3
    assert all(line.endswith("  standing") for line in out.splitlines())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--no-follow",), "between now and now there is nothing: add --from WHEN, or --standing"),
        (("--standing", "--from", "1h"), "--standing shows what stands now; leave out --from"),
        (("--standing", "--group", "g"), "from where its group stands; leave out --standing"),
    ],
)
async def test_what_would_print_nothing_or_something_else_is_a_clear_line(
    server: PrivateRedis, writer: StreamWriter, flags: tuple[str, ...], said: str
) -> None:
    async with tail(server, *flags) as running:
        code, out, err = await running.end()
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


async def test_clocks_that_stop_are_told_once_and_once_more_when_they_go(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    writer.top(market)
    partitions = {one.partition for one in writer.markets}
    for partition in partitions:
        writer.client.xadd(writer.keys.clock(partition), {"worker": "w1"}, id="1700000000000-0")
    async with tail(server, "--json") as running:
        said = await running.complaint()
        assert said == (
            f"bookstream tail: no clock entry for 5 s in {len(partitions)} of {len(partitions)} partitions"
            " (the last one was at 2023-11-14 22:13:20Z): nobody writes there, and quotes may be old"
        )
        for partition in partitions:
            writer.client.xadd(writer.keys.clock(partition), {"worker": "w1"})
        assert "every clock goes again, after" in await running.complaint()
        running.process.terminate()
        assert (await running.end())[2] == ""


async def test_from_and_no_follow(server: PrivateRedis, writer: StreamWriter) -> None:
    ids = [str(writer.top(market)) for _ in range(50) for market in writer.markets]
    async with tail(server, "--json", "--no-follow", "--from", ids[7]) as running:
        code, out, err = await running.end()
    assert (code, err) == (0, "")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ids[7:]


async def test_history_in_parts_keeps_the_total_order(server: PrivateRedis, writer: StreamWriter) -> None:
    busy, quiet = writer.markets[0], writer.markets[2]
    pipe = writer.client.pipeline(transaction=False)
    ids = []
    for number in range(2600):
        market = quiet if number % 50 == 0 else busy
        ids.append(f"{writer.ms + number}-0")
        pipe.xadd(writer.key(market), writer.entry("top", 0, number + 1).to_fields(), id=ids[-1])  # type: ignore[arg-type]
    pipe.execute()
    async with tail(server, "--json", "--no-follow", "--from", "0") as running:
        _, out, _ = await running.end()
    assert [json.loads(line)["id"] for line in out.splitlines()] == ids


async def test_only_what_was_asked_for(server: PrivateRedis, writer: StreamWriter) -> None:
    wanted, other = writer.markets[0], writer.markets[1]
    writer.top(other)
    writer.top(wanted, 0)
    kept = [writer.top(wanted, 1), writer.gap(wanted, None), writer.top(wanted, 1)]
    writer.top(wanted, 1)
    flags = ("--market", wanted.slug, "--outcome", "1", "--from", "0", "--count", "3", "--json")
    async with tail(server, *flags) as running:
        code, out, _ = await running.end()
    assert code == 0
    assert [json.loads(line)["id"] for line in out.splitlines()] == [str(one) for one in kept]


async def test_markets_that_appear_later_are_followed_from_their_first_entry(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    writer.top(writer.markets[0])
    async with tail(server, "--json", "--standing") as running:
        await running.line()
        late = demo_markets()[5]
        ids = [str(writer.top(late)) for _ in range(3)]
        writer.list_market(late)
        assert await running.ids(3) == ids


async def test_lines_for_people(server: PrivateRedis, writer: StreamWriter) -> None:
    market = writer.markets[0]
    writer.top(market)
    writer.gap(market, None, "stale")
    async with tail(server, "--from", "0", "--no-follow") as running:
        _, out, _ = await running.end()
    top, gap = out.splitlines()
    assert market.question[:30] in top
    assert "0.48 x 30 | 0.52 x 25.5" in top
    assert "GAP: stale" in gap
    assert "\x1b" not in out


async def test_redis_away_is_one_line_and_nothing_is_lost(server: PrivateRedis, writer: StreamWriter) -> None:
    market = writer.markets[0]
    writer.top(market)
    async with tail(server, "--json", "--standing") as running:
        await running.line()
        server.kill9()
        assert "does not answer" in await running.complaint()
        server.start()
        ids = [str(writer.top(market)) for _ in range(20)]
        assert await running.ids(20) == ids
        assert "answers, after" in await running.complaint()


async def test_a_reader_that_goes_away_is_no_error(server: PrivateRedis, writer: StreamWriter) -> None:
    for _ in range(3000):
        writer.top(writer.markets[0])
    async with tail(server, "--json", "--from", "0") as running:
        await running.line()
        assert running.process.stdout is not None
        running.process.stdout._transport.close()  # type: ignore[attr-defined]
        async with asyncio.timeout(SOON_S):
            code = await running.process.wait()
        assert running.process.stderr is not None
        assert (code, await running.process.stderr.read()) == (141, b"")


async def test_an_unknown_market_is_a_clear_line(server: PrivateRedis, writer: StreamWriter) -> None:
    async with tail(server, "--market", "no-such-market") as running:
        code, out, err = await running.end()
    assert (code, out) == (2, "")
    assert err.startswith("bookstream tail: --market 'no-such-market' names no market")
    assert err.count("\n") == 1


async def test_nothing_to_read_is_told(server: PrivateRedis, writer: StreamWriter) -> None:
    writer.client.flushall()
    async with tail(server, "--no-follow", "--from", "1h") as running:
        assert await running.end() == (0, "", f"bookstream tail: no stream in {server.url} yet\n")
    async with tail(server, "--json") as running:
        assert (await running.complaint()).endswith("yet; waiting for the first")
        entry_id = writer.top(writer.markets[0])
        assert await running.ids(1) == [str(entry_id)]


async def test_interrupted_it_ends_quietly(server: PrivateRedis, writer: StreamWriter) -> None:
    writer.top(writer.markets[0])
    async with tail(server, "--json", "--standing") as running:
        await running.line()
        running.process.send_signal(2)
        assert await running.end() == (130, "", "")
