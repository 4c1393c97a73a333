"""A proxy in front of Redis that loses what it is told to lose, at places drawn from a seeded source."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Literal

Fault = Literal["cut request", "lose reply", "late request"]
FAULTS: tuple[Fault, ...] = ("cut request", "lose reply", "late request")
LATE_S = 0.01
REPLY_S = 1.0


class FaultyProxy:
    """Passes bytes on; each connection ends with one fault while `armed`.

    `cut request`: only a part of what the client sends arrives. `lose reply`: everything sent arrives, its
    replies do not. `late request`: what was sent arrives when the client has long given the connection up.
    """

    def __init__(self, server: Path, random: Random, within_bytes: int) -> None:
        self.armed = True
        self.faults: Counter[Fault] = Counter()
        self._server = server
        self._random = random
        self._within_bytes = within_bytes
        self._lives: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        return self.faults.total()

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Listens on a unix socket."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._lives.add(task)
            try:
                await self._live(reader, writer)
            except (OSError, asyncio.CancelledError):
                pass  # The other side was faster, or the test is over; it is gone either way.
            finally:
                writer.transport.abort()
                self._lives.discard(task)

        server = await asyncio.start_unix_server(accept, path)
        try:
            yield
        finally:
            server.close()
            for task in self._lives:
                task.cancel()
            await asyncio.gather(*self._lives, return_exceptions=True)
            await server.wait_closed()

    async def _live(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_unix_connection(self._server)
        replies = _Replies(upstream, to_client)
        copying = asyncio.create_task(replies.copy())
        try:
            fault, left = self._random.choice(FAULTS), self._random.randrange(self._within_bytes)
            while data := await client.read(65_536):
                if not self.armed or len(data) <= left:
                    left -= len(data)
                    to_upstream.write(data)
                    continue
                self.faults[fault] += 1
                if fault == "cut request":
                    to_upstream.write(data[:left])
                    await to_upstream.drain()
                    return
                replies.lost = True
                if fault == "late request":
                    to_client.transport.abort()
                    await asyncio.sleep(self._random.random() * LATE_S)
                replies.heard.clear()
                to_upstream.write(data)
                with suppress(TimeoutError):
                    await asyncio.wait_for(replies.heard.wait(), REPLY_S)
                return
        finally:
            copying.cancel()
            await asyncio.wait({copying})
            to_upstream.transport.abort()


class OvertakenProxy(FaultyProxy):
    """Holds the first batch back, and lets it arrive just before the client sends it a second time."""

    held: tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def _live(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_unix_connection(self._server)
        copying = asyncio.create_task(_Replies(upstream, to_client).copy())
        keep = False
        try:
            while data := await client.read(1 << 20):
                if self.armed and b"EXEC" in data:
                    if self.held is None:
                        self.held = data, upstream, to_upstream
                        keep = True
                        return
                    self.armed = False
                    self.faults["late request"] += 1
                    early, its_upstream, to_its_upstream = self.held
                    to_its_upstream.write(early)
                    # Only the answer to EXEC is an array.
                    while b"*" not in await its_upstream.read(1 << 16):
                        pass
                    to_its_upstream.transport.abort()
                to_upstream.write(data)
        finally:
            copying.cancel()
            await asyncio.wait({copying})
            if not keep:
                to_upstream.transport.abort()


class _Replies:
    """What the server answers, on its way to the client until it is to be lost."""

    def __init__(self, upstream: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self.lost = False
        self.heard = asyncio.Event()
        self._upstream = upstream
        self._to_client = to_client

    async def copy(self) -> None:
        with suppress(OSError):
            while data := await self._upstream.read(65_536):
                self.heard.set()
                if not self.lost:
                    self._to_client.write(data)
            self._to_client.close()
