"""A group that belongs to the engine: others are refused, other settings too, and what they took is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from consumers.arbitrage.service import run as run_engine
from consumers.arbitrage.settings import ArbitrageSettings
from consumers.groups.command import run as run_groups
from consumers.groups.settings import GroupsSettings
from consumers.replay.command import run as run_replay
from consumers.replay.settings import ReplaySettings
from consumers.tail.member import run_as_member
from consumers.tail.settings import TailSettings
from marketdata.errors import GroupError, SettingsError
from marketdata.groups import Group, Role
from marketdata.groups.membership import Membership
from marketdata.keys import Keys
from marketdata.redis_url import redis_session
from tests.integration.test_arbitrage import Venue, ladder, running
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis

GROUP = "arbitrage"


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as running:
        yield running


async def test_a_group_of_the_engine_takes_no_other_readers(server: PrivateRedis) -> None:
    venue = Venue(server, ladder())
    venue.clock()
    venue.ask(venue.markets[0], 0, "0.5")
    async with running(venue):
        await venue.caught_up(venue.clock())
        with pytest.raises(SettingsError, match="group arbitrage belongs to bookstream arbitrage"):
            await run_as_member(TailSettings(redis_url=venue.url, group=GROUP, follow=False), GROUP)
    # Nor when no engine runs: the next one goes on from its state.
    with pytest.raises(SettingsError, match="choose another group"):
        async with Group(GROUP, redis_url=venue.url) as group:
            await group.run(print)
    with pytest.raises(SettingsError, match="belongs to bookstream arbitrage"):
        await run_replay(ReplaySettings(redis_url=venue.url, group=GROUP))


async def test_an_engine_does_not_join_readers_and_readers_learn_of_an_engine(server: PrivateRedis) -> None:
    venue = Venue(server, ladder())
    venue.clock()
    async with Group(GROUP, redis_url=venue.url, member="reader", log=print) as group:
        reading = asyncio.create_task(group.run(lambda _: None))
        await until(lambda: venue.client.zscore(venue.keys.group(GROUP), "reader") is not None, "it reads")
        with pytest.raises(SettingsError, match="is read by reader, which is not bookstream arbitrage"):
            await venue.once()
        # As if both had begun in the same moment.
        venue.client.hset(
            venue.keys.role(GROUP), mapping={"program": "bookstream arbitrage", "settings": "s"}
        )
        async with asyncio.timeout(15):
            with pytest.raises(GroupError, match="belongs to bookstream arbitrage"):
                await reading


async def test_engines_of_one_group_have_the_same_settings(server: PrivateRedis) -> None:
    venue = Venue(server, ladder())
    venue.clock()
    other: dict[str, Any] = {"redis_url": venue.url, "member": "y", "once": True}
    async with running(venue):
        await venue.caught_up(venue.clock())
        with pytest.raises(
            SettingsError,
            match="test of group arbitrage runs with ARB_MIN_PROFIT_BPS 5, this one would with"
            " ARB_MIN_PROFIT_BPS 500;",
        ):
            await run_engine(ArbitrageSettings(arb_min_profit_bps=500, **other), asyncio.Event())
        assert await run_engine(ArbitrageSettings(**other), asyncio.Event()) == 0
    # Alone it may change them.
    assert await run_engine(ArbitrageSettings(arb_min_profit_bps=500, **other), asyncio.Event()) == 0
    kept: Any = venue.client.hget(venue.keys.role(GROUP), "settings")
    assert kept.decode().startswith("ARB_MIN_PROFIT_BPS 500,")


async def test_members_of_one_program_may_join_in_the_same_moment(server: PrivateRedis) -> None:
    keys, role = Keys("moment:"), Role("bookstream arbitrage", "s")
    async with redis_session(server.url, client_name="test", log=print) as session:
        for _ in range(20):
            await session.client.delete(keys.role("g"), keys.group("g"))
            joining = [Membership(session.client, keys, "g", f"member-{n}", 1_000, role) for n in range(8)]
            assert await asyncio.gather(*(one.enlist() for one in joining)) == [""] * 8
            await session.client.delete(*(keys.group_member("g", one.name) for one in joining))


async def test_what_another_reader_took_makes_no_price_count(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    venue.clock()
    venue.ask(low, 0, "0.5")
    venue.ask(high, 1, "0.6")
    await venue.once()
    assert "another reader" not in capsys.readouterr().err
    # A program that does not know of roles, and reads as the streams' page says.
    venue.client.delete(venue.keys.role(GROUP))
    venue.entry(low, "gap", 0, note="desync 1 w1")
    async with Group(GROUP, redis_url=venue.url, log=print) as group:
        await group.run(lambda _: None, once=True)
    venue.client.delete(venue.keys.group(GROUP))
    venue.clock()
    venue.ask(high, 1, "0.4")
    await venue.once()
    assert venue.said() == [], "the first leg lies behind a gap that the engine never saw"
    (line,) = [one for one in capsys.readouterr().err.splitlines() if "another reader took" in one]
    assert f"partition {venue.partition}: group arbitrage has handled it up to" in line
    venue.ask(low, 0, "0.5")
    await venue.once()
    assert venue.said() == ["open ladder"]
    assert "another reader" not in capsys.readouterr().err


async def test_an_entry_that_nobody_can_read_is_no_other_reader(
    server: PrivateRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    low, high = ladder()
    venue = Venue(server, [low, high])
    venue.clock()
    venue.ask(low, 0, "0.5")
    await venue.once()
    book = venue.keys.book(venue.partition, low.condition_id)
    venue.client.xadd(book, {"kind": "nonsense"}, id=f"{venue.ms + 1}-0")
    venue.ms += 1
    await venue.once()
    assert venue.client.xlen(venue.keys.dead(GROUP)) == 1
    venue.clock()
    venue.ask(high, 1, "0.4")
    await venue.once()
    assert venue.said() == ["open ladder"]
    assert "another reader" not in capsys.readouterr().err


async def test_a_role_that_redis_forgot_is_entered_again(server: PrivateRedis) -> None:
    venue = Venue(server, ladder())
    role = Role("a program", "a setting")
    async with Group("kept", redis_url=venue.url, role=role, log=print) as group:
        task = asyncio.create_task(group.run(lambda _: None))
        await until(lambda: group.partitions != [], "it reads")
        venue.client.flushall()
        await until(lambda: venue.client.exists(venue.keys.role("kept")) == 1, "it said so again")
        group.stop()
        await task


@pytest.mark.parametrize("program", ["run_group", "arbitrage"])
def test_a_stop_while_redis_is_waited_for_ends_the_waiting(program: str) -> None:
    url = "redis://127.0.0.1:1"
    words = {
        "run_group": ["-c", f"from bookstream import run_group; run_group('mine', print, redis_url={url!r})"],
        "arbitrage": ["-m", "bookstream", "arbitrage", "--redis-url", url],
    }[program]
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stderr is not None
    try:
        assert "127.0.0.1:1" in process.stderr.readline(), "it says for whom it waits"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.stderr.close()
        process.wait()


async def test_an_engine_says_what_it_handled_and_how_soon_it_tells(
    server: PrivateRedis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    low, high = ladder()
    venue = Venue(server, [low, high])
    async with running(venue):
        venue.clock()
        venue.ask(low, 0, "0.5")
        await venue.caught_up(venue.ask(high, 1, "0.4"))

        def record() -> dict[str, Any]:
            said: Any = venue.client.get(venue.keys.group_member(GROUP, "test"))
            return json.loads(said) if said else {}

        await until(lambda: record().get("opened") == 1, record)
        assert record()["handled"] == 3
        assert record()["write_ms"]["p50"] <= record()["write_ms"]["p99"]
        assert await run_groups(GroupsSettings(redis_url=venue.url, group=GROUP)) == 0
        assert "written in" in capsys.readouterr().out
