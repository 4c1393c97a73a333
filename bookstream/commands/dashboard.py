"""`bookstream dashboard`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from consumers.dashboard.settings import DashboardSettings


def main(argv: Sequence[str]) -> int:
    """Shows the dashboard until it is left; returns the exit code."""
    return run_command("dashboard", DashboardSettings, argv, _body, stops_itself=False)


async def _body(settings: DashboardSettings, _stop: asyncio.Event) -> int:
    from consumers.dashboard.command import run

    return await run(settings)
