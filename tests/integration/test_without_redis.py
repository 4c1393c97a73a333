"""Commands that end by themselves do so without a Redis, too; those that read say nothing of losses."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys

import pytest

from bookstream.cli import main
from marketdata import redis_client

NOWHERE = "redis://127.0.0.1:9"
"""Port 9 is closed: whoever asks there is refused at once."""

ONE_SHOT = (
    ("verify",),
    ("groups",),
    ("groups", "g"),
    ("groups", "requeue", "g"),
    ("groups", "remove", "g"),
    ("catalog",),
    ("opportunities",),
    ("arbitrage", "--report"),
    ("arbitrage", "--once"),
    ("tail", "--no-follow", "--from", "1h"),
    ("tail", "--no-follow", "--group", "g"),
    ("replay", "--from", "1h"),
)
GIVES_UP = (
    "consumers.verify.command",
    "consumers.groups.command",
    "consumers.catalog.command",
    "consumers.arbitrage.listing",
    "consumers.arbitrage.report",
    "consumers.arbitrage.service",
    "consumers.tail.command",
    "consumers.tail.member",
    "consumers.replay.command",
)


def test_they_all_wait_as_long_as_each_other() -> None:
    assert redis_client.GIVE_UP_S == 30
    assert {importlib.import_module(name).GIVE_UP_S for name in GIVES_UP} == {redis_client.GIVE_UP_S}


@pytest.mark.parametrize("words", ONE_SHOT, ids=" ".join)
@pytest.mark.timeout(30)
def test_one_shot_commands_give_up_in_one_line(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in GIVES_UP:
        monkeypatch.setattr(importlib.import_module(name), "GIVE_UP_S", 0.3)
    assert main([*words, "--redis-url", NOWHERE]) == 1
    told = capsys.readouterr()
    first, *_, last = told.err.splitlines()
    assert "does not answer" in first
    assert first.endswith("it is tried again for 0.3 s")
    assert "for 0.3 s; nothing was changed" in last
    assert "lost" not in told.err
    assert told.out == ""


def test_where_redis_is_can_be_told_without_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["redis-url", "--redis-url", NOWHERE]) == 0
    assert capsys.readouterr().out == f"{NOWHERE}\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("words", [("arbitrage", "--report"), ("verify",)], ids=" ".join)
async def test_a_signal_ends_the_waiting(words: tuple[str, ...], number: signal.Signals, code: int) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bookstream", *words, "--redis-url", NOWHERE),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            assert b"does not answer" in await process.stderr.readline()
            process.send_signal(number)
        async with asyncio.timeout(3):
            assert await process.wait() == code
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
