"""The last things that happened to a worker, for people who watch it. Bounded, newest last."""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, TypedDict

from marketdata.clock import now_ms

KEPT: Final = 50

What = Literal["gap", "reconnect", "rescue", "error", "market"]


class Event(TypedDict):
    """One of them."""

    ms: int
    what: What
    text: str


class Recent:
    """What `worker:ID` tells as `log`."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)

    def add(self, what: What, text: str) -> None:
        """One more; the oldest goes."""
        self._events.append({"ms": now_ms(), "what": what, "text": text[:200]})

    def events(self) -> list[Event]:
        """All that are kept."""
        return list(self._events)
