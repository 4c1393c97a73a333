"""The settings of `bookstream up`, and which model belongs to which command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from consumers.tail.settings import TailSettings
from consumers.verify.settings import VerifySettings
from marketdata.settings import CommandSettings, RedisSettings, argument
from simulator.settings import SimulateSettings
from worker.settings import WorkerSettings


class UpSettings(WorkerSettings):
    """Runs everything in this terminal: a worker, a private Redis where none is named, and the dashboard."""

    venue: Literal["live", "simulated"] = argument(
        "live", "The venue itself, or a stand-in on this machine, which then has a Redis of its own."
    )
    headless: bool = argument(False, "Without the dashboard: log lines only.")
    duration_s: float | None = argument(None, "Stop after this many seconds.", gt=0)

    @model_validator(mode="before")
    @classmethod
    def _keep_demo_apart(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("venue") == "simulated" and "redis_url" not in given:
            return given | {"redis_url": "embedded://demo"}
        return given


class RedisUrlSettings(RedisSettings):
    """Prints the URL under which other programs reach the Redis of REDIS_URL."""


MODELS: Mapping[str, type[CommandSettings]] = {
    "up": UpSettings,
    "worker": WorkerSettings,
    "tail": TailSettings,
    "verify": VerifySettings,
    "simulate": SimulateSettings,
    "redis-url": RedisUrlSettings,
}
"""The settings of each command that has any."""
