"""SOCKET_MODE=native: the `picows` library (the native extra), without a task or a wait a frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)

from marketdata.venue import MAX_FRAME_BYTES
from worker.retry_after import retry_after_s
from worker.sockets.base import Closed, ConnectError
from worker.sockets.python import CLOSE_TIMEOUT_S, OPEN_TIMEOUT_S

EARLY_FRAMES: Final = 1_000
"""Frames kept that arrive before anybody receives; the venue sends none before a subscription."""


class NativeSocket(WSListener):
    """An open connection of picows. Its callbacks run in the event loop, without a task or future a frame."""

    def __init__(self) -> None:
        self._transport: WSTransport | None = None
        self._on_frame: Callable[[bytes], None] | None = None
        self._early: list[bytes] = []
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._closed = Closed(1006, "")
        self._gone = asyncio.get_running_loop().create_future()

    async def receive(self, on_frame: Callable[[bytes], None]) -> Closed:
        """Calls `on_frame` for each frame until the connection ends."""
        early, self._early = self._early, []
        for data in early:
            on_frame(data)
        self._on_frame = on_frame
        try:
            await asyncio.shield(self._gone)
        finally:
            self._on_frame = None
        assert self._transport is not None, "the connection was open"
        try:
            # An error of `on_frame` comes out here.
            await self._transport.wait_disconnected()
        except WSProtocolError as error:
            # A frame above the limit, or one that breaks the protocol: closed by us.
            return Closed(error.code.value, str(error)[:120])
        except (WSError, OSError) as error:
            return Closed(1006, str(error)[:120])
        return self._closed

    async def send(self, text: str) -> None:
        """Sends a text frame; does nothing on a connection that is closing."""
        transport = self._transport
        if transport is not None and not transport.is_disconnected and not transport.is_close_frame_sent:
            transport.send(WSMsgType.TEXT, text.encode())

    async def close(self, code: int, reason: str) -> None:
        """Closes in good order, within about a second."""
        transport = self._transport
        if transport is None or transport.is_disconnected:
            return
        if not transport.is_close_frame_sent:
            self._closed = Closed(code, reason)
            transport.send_close(WSCloseCode(code), reason.encode()[:120])
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.shield(self._gone)
        except TimeoutError:
            transport.disconnect(graceful=False)
            await asyncio.shield(self._gone)

    # -- called by picows -----------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            data = frame.get_payload_as_bytes()
            if frame.fin and not self._parts:
                self._deliver(transport, data)
            else:
                self._gather(transport, data, frame.fin)
        elif kind == WSMsgType.CLOSE:
            # Read from the payload: picows knows no codes of applications (4000 and above).
            payload = frame.get_payload_as_bytes()
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            if not transport.is_close_frame_sent:
                self._closed = Closed(code, payload[2:].decode(errors="replace"))
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if not self._gone.done():
            self._gone.set_result(None)

    def _gather(self, transport: WSTransport, data: bytes, last: bool) -> None:
        """A fragment: messages in several frames arrive as such."""
        self._parts.append(data)
        self._parts_bytes += len(data)
        if self._parts_bytes > MAX_FRAME_BYTES:
            self._closed = Closed(1009, "a message above the limit")
            transport.send_close(WSCloseCode.MESSAGE_TOO_BIG, b"too big")
            transport.disconnect()
        elif last:
            whole = b"".join(self._parts)
            self._parts, self._parts_bytes = [], 0
            self._deliver(transport, whole)

    def _deliver(self, transport: WSTransport, data: bytes) -> None:
        if self._on_frame is not None:
            self._on_frame(data)
        elif len(self._early) < EARLY_FRAMES:
            self._early.append(data)
        else:
            self._closed = Closed(1008, "frames before a subscription")
            transport.disconnect(graceful=False)


async def connect_native(url: str) -> NativeSocket:
    """Opens a connection.

    Raises:
        ConnectError: it could not be opened.
    """
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            _, listener = await ws_connect(
                NativeSocket,
                url,
                websocket_handshake_timeout=OPEN_TIMEOUT_S,
                max_frame_size=MAX_FRAME_BYTES,
                extra_headers={"User-Agent": "bookstream"},
            )
    except WSInvalidStatusError as error:
        response = error.response
        header = response.headers.get("Retry-After", "") if response is not None else ""
        status = int(response.status) if response is not None else "with an unusable status"
        raise ConnectError(
            f"the venue answered HTTP {status}", retry_after_s(header, datetime.now(UTC))
        ) from None
    except (OSError, TimeoutError, WSError) as error:
        raise ConnectError(str(error).splitlines()[0] if str(error) else type(error).__name__) from None
    assert isinstance(listener, NativeSocket), "picows returns what the factory made"
    return listener
