"""Calls of a handler that were begun for entries that came again.

A handler that takes its process with it (killed, out of memory, a crash in C) cannot be counted in that process. So
before each call for an entry that was delivered before, the call is counted in the hash `begun:{P}:GROUP`; the
acknowledgement forgets it. First deliveries are not counted, so that nothing is written for them.
"""

from __future__ import annotations

from collections.abc import Iterable

from marketdata.groups.backlog import Raw
from marketdata.groups.streams import pairs
from marketdata.groups.wire import Command, Fence, pack


class Begun:
    """Those of one partition. It is one entry at a time, and one that was handed back besides.

    Attributes:
        is_known: whether what others counted was read.
    """

    def __init__(self, key: str) -> None:
        self.is_known = False
        self._key = key
        self._counts: dict[str, int] = {}

    async def look(self, fence: Fence) -> None:
        """Reads what earlier members counted, and forgets what has been trimmed away since.

        Raises:
            LeaseLostError, ForgottenError, and the client's errors: see `Fence.transact`.
        """
        (found,) = await fence.ask([pack(("HGETALL", self._key))])
        if isinstance(found, Exception):
            raise found
        self._counts = {field.decode(): int(count) for field, count in pairs(found).items()}
        if self._counts:
            await self._forget_trimmed(fence)
        self.is_known = True

    async def _forget_trimmed(self, fence: Fence) -> None:
        places = [field.rpartition(" ") for field in self._counts]
        rows = await fence.ask([pack(("XRANGE", key, at, at)) for key, _, at in places])
        gone = [field for field, row in zip(self._counts, rows, strict=True) if not row]
        if gone:
            await fence.transact([pack(("HDEL", self._key, *gone))])
        for field in gone:
            del self._counts[field]

    def calls(self, raw: Raw) -> int:
        """How many were begun for this entry."""
        return self._counts.get(_field(raw), 0)

    def one_more(self, raw: Raw) -> Command:
        """Counts a call; what Redis is to be told. Told twice it counts once."""
        field = _field(raw)
        self._counts[field] = self._counts.get(field, 0) + 1
        return "HSET", self._key, field, self._counts[field]

    def ended(self, raws: Iterable[Raw]) -> list[Command]:
        """These are acknowledged: what Redis is to forget."""
        if not self._counts:
            return []
        fields = [field for raw in raws if self._counts.pop(field := _field(raw), 0)]
        return [("HDEL", self._key, *fields)] if fields else []


def _field(raw: Raw) -> str:
    return f"{raw.key} {raw.id}"
