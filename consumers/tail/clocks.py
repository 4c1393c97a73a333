"""Says when nobody vouches for what is printed any more: no line looks the same as a quiet market."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from redis.asyncio import Redis

from consumers.silence import Silence
from consumers.text import age, utc
from marketdata.entries import EntryId
from marketdata.groups.messages import SILENT_AFTER_S
from marketdata.keys import Keys


class Clocks:
    """The clock entries of the partitions that are printed. Lets the client's own errors through.

    Args:
        say: gets one line when clocks stop, and one when they go again.
    """

    def __init__(self, client: Redis, keys: Keys, say: Callable[[str], None]) -> None:
        self._client = client
        self._keys = keys
        self._say = say
        self._silence = Silence[int]()
        self._last: dict[int, EntryId | None] = {}

    async def look(self, partitions: Collection[int], now_s: float) -> None:
        """About once a second; `now_s` rises and has any beginning."""
        numbers = list(partitions)
        async with self._client.pipeline(transaction=False) as pipe:
            for number in numbers:
                pipe.xrevrange(self._keys.clock(number), count=1)
            replies: list[Any] = await pipe.execute()
        self._last = {
            number: EntryId.parse(rows[0][0]) if rows else None
            for number, rows in zip(numbers, replies, strict=True)
        }
        change = self._silence.look(self._last, now_s)
        if change == "silent":
            self._say(self._stopped())
        elif change == "back":
            self._say(f"every clock goes again, after {age(now_s - self._silence.since_s)}")

    def was_deaf(self, now_s: float) -> None:
        """Redis was away until now."""
        self._silence.was_deaf(now_s)

    def _stopped(self) -> str:
        silent = self._silence.silent
        newest = max((last for one in silent if (last := self._last[one]) is not None), default=None)
        since = f"the last one was at {utc(newest.ms)}" if newest is not None else "there never was one"
        return (
            f"no clock entry for {SILENT_AFTER_S:g} s in {len(silent)} of {len(self._last)} partitions ({since}):"
            " nobody writes there, and quotes may be old"
        )
