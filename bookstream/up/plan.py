"""What the children are started with (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bookstream.facts import facts_of, spelled
from bookstream.settings import UpSettings
from consumers.arbitrage.settings import ArbitrageSettings
from marketdata.settings import CommandSettings
from worker.settings import WorkerSettings

ANY_PORT = "127.0.0.1:0"


def synthetic_arguments(settings: UpSettings, seed: int, start_ms: int) -> list[str]:
    """The part of the simulator's command line that makes it play a synthetic market.

    With the seed and the start it is the same venue also in its next life.
    """
    given = {
        "markets": settings.markets,
        "rate": settings.rate,
        "seed": seed,
        "edges": settings.edges,
        "start-ms": start_ms,
    }
    return ["--synthetic", *(word for name, value in given.items() for word in (f"--{name}", spelled(value)))]


def capture_arguments(captures: Sequence[Path]) -> list[str]:
    """The part of the simulator's command line that makes it play recordings, again and again."""
    return ["--loop", "--capture", *(str(path.absolute()) for path in captures)]


def simulator_arguments(address: str | None, played: Sequence[str]) -> list[str]:
    """The simulator's command line.

    Args:
        address: its base URL in an earlier life, so that the worker finds it again; None: the system chooses.
        played: what to play, from one of the two above.
    """
    listen = urlsplit(address).netloc if address else ANY_PORT
    return ["simulate", "--listen", listen, *played]


def simulated_venue(address: str) -> dict[str, str]:
    """Variables that point a worker at the simulator behind a base URL."""
    return {
        "VENUE_WS_URL": f"ws://{urlsplit(address).netloc}/ws/market",
        "GAMMA_URL": address,
        "CLOB_URL": address,
    }


def worker_environ(
    settings: UpSettings, venue: Mapping[str, str], environ: Mapping[str, str]
) -> dict[str, str]:
    """The worker's environment: what `up` was told, wherever it was told, outranks what else is set."""
    return {**environ, **_told(settings, WorkerSettings), **venue}


def engine_environ(settings: UpSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """The arbitrage engine's environment, likewise."""
    return {**environ, **_told(settings, ArbitrageSettings)}


def _told(settings: UpSettings, model: type[CommandSettings]) -> dict[str, str]:
    return {
        facts.env: spelled(getattr(settings, field)) for field, facts in facts_of(model).items() if facts.env
    }
