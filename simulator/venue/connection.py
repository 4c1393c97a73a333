"""One client's websocket: a bounded outbox and the task that empties it.

A thin shell: what a client's frame means is `protocol.py`'s, whom a frame concerns is `hub.py`'s.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
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

    Args:
        number: 1 for the first one that was accepted.
        max_bytes: a client that leaves so much unread is cut.
        on_slow: called when it was.

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
        *,
        number: int,
        max_bytes: int,
        on_slow: Callable[[], None],
    ) -> None:
        self.number = number
        self.silent = False
        self.subscription = Subscription()
        self.market_of: dict[str, str] = {}
        self.markets: Counter[str] = Counter()
        self.pending_bytes = 0
        self.progress_s = 0.0
        self._socket = socket
        self._transport = transport
        self._protocol = protocol
        self._max_bytes = max_bytes
        self._on_slow = on_slow
        self._outbox: deque[bytes] = deque()
        self._late: deque[tuple[float, bytes]] = deque()
        self._ending: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time

    def queue(self, data: bytes, delay_s: float = 0.0) -> None:
        """Queues a text frame; a client that does not read is cut instead.

        A frame that is delayed delays all that is queued after it: order stays as it is.
        """
        if self.gone or self.silent or self._ending is not None:
            return
        if len(data) > self._max_bytes:
            # Only a fault sends such a frame, and means it to arrive.
            self._max_bytes += len(data)
        if self.pending_bytes and self.pending_bytes + len(data) > self._max_bytes:
            self.cut()
            self._on_slow()
            return
        self.pending_bytes += len(data)
        if delay_s or self._late:
            self._queue_late(data, delay_s)
        else:
            self._hand_over(data)

    def _hand_over(self, data: bytes) -> None:
        if not self._outbox:
            self.progress_s = self._clock()
        self._outbox.append(data)
        self._wake.set()

    def _queue_late(self, data: bytes, delay_s: float) -> None:
        due_s = self._clock() + delay_s
        if self._late:
            due_s = max(due_s, self._late[-1][0])
        else:
            self._loop.call_at(due_s, self._hand_over_late)
        self._late.append((due_s, data))
        # What waits on purpose is no sign of a client that does not read.
        self.progress_s = max(self.progress_s, due_s)

    def _hand_over_late(self) -> None:
        while self._late and self._late[0][0] <= self._clock():
            self._hand_over(self._late.popleft()[1])
        if self._late:
            self._loop.call_at(self._late[0][0], self._hand_over_late)

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
                self.progress_s = self._late[-1][0] if self._late else self._clock()
                taken.set()

    @property
    def gone(self) -> bool:
        """Whether the connection is ending or has ended."""
        return self._transport.is_closing()

    def cut(self) -> None:
        """Ends the connection at once, without a close frame: the client sees 1006."""
        self._forget_frames()
        self._transport.abort()

    def go_silent(self) -> None:
        """Reads and writes nothing any more; TCP stays up."""
        self.silent = True
        self._forget_frames()
        self._transport.pause_reading()

    def end(self, code: int, reason: str = "") -> None:
        """Sends nothing more and closes, without waiting for it; 1006 cuts."""
        if code == 1006 or self.silent:
            self.cut()
        elif self._ending is None:
            self._forget_frames()
            self._ending = asyncio.create_task(self.close(code, reason))

    async def ended(self) -> None:
        """Waits for the close frame of `end`, if there is one under way."""
        if self._ending is not None:
            await asyncio.wait({self._ending})

    def _forget_frames(self) -> None:
        self._outbox.clear()
        self._late.clear()
        self.pending_bytes = 0

    async def close(self, code: int, reason: str = "") -> None:
        """Closes with a close frame; 1006 cuts."""
        if code == 1006 or self.silent:
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
