"""A worker whose tokens fall silent: short waits, and what its streams and its own record say of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from simulator.captured.records import KnownMarket
from tests.integration.worker.fake_venue import FakeVenue
from tests.integration.worker.rig import Row, Streams, until, worker_settings, working
from tests.redis_server import PrivateRedis
from worker import moves, rescues, silence

MARKETS = 3
Start = Callable[..., AbstractAsyncContextManager[asyncio.Task[int]]]

both_modes = pytest.mark.parametrize("start", ["python", "native"], indirect=True)
one_mode = pytest.mark.parametrize("start", ["python"], indirect=True)


def quick_start(
    socket_mode: str, server: PrivateRedis, venue: FakeVenue, folder: Path, patch: pytest.MonkeyPatch
) -> Start:
    """Starts workers that wait a second where others wait half a minute, and follow the catalog as often."""
    catalog = venue.write_catalog(folder / "catalog.json")
    patch.setattr(silence, "SECOND_LOOK_S", 0.2)
    patch.setattr(rescues, "RESCUE_WAIT_S", 0.5)
    patch.setattr(moves, "RESCUE_PATIENCE_S", 3.0)

    def start(**given: Any) -> AbstractAsyncContextManager[asyncio.Task[int]]:
        settings = {
            "worker_id": "w1",
            "socket_mode": socket_mode,
            "venue_ws_url": venue.ws_url,
            "clob_url": venue.url,
            "catalog": catalog,
            "catalog_refresh_s": 1,
            "reconnect_min_s": 0.05,
            "reconnect_max_s": 0.4,
            "opens_per_s": 1000,
            "stale_after_s": 1,
            "quarantine_retry_s": 1,
        }
        return working(worker_settings(server.url, **{**settings, **given}))

    return start


class Watched:
    """The streams of the venue's markets, and the worker's own word."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams

    def rows(self, one: KnownMarket, outcome: int | None = None) -> list[Row]:
        found = self.streams.by_market().get(one.condition_id, [])
        return [row for row in found if outcome is None or row.entry.outcome == outcome]

    def kinds(self, one: KnownMarket, outcome: int) -> list[str]:
        """Kinds of a token's entries; gaps by their cause."""
        rows = self.rows(one, outcome)
        return [row.entry.gap_cause if row.entry.kind == "gap" else row.entry.kind for row in rows]

    def status(self) -> dict[str, Any]:
        return self.streams.status("w1")

    def counter(self, name: str) -> int:
        return int(self.status().get("counters", {}).get(name, 0))

    async def live(self, tokens: int = 2 * MARKETS) -> None:
        await until(lambda: self.status().get("tokens_live") == tokens, f"{tokens} live tokens")

    async def bid(self, one: KnownMarket, outcome: int, cents: int, bound_s: float = 20.0) -> None:
        """Waits until the newest top of a token is this one."""

        def told() -> bool:
            tops = [row for row in self.rows(one, outcome) if row.entry.kind == "top"]
            return bool(tops) and tops[-1].entry.bid == f"0.{cents}"

        await until(told, f"a bid of 0.{cents}", bound_s)
