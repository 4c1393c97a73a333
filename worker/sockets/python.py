"""SOCKET_MODE=python: the `websockets` library."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from marketdata.venue import MAX_FRAME_BYTES
from worker.retry_after import retry_after_s
from worker.sockets.base import Closed, ConnectError

OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
QUEUED_FRAMES: Final = 1_024
"""Frames parsed but not yet handled; beyond it the library stops reading the socket."""


class PythonSocket:
    """An open connection of the websockets library."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def receive(self, on_frame: Callable[[bytes], None]) -> Closed:
        """Calls `on_frame` for each frame until the connection ends."""
        connection = self._connection
        try:
            while True:
                # Undecoded: one frame of invalid UTF-8 must not end the connection with 1007.
                on_frame(await connection.recv(decode=False))
        except ConnectionClosed as error:
            # Whoever closed first knows why; the other side only echoes.
            first = error.rcvd if error.rcvd_then_sent or error.sent is None else error.sent
            return Closed(1006, "") if first is None else Closed(first.code, first.reason)

    async def send(self, text: str) -> None:
        """Sends a text frame; does nothing on a connection that is closing."""
        try:
            await self._connection.send(text)
        except ConnectionClosed:
            # The receiver learns of it as well, and says why.
            return

    async def close(self, code: int, reason: str) -> None:
        """Closes in good order, within about a second."""
        await self._connection.close(code, reason[:120])


async def connect_python(url: str) -> PythonSocket:
    """Opens a connection.

    Compression is off (it costs more than it saves here), and so are the library's own pings: the venue wants text
    PINGs, which the protocol sends.

    Raises:
        ConnectError: it could not be opened.
    """
    try:
        connection = await connect(
            url,
            compression=None,
            ping_interval=None,
            max_size=MAX_FRAME_BYTES,
            max_queue=QUEUED_FRAMES,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            user_agent_header="bookstream",
        )
    except InvalidStatus as error:
        response = error.response
        retry_after = response.headers.get("Retry-After", "")
        raise ConnectError(
            f"the venue answered HTTP {response.status_code}",
            retry_after_s(retry_after, datetime.now(UTC)),
        ) from None
    except (TimeoutError, OSError, WebSocketException, EOFError) as error:
        raise ConnectError(str(error) or type(error).__name__) from None
    return PythonSocket(connection)
