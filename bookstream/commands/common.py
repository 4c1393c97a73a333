"""What all commands with settings do first."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from bookstream.loading import load
from bookstream.running import run_body
from marketdata.logs import configure_logs
from marketdata.settings import CommandSettings

S = TypeVar("S", bound=CommandSettings)


def run_command(
    name: str,
    model: type[S],
    argv: Sequence[str],
    body: Callable[[S, asyncio.Event], Awaitable[int]],
    *,
    stops_itself: Callable[[S], bool] | bool,
) -> int:
    """Reads the settings, sets up the logs and runs the body; returns the exit code.

    Args:
        stops_itself: whether the body heeds its event, where that depends on the settings told by them; see `run_body`.

    Raises:
        SettingsError: a setting is wrong; nothing was started.
    """
    prog = f"bookstream {name}"
    loaded = load(model, argv, prog)
    for warning in loaded.warnings:
        print(f"{prog}: warning: {warning}", file=sys.stderr)
    settings = loaded.settings
    configure_logs(settings.log_level, settings.log_format)
    heeds = stops_itself(settings) if callable(stops_itself) else stops_itself
    return run_body(lambda stop: body(settings, stop), stops_itself=heeds)
