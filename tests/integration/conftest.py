"""What most of these tests begin with. A file that needs another kind of one of them defines it under the same name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    """Writes to an empty Redis."""
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client, count=12)
