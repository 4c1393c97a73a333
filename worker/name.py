"""A worker's name is one process's: `worker:ID` says whose, and nobody writes it over another who is alive.

Leases know their owner by its name alone, so that a worker that crashed has its partitions back at once. Two live
workers of one name would take them from each other for ever.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import redis.asyncio

from marketdata.clock import now_ms
from marketdata.errors import WorkerTakenError
from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.logs import get_logger

EXPIRES_S: Final = 10
"""A worker's word is gone this long after it was spoken."""

SILENT_S: Final = 2.0
"""Workers speak once a second: who says nothing for so long is dead."""

LOOK_EVERY_S: Final = 0.1

_BEGINNING: Final = 64
"""So many bytes of a word tell whose it is and which of theirs."""

_WRITE_OVER: Final = """
local found = redis.call('GETRANGE', KEYS[1], 0, 127)
for i = 3, #ARGV do
  if (ARGV[i] == '') == (found == '') and string.sub(found, 1, #ARGV[i]) == ARGV[i] then
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
    return 1
  end
end
return 0
"""
"""Writes over nothing but a word that begins in one of these ways; empty: where there is none."""

_LET_GO: Final = """
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0
"""


@dataclass(frozen=True, slots=True)
class Word:
    """What stands in `worker:ID`.

    Attributes:
        beginning: its first bytes; none: nothing stands there.
        is_last: whether its worker stopped in good order.
        who: process and host, for people.
    """

    beginning: bytes = b""
    is_last: bool = False
    who: str = "another process"

    @classmethod
    def of(cls, record: bytes | None) -> Word:
        """Reads a record; one of a stranger counts as a word as well."""
        if not record:
            return cls()
        try:
            said = orjson.loads(record)
            who = f"pid {said['pid']} on {said['host']}"
            return cls(record[:_BEGINNING], said["state"] == "stopped", who)
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return cls(record[:_BEGINNING])


class WorkerName:
    """The hold of this process on a WORKER_ID. The client's own errors go through everywhere.

    Attributes:
        worker_id: the name.
        instance: random; no other process has it.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        worker_id: str,
        partitions: int,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.worker_id = worker_id
        self.instance = secrets.token_hex(8)
        self._client = client
        self._key = keys.worker(worker_id)
        self._leases = Leases(client, keys, worker_id, 0)
        self._partitions = partitions
        self._sleep = sleep
        self._clock = clock
        # It comes first in every word: whose a word is costs a look at its first bytes.
        self._mine = b'{"instance":"%s"' % self.instance.encode()
        self._words = 0

    async def claim(self, first_word: Mapping[str, Any]) -> None:
        """Takes the name if nobody else lives under it. Where somebody did a moment ago this takes up to 2 s.

        Args:
            first_word: what to say of ourselves; whoever does not speak again within 2 s counts as dead.

        Raises:
            WorkerTakenError: somebody does, or was quicker.
        """
        seen = await self._word()
        if not seen.is_last and (seen.beginning or await self._may_have_been_cut_off()):
            get_logger("worker").info(
                f"{self.worker_id} was running a moment ago; waiting whether it still is", seconds=SILENT_S
            )
            seen = await self._watched(seen)
        # Nobody may have spoken since the last look: of two that start at the same moment one is told so here.
        if not await self._write_over(first_word, EXPIRES_S, seen.beginning):
            raise self._taken(await self._word())

    async def speak(self, record: Mapping[str, Any], *, expires_s: int) -> None:
        """Writes `worker:ID`.

        Raises:
            WorkerTakenError: another process has taken the name (this one was frozen, say); nothing was written.
        """
        if not await self._write_over(record, expires_s, b""):
            raise self._lost(await self._word())

    async def check(self) -> None:
        """Whoever takes a lease asks this before.

        Raises:
            WorkerTakenError: another process has taken the name.
        """
        beginning = await self._beginning()
        if beginning and not beginning.startswith(self._mine):
            raise self._lost(await self._word())

    async def let_go(self) -> None:
        """Frees the name at once, where it is ours."""
        await self._client.eval(_LET_GO, 1, self._key, self._mine)

    async def _watched(self, seen: Word) -> Word:
        until_s = self._clock() + SILENT_S
        while self._clock() < until_s:
            await self._sleep(LOOK_EVERY_S)
            if await self._beginning() == seen.beginning:
                continue
            newer = await self._word()
            if newer.beginning and not newer.is_last:
                raise self._taken(newer)
            return newer
        return seen

    async def _may_have_been_cut_off(self) -> bool:
        """Whether a live worker of this name may not have been able to speak, because Redis was away.

        It goes on as if nothing had been, without a gap, if nobody takes its leases: so it gets the time to speak.
        """
        info = await self._client.info("server")
        if int(info["uptime_in_seconds"]) > EXPIRES_S:
            return False
        return self.worker_id in (await self._leases.owners(range(self._partitions))).values()

    async def _word(self) -> Word:
        found: Any = await self._client.get(self._key)
        return Word.of(found)

    async def _beginning(self) -> bytes:
        found: Any = await self._client.getrange(self._key, 0, _BEGINNING - 1)
        return bytes(found)

    async def _write_over(self, record: Mapping[str, Any], expires_s: int, beginning: bytes) -> bool:
        # Ours is always allowed: the reply to the first try may have been lost.
        self._words += 1
        word = orjson.dumps({"instance": self.instance, "words": self._words, "now_ms": now_ms(), **record})
        allowed = (beginning, self._mine)
        written: Any = await self._client.eval(_WRITE_OVER, 1, self._key, word, expires_s, *allowed)
        return bool(written)

    def _taken(self, word: Word) -> WorkerTakenError:
        return WorkerTakenError(
            f"a worker named {self.worker_id} is running already ({word.who}); this one wrote nothing; "
            "give it another WORKER_ID"
        )

    def _lost(self, word: Word) -> WorkerTakenError:
        return WorkerTakenError(
            f"another process took over as worker {self.worker_id} ({word.who}) while this one was silent; this one"
            " stopped, what it had not written is a gap there; give each worker its own WORKER_ID"
        )
