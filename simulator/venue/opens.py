"""When connections were asked for, so that a client's rate can be held against its limit."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

OPENS_KEPT: Final = 100_000


class Open(NamedTuple):
    """One request for a websocket.

    Attributes:
        ms: when it came, Unix milliseconds.
        client: what it calls itself: its User-Agent.
        connection: its number if it was accepted, else 0.
        status: of HTTP; 101 if it was accepted.
    """

    ms: int
    client: str
    connection: int
    status: int


class Opens:
    """The newest of them, and how many there were."""

    def __init__(self, kept: int = OPENS_KEPT) -> None:
        self.total = 0
        self._rows: deque[Open] = deque(maxlen=kept)

    def note(self, one: Open) -> None:
        """Remembers one."""
        self.total += 1
        self._rows.append(one)

    def told(self, since_ms: int = 0, client: str = "") -> dict[str, Any]:
        """What `/control/opens` answers: those from `since_ms` on, of clients whose name begins with `client`."""
        rows = [one for one in self._rows if one.ms >= since_ms and one.client.startswith(client)]
        return {"total": self.total, "kept": len(self._rows), "opens": [one._asdict() for one in rows]}
