"""`bookstream verify`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bookstream.commands.common import run_command
from consumers.verify.settings import VerifySettings


def main(argv: Sequence[str]) -> int:
    """Checks streams against the proof rule; returns the exit code."""
    return run_command("verify", VerifySettings, argv, _body, stops_itself=False)


async def _body(settings: VerifySettings, _stop: asyncio.Event) -> int:
    from consumers.verify.command import run

    return await run(settings)
