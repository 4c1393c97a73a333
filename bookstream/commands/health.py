"""`bookstream health`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from bookstream.commands.common import run_command
from bookstream.settings import HealthSettings


def main(argv: Sequence[str]) -> int:
    """Says whether a worker is well; returns 0 if it is, else 1."""
    return run_command("health", HealthSettings, argv, _body, stops_itself=False)


async def _body(settings: HealthSettings, _stop: asyncio.Event) -> int:
    from bookstream.health import look

    verdict = await look(settings)
    print(verdict.line, file=sys.stdout if verdict.well else sys.stderr)
    return 0 if verdict.well else 1
