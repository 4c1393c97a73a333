"""`bookstream opportunities`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from consumers.arbitrage.settings import OpportunitiesSettings


def main(argv: Sequence[str]) -> int:
    """Prints opportunities until the end or until it is told to stop; returns the exit code."""
    return run_command("opportunities", OpportunitiesSettings, argv, _body, stops_itself=False)


async def _body(settings: OpportunitiesSettings, _stop: asyncio.Event) -> int:
    from consumers.arbitrage.listing import run

    return await run(settings)
