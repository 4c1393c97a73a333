"""The settings of `bookstream up`, and which model belongs to which command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from consumers.arbitrage.settings import ArbitrageLimits, ArbitrageSettings, OpportunitiesSettings
from consumers.catalog.settings import CatalogSettings
from consumers.dashboard.settings import DashboardSettings
from consumers.groups.settings import GroupsSettings
from consumers.replay.settings import ReplaySettings
from consumers.tail.settings import TailSettings
from consumers.verify.settings import VerifySettings
from marketdata.settings import CommandSettings, CrossedError, RedisSettings, argument
from simulator.settings import SYNTHETIC_ONLY, CapturePath, SimulateSettings, SyntheticArguments
from worker.settings import WorkerSettings


class UpSettings(ArbitrageLimits, SyntheticArguments, WorkerSettings):
    """Runs everything in this terminal: worker, arbitrage engine, a private Redis where none is named, dashboard."""

    venue: Literal["live", "simulated"] = argument(
        "live", "The venue itself, or a stand-in on this machine, which then has a Redis of its own."
    )
    capture: tuple[CapturePath, ...] = argument(
        (),
        "Captures that the simulated venue plays in a loop; without any it is synthetic.",
        allowed="one or more files, or folders of hourly files",
        metavar="FILE",
    )
    headless: bool = argument(
        False, "Without the view: progress on stderr, at the end one line of JSON on stdout."
    )
    duration_s: float | None = argument(None, "Stop after this many seconds.", gt=0)
    arbitrage: bool = argument(True, "Run the arbitrage engine, too.")

    @model_validator(mode="before")
    @classmethod
    def _keep_demo_apart(cls, given: dict[str, Any]) -> dict[str, Any]:
        if given.get("venue") != "simulated":
            return given
        # Recordings hold tokens without any book; a stand-in need not be waited for as long as the venue.
        apart: dict[str, Any] = {"redis_url": "embedded://demo", "first_book_timeout_s": 3}
        markets = given.get("markets")
        if isinstance(markets, str | int) and str(markets).isdigit():
            # Whoever asks for that many markets wants to see them, those that follow the short ones included.
            room = 2 * int(markets)
            apart |= {"max_markets": max(500, room), "max_connections": max(40, room // 20)}
        return apart | given

    @model_validator(mode="after")
    def _capture_needs_simulated(self) -> Self:
        if self.capture and self.venue != "simulated":
            raise CrossedError("capture", "only the simulated venue plays captures", "venue")
        return self

    @model_validator(mode="after")
    def _synthetic_needs_synthetic(self) -> Self:
        for field in SYNTHETIC_ONLY:
            if field in self.model_fields_set and self.venue != "simulated":
                raise CrossedError(field, "belongs to the simulated venue", "venue")
            if field in self.model_fields_set and self.capture:
                raise CrossedError(field, "means nothing to recordings", "capture")
        return self


class HealthSettings(RedisSettings):
    """Exits with 0 if the worker on this host is running or standing by and said so lately, else with 1."""

    worker: str = argument(
        "",
        "The name of the worker that is meant; without it: the one that started last on this host.",
        allowed="a worker's name",
        metavar="ID",
    )
    max_age_s: float = argument(5, "A worker that was silent for longer is not well.", gt=0, le=3_600)


class RedisUrlSettings(RedisSettings):
    """Prints the URL under which other programs reach the Redis of REDIS_URL."""


MODELS: Mapping[str, type[CommandSettings]] = {
    "up": UpSettings,
    "worker": WorkerSettings,
    "dashboard": DashboardSettings,
    "tail": TailSettings,
    "verify": VerifySettings,
    "replay": ReplaySettings,
    "groups": GroupsSettings,
    "catalog": CatalogSettings,
    "arbitrage": ArbitrageSettings,
    "opportunities": OpportunitiesSettings,
    "simulate": SimulateSettings,
    "health": HealthSettings,
    "redis-url": RedisUrlSettings,
}
"""The settings of each command that has any."""
