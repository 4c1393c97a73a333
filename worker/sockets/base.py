"""What a socket implementation offers to a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from marketdata.errors import BookstreamError


class ConnectError(BookstreamError):
    """The venue could not be reached; it will be tried again."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """What the venue asked for with Retry-After, seconds; 0: nothing."""


class Closed(NamedTuple):
    """How a connection ended. 1006: without a close frame."""

    code: int
    reason: str


class Socket(Protocol):
    """An open websocket. Frames arrive as bytes, text and binary alike."""

    async def receive(self, on_frame: Callable[[bytes], None]) -> Closed:
        """Calls `on_frame` for each frame until the connection ends."""
        ...

    async def send(self, text: str) -> None:
        """Sends a text frame; does nothing on a connection that is closing."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Closes in good order, within about a second."""
        ...


class Connector(Protocol):
    """Opens sockets of one implementation."""

    async def __call__(self, url: str) -> Socket:
        """Opens a connection.

        Raises:
            ConnectError: it could not be opened.
        """
        ...
