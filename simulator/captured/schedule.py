"""How long to wait before each recorded row. Pure."""

from __future__ import annotations

from typing import Final

MAX_GAP_MS: Final = 5_000.0
"""Longer silences are cut to this, so that excerpts with minutes between them keep moving."""

UNKNOWN_GAP_MS: Final = 50.0
"""Between two rows of which neither arrival nor the venue's time is known."""


class Gaps:
    """Gives each row the wait before it, from arrival times where both rows have one, else from the venue's.

    Times that go back (two markets in one file, clocks set back) count from the newest one seen: no wait.
    """

    def __init__(self) -> None:
        self._started = False
        self._received_ms: float | None = None
        self._venue_ms: int | None = None

    def next_ms(self, received_ms: float | None, venue_ms: int | None) -> float:
        """Milliseconds to wait before this row at speed 1; 0 for the first."""
        if received_ms is not None and self._received_ms is not None:
            gap_ms = received_ms - self._received_ms
        elif venue_ms is not None and self._venue_ms is not None:
            gap_ms = float(venue_ms - self._venue_ms)
        else:
            gap_ms = UNKNOWN_GAP_MS if self._started else 0.0
        self._started = True
        if received_ms is not None:
            self._received_ms = max(received_ms, self._received_ms or received_ms)
        if venue_ms is not None:
            self._venue_ms = max(venue_ms, self._venue_ms or venue_ms)
        return min(max(gap_ms, 0.0), MAX_GAP_MS)
