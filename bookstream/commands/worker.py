"""`bookstream worker`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from worker.settings import WorkerSettings


def main(argv: Sequence[str]) -> int:
    """Runs a worker until it is told to stop; returns the exit code."""
    return run_command("worker", WorkerSettings, argv, _body, stops_itself=True)


async def _body(settings: WorkerSettings, stop: asyncio.Event) -> int:
    from worker.service import run

    return await run(settings, stop)
