"""Reading as the one member of a consumer group: what was not acknowledged comes again.

The leases of the group loop keep all others away (`hold.py`), and the consumer in Redis is that of the loop.

Each stream's own pending entries come before its new ones, and all of them are older; so streams read so are
merged into the total order like any others, also after a crash.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from consumers.merged import Fetch, Read, Reader, Reply, in_parts
from marketdata.entries import EntryId
from marketdata.errors import SettingsError
from marketdata.groups.messages import before
from marketdata.groups.streams import READER

_ALL_PENDING: Final = 1_000_000
_PART: Final = 200


class GroupReader(Reader):
    """Reads one stream up to `last`: first what is pending, then what is new.

    Attributes:
        pending: whether it still reads what is pending.
        lost: pending entries that were trimmed away before they were replayed.
        went_beyond: whether entries behind `last` were delivered; `hand_back` returns them.
    """

    def __init__(self, key: str, last: EntryId, chunk: int) -> None:
        super().__init__(key, chunk)
        self.pending = True
        self.lost: list[EntryId] = []
        self.went_beyond = False
        self._last = last
        self._read = EntryId(0, 0)

    @property
    def position(self) -> str:
        """What XREADGROUP needs."""
        return str(self._read) if self.pending else ">"

    def doubt(self) -> None:
        """A reply was lost: what it held is pending now."""
        self.pending = True

    def take(self, reply: Reply) -> None:
        if len(reply) < self.chunk:
            self.at_end = not self.pending
            self.pending = False
        for raw_id, fields in reply:
            entry_id = EntryId.parse(raw_id)
            if entry_id > self._last:
                self.at_end = self.went_beyond = True
                return
            self._read = entry_id
            if fields:
                self.in_hand.append(Read(entry_id, self.key, fields, False))
            else:
                self.lost.append(entry_id)


class Group:
    """A consumer group over many streams. Lets the client's own errors (`redis.RedisError`) through.

    Args:
        name: the group's.
    """

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self.name = name

    async def check(self, keys: Sequence[str]) -> int:
        """Looks who else reads as this group; says in how many of the streams it exists.

        Raises:
            SettingsError: somebody else does.
        """
        existing = 0
        for at in range(0, len(keys), _PART):
            for key, consumers in (await self._members(keys[at : at + _PART])).items():
                existing += 1
                others = sorted(consumers - {READER})
                if others:
                    raise SettingsError(
                        f"group {self.name!r} of {key} has other members ({', '.join(others)[:80]}), whose"
                        " entries a replay would take; nothing was read: choose another --group"
                    )
        return existing

    async def join(self, keys: Sequence[str], first: EntryId) -> None:
        """Creates the group where it is missing, so that it begins with `first`. May be called twice."""
        for at in range(0, len(keys), _PART):
            async with self._client.pipeline(transaction=False) as pipe:
                for key in keys[at : at + _PART]:
                    pipe.xgroup_create(key, self.name, str(before(first)))
                for reply in await pipe.execute(raise_on_error=False):
                    if isinstance(reply, RedisError) and not str(reply).startswith("BUSYGROUP"):
                        raise reply

    def fetch(self) -> Fetch[GroupReader]:
        """A `Fetch` by XREADGROUP. If it fails, it can be called again."""

        async def fetch(readers: Sequence[GroupReader]) -> None:
            streams = {reader.key: reader.position for reader in readers}
            try:
                replies = await self._client.xreadgroup(
                    self.name,
                    READER,
                    streams,  # type: ignore[arg-type]
                    count=max(reader.chunk for reader in readers),
                )
            except RedisError:
                for reader in readers:
                    reader.doubt()
                raise
            found = {key.decode(): entries for key, entries in cast(Sequence[tuple[bytes, Reply]], replies)}
            for reader in readers:
                reader.take(found.get(reader.key, ()))

        return fetch

    async def acknowledge(self, ids: Mapping[str, Sequence[EntryId]]) -> None:
        """These are done. May be called twice."""
        if not ids:
            return
        async with self._client.pipeline(transaction=False) as pipe:
            for key, those in ids.items():
                pipe.xack(key, self.name, *map(str, those))
            await pipe.execute()

    async def hand_back(self, readers: Iterable[GroupReader], last: EntryId) -> None:
        """Makes the group of streams that were read too far stand at `last`, as if they had not been."""
        too_far = [reader for reader in readers if reader.went_beyond]
        for part in in_parts(too_far):
            async with self._client.pipeline(transaction=False) as pipe:
                for reader in part:
                    pipe.xpending_range(reader.key, self.name, f"({last}", "+", _ALL_PENDING)
                pending = await pipe.execute()
            async with self._client.pipeline(transaction=True) as pipe:
                for reader, rows in zip(part, pending, strict=True):
                    if rows:
                        pipe.xack(reader.key, self.name, *(row["message_id"] for row in rows))
                    pipe.xgroup_setid(reader.key, self.name, str(last))
                await pipe.execute()

    async def _members(self, keys: Sequence[str]) -> dict[str, set[str]]:
        """The members' names by stream, where the group exists."""
        async with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.xinfo_consumers(key, self.name)
            replies = await pipe.execute(raise_on_error=False)
        members: dict[str, set[str]] = {}
        for key, reply in zip(keys, replies, strict=True):
            if isinstance(reply, ResponseError) and "NOGROUP" in str(reply):
                continue
            if isinstance(reply, Exception):
                raise reply
            members[key] = {row["name"].decode(errors="replace") for row in reply}
        return members


def by_stream(reads: Iterable[Read]) -> dict[str, list[EntryId]]:
    """The ids of entries, by stream."""
    found: dict[str, list[EntryId]] = defaultdict(list)
    for read in reads:
        found[read.key].append(read.id)
    return found
