"""`bookstream tail`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from consumers.tail.settings import TailSettings


def main(argv: Sequence[str]) -> int:
    """Prints entries until the end or until it is told to stop; returns the exit code."""
    return run_command("tail", TailSettings, argv, _body, stops_itself=False)


async def _body(settings: TailSettings, _stop: asyncio.Event) -> int:
    from consumers.tail.command import run

    return await run(settings)
