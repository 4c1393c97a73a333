"""Calls of a handler that were begun for entries that came again.

A handler that takes its process with it (killed, out of memory, a crash in C) cannot be counted in that process. So
before each call for an entry that was delivered before, the call is counted in the hash `begun:{P}:GROUP`; the
acknowledgement forgets it. A call that is known not to be to blame (it returned, but its partition was lost
meanwhile; or it was cancelled) is taken back. First deliveries are not counted, so that nothing is written for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from marketdata.groups.backlog import Raw
from marketdata.groups.streams import pairs
from marketdata.groups.wire import Command, Fence, pack

# By then another member may have counted calls of its own, or have forgotten all of them with its acknowledgement.
_TAKE_BACK: Final = """
local count = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
if count > 1 then redis.call('HSET', KEYS[1], ARGV[1], count - 1) end
if count == 1 then redis.call('HDEL', KEYS[1], ARGV[1]) end
"""


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

    async def calls(self, raw: Raw, fence: Fence) -> int:
        """How many were begun for this entry. Redis is asked only where any were: one may have been taken back since.

        Raises:
            The client's errors.
        """
        field = _field(raw)
        if field in self._counts:
            (found,) = await fence.ask([pack(("HGET", self._key, field))])
            if isinstance(found, Exception):
                raise found
            if found is None:
                del self._counts[field]
            else:
                self._counts[field] = int(found)
        return self._counts.get(field, 0)

    def one_more(self, raw: Raw) -> Command:
        """Counts a call; what Redis is to be told. Told twice it counts once."""
        field = _field(raw)
        self._counts[field] = self._counts.get(field, 0) + 1
        return "HSET", self._key, field, self._counts[field]

    async def take_back(self, raw: Raw, fence: Fence) -> None:
        """Forgets one call for this entry, whoever holds the partition.

        Raises:
            The client's errors.
        """
        (found,) = await fence.ask([pack(("EVAL", _TAKE_BACK, 1, self._key, _field(raw)))])
        if isinstance(found, Exception):
            raise found

    def ended(self, raws: Iterable[Raw]) -> list[Command]:
        """These are acknowledged: what Redis is to forget."""
        if not self._counts:
            return []
        fields = [field for raw in raws if self._counts.pop(field := _field(raw), 0)]
        return [("HDEL", self._key, *fields)] if fields else []


def _field(raw: Raw) -> str:
    return f"{raw.key} {raw.id}"
