"""`bookstream simulate`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

from bookstream.commands.common import run_command
from marketdata.errors import SettingsError
from simulator.settings import SimulateSettings


def main(argv: Sequence[str]) -> int:
    """Runs the stand-in venue until it is told to stop; returns the exit code."""
    return run_command("simulate", SimulateSettings, argv, _body, stops_itself=True)


async def _body(settings: SimulateSettings, stop: asyncio.Event) -> int:
    if not (settings.capture or settings.synthetic):
        raise SettingsError("--synthetic or --capture FILE must be given: what to play")
    from simulator.faults.faults import Faults
    from simulator.faults.reading import read_flag, read_schedule
    from simulator.service import run, run_synthetic
    from simulator.synthetic.opening import Synthetic

    seed = secrets.randbits(32) if settings.seed is None else settings.seed
    faults = Faults(
        seed=seed if settings.fault_seed is None else settings.fault_seed,
        schedule=(
            *map(read_flag, settings.fault),
            *(() if settings.faults is None else read_schedule(settings.faults)),
        ),
        rate_a_minute=settings.fault_rate,
    )

    def say(url: str) -> None:
        # A program that started this one waits for the line, so it may not linger in a buffer.
        print(url, flush=True)

    if settings.synthetic:
        given = Synthetic(
            markets=settings.markets,
            rate=settings.rate,
            seed=seed,
            edges_a_minute=settings.edges,
            start_ms=settings.start_ms,
            truth_s=settings.truth_s,
        )
        await run_synthetic(
            given,
            host=settings.host,
            port=settings.port,
            faults=faults,
            stop=stop,
            on_ready=say,
        )
    else:
        await run(
            host=settings.host,
            port=settings.port,
            captures=settings.capture,
            speed=settings.speed,
            loop=settings.loop,
            faults=faults,
            stop=stop,
            on_ready=say,
        )
    return 0
