"""The ids of entries: one rising counter for everything that a worker writes (pure)."""

from __future__ import annotations

from marketdata.entries import EntryId


class IdClock:
    """Makes `<ms>-<n>` with ms = max(receive time, last ms); each id is above every earlier one."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = EntryId(0, 0)

    def peek_ms(self, recv_us: int) -> int:
        """The milliseconds that the next id would have."""
        return max(recv_us // 1000, self.last.ms)

    def next(self, recv_us: int) -> EntryId:
        """The next id for something received at `recv_us` (Unix microseconds)."""
        ms = recv_us // 1000
        last_ms, n = self.last
        self.last = EntryId(ms, 0) if ms > last_ms else EntryId(last_ms, n + 1)
        return self.last

    def raise_above(self, ms: int) -> None:
        """All further ids have more than `ms` milliseconds."""
        if ms >= self.last.ms:
            self.last = EntryId(ms + 1, 0)
