"""`bookstream replay`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from consumers.replay.settings import ReplaySettings


def main(argv: Sequence[str]) -> int:
    """Replays a range to its end, or until it is told to stop; returns the exit code."""
    return run_command("replay", ReplaySettings, argv, _body, stops_itself=False)


async def _body(settings: ReplaySettings, _stop: asyncio.Event) -> int:
    from consumers.replay.command import run

    return await run(settings)
