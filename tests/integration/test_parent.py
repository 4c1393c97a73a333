"""A child ends when its parent is gone, and only where a parent asked for it."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from marketdata.parent import STOP_ON_STDIN_EOF

SOON_S = 15.0
CHILD = """
import asyncio
from marketdata.parent import stop_when_parent_dies

async def main():
    stop = asyncio.Event()
    watch = asyncio.ensure_future(stop_when_parent_dies(stop))
    print("ready", flush=True)
    done, _ = await asyncio.wait({watch, asyncio.ensure_future(asyncio.sleep(60))},
                                 return_when=asyncio.FIRST_COMPLETED)
    print("stop" if stop.is_set() else "no parent" if watch in done else "timeout", flush=True)
    if watch in done:
        watch.result()

asyncio.run(main())
"""


async def child(*, asked: bool, stdin: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    environ = {name: value for name, value in os.environ.items() if name != STOP_ON_STDIN_EOF}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CHILD),
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ | ({STOP_ON_STDIN_EOF: "1"} if asked else {}),
    )


async def test_it_stops_when_stdin_closes_and_not_before() -> None:
    process = await child(asked=True)
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(SOON_S):
        assert await process.stdout.readline() == b"ready\n"
        process.stdin.write(b"what is said there is no matter\n")
        await process.stdin.drain()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(process.stdout.readline(), 0.2)
        process.stdin.close()
        assert (await process.communicate())[0] == b"stop\n"


async def test_without_a_parent_that_asks_stdin_says_nothing() -> None:
    process = await child(asked=False, stdin=asyncio.subprocess.DEVNULL)
    async with asyncio.timeout(SOON_S):
        assert (await process.communicate())[0] == b"ready\nno parent\n"


async def test_a_parent_that_asks_must_hold_a_pipe() -> None:
    process = await child(asked=True, stdin=asyncio.subprocess.DEVNULL)
    async with asyncio.timeout(SOON_S):
        out, err = await process.communicate()
    assert out == b"ready\nstop\n"
    assert b"stdin is no pipe" in err
