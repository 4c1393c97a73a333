"""`bookstream up`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from bookstream.settings import UpSettings


def main(argv: Sequence[str]) -> int:
    """Runs everything in this terminal until it is told to stop; returns the exit code."""
    return run_command("up", UpSettings, argv, _body, stops_itself=True)


async def _body(settings: UpSettings, stop: asyncio.Event) -> int:
    from bookstream.up.service import run

    return await run(settings, stop)
