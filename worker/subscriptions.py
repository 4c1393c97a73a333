"""What a connection asks the venue for (pure): frames of at most 100 ids, the first in a form of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from marketdata.venue import MAX_IDS_A_FRAME
from worker.notices import Command, Send


class Subscriptions:
    """Writes subscriptions to `commands`. Before the first one nothing else may be sent: the venue closes with 1008."""

    def __init__(self, commands: list[Command]) -> None:
        self.begun = False
        """Whether the first subscription of this connection has been sent."""
        self._commands = commands
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether there is a connection to send on."""
        return self._is_open

    def opened(self) -> None:
        """A connection is there, nothing is subscribed."""
        self._is_open, self.begun = True, False

    def closed(self) -> None:
        """The connection is gone, and with it all subscriptions."""
        self._is_open = self.begun = False

    def subscribe(self, tokens: Sequence[str]) -> None:
        """Adds tokens, on an open connection."""
        if not self._is_open:
            return
        for chunk in _chunks(tokens):
            if self.begun:
                self._send({"operation": "subscribe", "assets_ids": chunk, "custom_feature_enabled": True})
            else:
                self.begun = True
                self._send({"assets_ids": chunk, "type": "market", "custom_feature_enabled": True})

    def unsubscribe(self, tokens: Sequence[str]) -> None:
        """Takes tokens off, where any were subscribed."""
        if self.begun:
            for chunk in _chunks(tokens):
                self._send({"operation": "unsubscribe", "assets_ids": chunk})

    def _send(self, payload: dict[str, object]) -> None:
        self._commands.append(Send(orjson.dumps(payload).decode()))


def _chunks(tokens: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(tokens), MAX_IDS_A_FRAME):
        yield list(tokens[start : start + MAX_IDS_A_FRAME])
