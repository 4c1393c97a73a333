"""The seam: what the venue's face asks of a feed, and what a feed asks of its audience.

A feed knows markets and books and decides what is sent when; the audience is everyone connected. A faulty
venue is an Audience wrapped around the real one; another source of data is another Feed.
"""

from __future__ import annotations

from collections.abc import Callable, KeysView, Mapping, Sequence
from typing import Any, NamedTuple, Protocol


class Frame(NamedTuple):
    """One text frame and whom it concerns.

    Attributes:
        data: the payload, sent byte for byte.
        markets: condition ids; connections that watch a token of one of them get the frame.
        custom_only: only for connections that asked for the custom features.
        everywhere: not bound to markets: goes to every connection (that custom_only allows).
    """

    data: bytes
    markets: frozenset[str]
    custom_only: bool = False
    everywhere: bool = False


class Audience(Protocol):
    """Everyone connected, as a feed sees them."""

    @property
    def accepted(self) -> int:
        """Connections whose first subscription was accepted, ever."""

    def watched(self) -> KeysView[str]:
        """Token ids that at least one connection is subscribed to, now."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until `condition` holds; looked at after every change of subscriptions."""

    def publish(self, frame: Frame) -> None:
        """Queues a frame for whom it concerns. Never blocks; a full queue ends its connection."""

    async def room(self) -> None:
        """Lets the writers run, and waits while a connection that still reads is far behind."""


class Feed(Protocol):
    """What plays behind the venue's face."""

    def events(self) -> Sequence[Mapping[str, Any]]:
        """Events in Gamma's shape, their markets inside, as they stand now."""

    def market_of(self, token_id: str) -> str | None:
        """The condition id (0x and 64 hex digits) of a token; None for an unknown one."""

    def socket_book(self, token_id: str) -> bytes | None:
        """The token's current `book` message, compact JSON; None where there is none."""

    def rest_book(self, token_id: str) -> bytes | None:
        """What `/book` answers for the token, compact JSON; None where there is none."""

    def status(self) -> Mapping[str, object]:
        """`state` (waiting, playing or done), `frames_sent`, `frames_total` and what else the feed counts."""

    async def play(self, audience: Audience) -> None:
        """Plays to the audience until there is nothing more."""
