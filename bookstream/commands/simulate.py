"""`bookstream simulate`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from marketdata.errors import SettingsError
from simulator.settings import SimulateSettings


def main(argv: Sequence[str]) -> int:
    """Runs the stand-in venue until it is told to stop; returns the exit code."""
    return run_command("simulate", SimulateSettings, argv, _body, stops_itself=True)


async def _body(settings: SimulateSettings, stop: asyncio.Event) -> int:
    if not settings.capture:
        raise SettingsError("--capture must be given: one or more files of captured traffic")
    from simulator.service import run

    await run(
        host=settings.host,
        port=settings.port,
        captures=settings.capture,
        speed=settings.speed,
        loop=settings.loop,
        stop=stop,
        # A program that started this one waits for the line, so it may not linger in a buffer.
        on_ready=lambda url: print(url, flush=True),
    )
    return 0
