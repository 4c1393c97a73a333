"""`bookstream catalog`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from consumers.catalog.settings import CatalogSettings


def main(argv: Sequence[str]) -> int:
    """Prints families; returns the exit code."""
    return run_command("catalog", CatalogSettings, argv, _body, stops_itself=False)


async def _body(settings: CatalogSettings, _stop: asyncio.Event) -> int:
    from consumers.catalog.command import run

    return await run(settings)
