"""`bookstream arbitrage`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from consumers.arbitrage.settings import ArbitrageSettings


def main(argv: Sequence[str]) -> int:
    """Finds opportunities until it is told to stop, or sums them up; returns the exit code."""
    return run_command(
        "arbitrage", ArbitrageSettings, argv, _body, stops_itself=lambda given: not given.report
    )


async def _body(settings: ArbitrageSettings, stop: asyncio.Event) -> int:
    from consumers.arbitrage.service import run

    return await run(settings, stop)
