"""The second seam: how a venue behaves towards its clients. The ordinary conduct does nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from aiohttp import web

from simulator.feed import Frame

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def can_be_sent(code: int) -> bool:
    """Whether a connection can be ended with this close code; 1006 stands for a cut, 1004 and 1005 cannot be sent."""
    return (1000 <= code <= 1014 and code not in (1004, 1005)) or 3000 <= code <= 4999


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer in place of a websocket.

    Attributes:
        status: of HTTP.
        retry_after_s: the header Retry-After; None: left out.
    """

    status: int
    retry_after_s: int | None = None

    def response(self) -> web.Response:
        """What is answered."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        return web.json_response({"error": "refused"}, status=self.status, headers=headers)


class Line(Protocol):
    """One client's connection, as a conduct sees it."""

    @property
    def number(self) -> int:
        """1 for the first connection that was accepted."""

    @property
    def market_of(self) -> Mapping[str, str]:
        """Condition id of each subscribed token that the feed knew when it was subscribed."""

    def queue(self, data: bytes, delay_s: float = 0.0) -> None:
        """Sends a text frame. A frame that is delayed delays all that is sent after it."""

    def end(self, code: int, reason: str = "") -> None:
        """Sends nothing more and closes; 1006 cuts."""

    def go_silent(self) -> None:
        """Reads and writes nothing any more; TCP stays up until the connection is ended."""


class Conduct(Protocol):
    """What a hub asks at each turn of a connection's life.

    Attributes:
        idle: nothing is to be done with frames: they are not shown to `deliver`.
    """

    idle: bool

    def refusal(self) -> Refusal | None:
        """Before the upgrade to a websocket: the answer in its place, or None."""

    def accepted(self, line: Line) -> None:
        """A websocket is open; nothing was read from it yet."""

    def subscribed(self, line: Line, tokens: tuple[str, ...]) -> None:
        """The client subscribed to tokens; their books have not been sent yet."""

    def shown(self, line: Line, tokens: tuple[str, ...]) -> tuple[str, ...]:
        """Of which of these tokens the first book is sent."""

    def deliver(self, line: Line, frame: Frame) -> None:
        """Sends a frame of the feed to a connection that it concerns; in place of the hub, unless `idle`."""

    def gone(self, line: Line) -> None:
        """The connection has ended."""

    async def rest(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers a REST call, by the handler or without it."""


class Ordinary:
    """A venue without a fault."""

    idle: bool = True

    def refusal(self) -> Refusal | None:
        return None

    def accepted(self, line: Line) -> None: ...

    def subscribed(self, line: Line, tokens: tuple[str, ...]) -> None: ...

    def shown(self, line: Line, tokens: tuple[str, ...]) -> tuple[str, ...]:
        return tokens

    def deliver(self, line: Line, frame: Frame) -> None:
        line.queue(frame.data)

    def gone(self, line: Line) -> None: ...

    async def rest(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request)


ORDINARY: Final[Conduct] = Ordinary()
