"""One connection's rules on the market channel: what a client's frame changes, and what is answered.

Pure: texts in, answers out. Source: Polymarket's market channel documentation; the texts INVALID OPERATION
and NO NEW ASSETS, the empty dump, close code 1008 and the cut for large frames as public clients report them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from marketdata.venue import MAX_TOKENS_A_CONNECTION

MAX_IDS_BEFORE_CUT: Final = 1000
"""A frame with more ids ends the connection. The venue's number is not known: 100 pass, thousands do not."""

INVALID_OPERATION: Final = "INVALID OPERATION"
NO_NEW_ASSETS: Final = "NO NEW ASSETS"
INVALID_PAYLOAD: Final = "invalid subscription payload"


@dataclass(frozen=True, slots=True)
class Answer:
    """What follows from one frame of the client.

    Attributes:
        text: a text frame to send.
        dump: token ids whose books are to be sent as one array, `[]` where none has one; None: no dump.
        added: token ids that are subscribed now and were not before.
        removed: token ids that were and are not.
        close: close with this code and `reason`; 1006: cut without a close frame.
    """

    text: str | None = None
    dump: tuple[str, ...] | None = None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    close: int | None = None
    reason: str = ""


@dataclass(slots=True)
class Subscription:
    """What one connection has asked for so far."""

    accepted: bool = False
    custom: bool = False
    wants_dump: bool = True
    tokens: set[str] = field(default_factory=set)

    def receive(self, payload: str | bytes) -> Answer:
        """Handles one frame of the client; bytes are a binary frame, which the channel does not know."""
        request = _parsed(payload)
        if not self.accepted:
            return self._first(request)
        if payload == "PING":
            return Answer(text="PONG")
        if request is None:
            return Answer(text=INVALID_OPERATION)
        ids = _ids(request)
        if ids is None or not ids:
            return Answer(text=INVALID_OPERATION)
        if len(ids) > MAX_IDS_BEFORE_CUT:
            return Answer(close=1006)
        match request.get("operation"):
            case "subscribe":
                self.custom = self.custom or request.get("custom_feature_enabled") is True
                return self._add(ids)
            case "unsubscribe":
                return self._remove(ids)
            case _:
                return Answer(text=INVALID_OPERATION)

    def _first(self, request: dict[str, Any] | None) -> Answer:
        if request is None or str(request.get("type", "")).lower() != "market":
            return Answer(close=1008, reason=INVALID_PAYLOAD)
        ids = _ids(request)
        custom = request.get("custom_feature_enabled") is True
        if ids is None or not (ids or custom):
            return Answer(text=INVALID_OPERATION)
        if len(ids) > MAX_IDS_BEFORE_CUT:
            return Answer(close=1006)
        self.accepted = True
        self.custom = custom
        self.wants_dump = request.get("initial_dump") is not False
        return self._add(ids) if ids else Answer()

    def _add(self, ids: Sequence[str]) -> Answer:
        added = tuple(dict.fromkeys(token_id for token_id in ids if token_id not in self.tokens))
        if not added:
            return Answer(text=NO_NEW_ASSETS)
        # The connection stays up beyond the cap, but first books stop coming.
        room = max(0, MAX_TOKENS_A_CONNECTION - len(self.tokens))
        self.tokens.update(added)
        return Answer(added=added, dump=(added[:room] or None) if self.wants_dump else None)

    def _remove(self, ids: Sequence[str]) -> Answer:
        removed = tuple(dict.fromkeys(token_id for token_id in ids if token_id in self.tokens))
        self.tokens.difference_update(removed)
        return Answer(removed=removed)


def _parsed(payload: str | bytes) -> dict[str, Any] | None:
    if isinstance(payload, bytes):
        return None
    try:
        request = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return request if isinstance(request, dict) else None


def _ids(request: dict[str, Any]) -> list[str] | None:
    ids = request.get("assets_ids")
    if not isinstance(ids, list) or not all(isinstance(token_id, str) and token_id for token_id in ids):
        return None
    return ids
