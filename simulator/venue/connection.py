"""One client's websocket: a bounded outbox and the task that empties it.

A thin shell: what a client's frame means is `protocol.py`'s, whom a frame concerns is `hub.py`'s.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import Final

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol

from simulator.venue.protocol import Subscription

CLOSE_TIMEOUT_S: Final = 1.0
"""A client that does not answer a close frame in this time is cut."""

WRITE_BYTES: Final = 64 * 1024
"""Frames go to the transport in pieces of about this size: a system call a frame costs more than the frame."""


class Connection:
    """One websocket.

    Attributes:
        pending_bytes: queued and not yet taken by the transport.
        market_of: condition id of each subscribed token, as it was when it was subscribed; a resolved market is
            no longer known to the feed.
        markets: how many tokens of a market are subscribed.
    """

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        protocol: BaseProtocol,
        max_bytes: int,
    ) -> None:
        self.subscription = Subscription()
        self.market_of: dict[str, str] = {}
        self.markets: Counter[str] = Counter()
        self.pending_bytes = 0
        self.progress_s = 0.0
        self._socket = socket
        self._transport = transport
        self._protocol = protocol
        self._max_bytes = max_bytes
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    def queue(self, data: bytes) -> bool:
        """Queues a text frame; False: the client does not read, the connection was cut instead."""
        if self.gone:
            return True
        if self.pending_bytes and self.pending_bytes + len(data) > self._max_bytes:
            self.cut()
            return False
        if not self._outbox:
            self.progress_s = self._clock()
        self._outbox.append(data)
        self.pending_bytes += len(data)
        self._wake.set()
        return True

    async def write(self, taken: asyncio.Event) -> None:
        """Sends what is queued until the socket is gone; sets `taken` whenever the transport took a frame."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                pieces: list[bytes] = []
                size = 0
                while self._outbox and size < WRITE_BYTES:
                    data = self._outbox.popleft()
                    pieces += (_text_head(len(data)), data)
                    size += len(data)
                try:
                    self._transport.write(b"".join(pieces))
                    if self._protocol.writing_paused:
                        # What the library itself waits for after each frame.
                        await self._protocol._drain_helper()
                    lost = self.gone
                except ConnectionError:
                    lost = True
                if lost:
                    # The reading side sees the same end and takes the connection away.
                    self._outbox.clear()
                    taken.set()
                    return
                self.pending_bytes -= size
                self.progress_s = self._clock()
                taken.set()

    @property
    def gone(self) -> bool:
        """Whether the connection is ending or has ended."""
        return self._transport.is_closing()

    def cut(self) -> None:
        """Ends the connection at once, without a close frame: the client sees 1006."""
        self._outbox.clear()
        self._transport.abort()

    async def close(self, code: int, reason: str = "") -> None:
        """Closes with a close frame; 1006 cuts."""
        if code == 1006:
            self.cut()
            return
        try:
            # The close frame itself waits for room where the client does not read.
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._socket.close(code=code, message=reason.encode())
        except TimeoutError:
            self.cut()


def _text_head(size: int) -> bytes:
    """The head of an unmasked text frame. Source: RFC 6455, section 5.2."""
    if size < 126:
        return bytes((0x81, size))
    return b"\x81\x7e" + size.to_bytes(2, "big") if size < 65_536 else b"\x81\x7f" + size.to_bytes(8, "big")
