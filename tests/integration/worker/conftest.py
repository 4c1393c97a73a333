"""What most of these tests begin with: a Redis of their own that they empty, and a venue that can be made silent.

A file that needs another kind of one of them defines it under the same name.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.rig import Streams
from tests.integration.worker.silence_rig import MARKETS, Start, Watched, quick_start
from tests.redis_server import PrivateRedis


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def streams(server: PrivateRedis) -> Iterator[Streams]:
    with server.client() as client:
        client.flushall()
        yield Streams(client)


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with open_venue(MARKETS) as venue:
        yield venue


@pytest.fixture
def watched(streams: Streams) -> Watched:
    return Watched(streams)


@pytest.fixture
def start(
    request: pytest.FixtureRequest,
    server: PrivateRedis,
    venue: FakeVenue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Start:
    return quick_start(request.param, server, venue, tmp_path, monkeypatch)
