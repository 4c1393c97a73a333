"""Where a replay reads: a plain range, or what a consumer group has not acknowledged."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

from redis.asyncio import Redis

from consumers.merged import RangeReader, Read, chunk_for, fetch_ranges, merged
from consumers.replay.choice import Plan
from consumers.replay.group import Group, GroupReader, by_stream
from consumers.replay.hold import Hold
from consumers.replay.patience import Patience
from marketdata.groups.dead import partition_in


class Source(Protocol):
    """Gives a replay."""

    @property
    def lost(self) -> int:
        """How often entries of the range went away before they were read."""

    async def check(self) -> bool:
        """Before anything is written: whether it goes on where another run was.

        Raises SettingsError where it cannot be read so.
        """

    async def begin(self) -> None:
        """Before the first entry."""

    def reads(self) -> AsyncIterator[Read]:
        """The entries, in the total order."""

    async def written(self, reads: Sequence[Read]) -> None:
        """The sink has these."""

    async def end(self) -> None:
        """After the last entry. May be called twice."""

    async def close(self) -> None:
        """However it ended."""


class RangeSource:
    """Everything in the range.

    Args:
        read_size: entries to read of each stream at once; None: as many as fit.
    """

    def __init__(self, client: Redis, patience: Patience, chosen: Plan, read_size: int | None) -> None:
        chunk = read_size or chunk_for(len(chosen.spans))
        bounds = str(chosen.first), str(chosen.last)
        self._readers = [RangeReader(key, *bounds, chunk) for key in chosen.spans]
        self._fetch = fetch_ranges(client)
        self._patience = patience

    @property
    def lost(self) -> int:
        return sum(reader.trims for reader in self._readers)

    async def check(self) -> bool:
        """Each run is whole."""
        return False

    async def begin(self) -> None:
        """Needs nothing."""

    def reads(self) -> AsyncIterator[Read]:
        return merged(self._readers, lambda part: self._patience.ask(lambda: self._fetch(part)))

    async def written(self, reads: Sequence[Read]) -> None:
        """Remembers nothing."""

    async def end(self) -> None:
        """Leaves nothing."""

    async def close(self) -> None:
        """Holds nothing."""


class GroupSource:
    """Everything in the range that the group has not acknowledged.

    Args:
        read_size: entries to read of each stream at once; None: as many as fit.
        log: gets a line where the group goes on.
    """

    def __init__(
        self,
        group: Group,
        hold: Hold,
        patience: Patience,
        chosen: Plan,
        read_size: int | None,
        log: Callable[[str], None],
    ) -> None:
        chunk = read_size or chunk_for(len(chosen.spans))
        self._group = group
        self._hold = hold
        self._readers = [GroupReader(key, chosen.last, chunk) for key in sorted(chosen.spans)]
        self._fetch = group.fetch()
        self._patience = patience
        self._chosen = chosen
        self._log = log

    @property
    def lost(self) -> int:
        return sum(len(reader.lost) for reader in self._readers)

    async def check(self) -> bool:
        """Raises SettingsError where somebody else reads as this group."""
        keys = [reader.key for reader in self._readers]
        await self._patience.ask(lambda: self._hold.take(map(partition_in, keys)))
        there = await self._patience.ask(lambda: self._group.check(keys))
        if there:
            self._log(f"group {self._group.name!r} goes on where it was, in {there} of {len(keys)} streams")
        return there > 0

    async def begin(self) -> None:
        """Creates the group where it is missing."""
        keys = [reader.key for reader in self._readers]
        await self._patience.ask(lambda: self._group.join(keys, self._chosen.first))

    def reads(self) -> AsyncIterator[Read]:
        return merged(self._readers, lambda part: self._patience.ask(lambda: self._fetch(part)))

    async def written(self, reads: Sequence[Read]) -> None:
        self._hold.check()
        await self._patience.ask(lambda: self._group.acknowledge(by_stream(reads)))

    async def end(self) -> None:
        await self._group.acknowledge({reader.key: reader.lost for reader in self._readers if reader.lost})
        self._hold.check()
        await self._group.hand_back(self._readers, self._chosen.last)

    async def close(self) -> None:
        await self._hold.release()
