"""Other streams as the sink of a replay: same entries, same ids, under another KEY_PREFIX."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from consumers.merged import Read
from consumers.replay.choice import Plan
from consumers.replay.patience import Patience
from consumers.replay.sinks import State
from marketdata.entries import EntryId
from marketdata.errors import ReplayError
from marketdata.keys import Keys

_A_TRIP: Final = 200
_UNFINISHED: Final = "--group goes on where such a replay was; else choose another PREFIX or delete its keys"


class OtherStreams:
    """Writes to streams of another prefix in the same Redis.

    The hash `PREFIXreplay` says how whole they are: `state` is `running` from before the first entry on, `done`
    after the last one, `broken` where it could still be said; anything but `done` is not whole.

    Args:
        source, target: the key names.
        group: the group that is read; only it may go on with what it began.
    """

    def __init__(
        self, client: Redis, patience: Patience, source: Keys, target: Keys, plan: Plan, group: str | None
    ) -> None:
        self._client = client
        self._patience = patience
        self._source = source
        self._target = target
        self._plan = plan
        self._group = group or ""
        self._entries = 0
        self._last: dict[str, EntryId] = {}
        self._outages = patience.outages

    @property
    def marker(self) -> str:
        """The key of the hash."""
        return f"{self._target.prefix}replay"

    def key(self, source_key: str) -> str:
        """Where a stream's entries go."""
        return self._target.prefix + source_key.removeprefix(self._source.prefix)

    async def begin(self) -> None:
        """Copies what consumers look at first: contract, catalog, its log; raises the marker before.

        Raises:
            ReplayError: streams there hold ids that are in the way, or follow another contract.
        """
        ask = self._patience.ask
        await ask(self._refuse_what_is_in_the_way)
        await ask(lambda: self._mark("running", ""))
        await ask(self._copy_catalog)
        self._outages = self._patience.outages

    async def write(self, reads: Sequence[Read]) -> None:
        """Raises ReplayError where Redis forgot or refuses an entry."""
        await self._patience.ask(lambda: self._write(reads))
        for read in reads:
            self._last[read.key] = read.id
        self._entries += len(reads)

    async def end(self, state: State, why: str) -> None:
        """Writes the marker, without waiting for a Redis that is away."""
        await self._mark(state, why)

    async def _mark(self, state: State, why: str) -> None:
        now_ms = str(time.time_ns() // 1_000_000)
        told: Mapping[Any, Any] = {
            "state": state,
            "why": why,
            "from": str(self._plan.first),
            "to": str(self._plan.last),
            "source": self._source.prefix,
            "group": self._group,
            "entries": str(self._entries),
            "began_ms" if state == "running" else "ended_ms": now_ms,
        }
        async with self._client.pipeline(transaction=True) as pipe:
            if state == "running":
                pipe.delete(self.marker)
            pipe.hset(self.marker, mapping=told)
            await pipe.execute()

    async def _refuse_what_is_in_the_way(self) -> None:
        marker: Any = await self._client.hgetall(self.marker)
        theirs = {name.decode(): value.decode(errors="replace") for name, value in marker.items()}
        for name in ("contract_version", "contract_partitions"):
            ours, there = await self._client.mget(getattr(self._source, name), getattr(self._target, name))
            if there is not None and there != ours:
                raise ReplayError(
                    f"the streams under {self._target.prefix!r} follow another contract; nothing was written"
                )
        if self._group and (theirs.get("group"), theirs.get("source")) == (self._group, self._source.prefix):
            return
        state = f" ({self.marker} says {theirs['state']})" if "state" in theirs else ""
        names = sorted(self._plan.spans)
        last = await self._last_ids([self.key(name) for name in names])
        for name in names:
            found = last.get(self.key(name))
            if found is not None and found >= self._plan.spans[name].first:
                raise ReplayError(
                    f"{self.key(name)} already holds ids up to {found}, and the replay begins there with"
                    f" {self._plan.spans[name].first}{state}; nothing was written: {_UNFINISHED}"
                )

    async def _copy_catalog(self) -> None:
        source, target = self._source, self._target
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.mget(source.contract_version, source.contract_partitions)
            pipe.execute_command("HGETALL", source.catalog)
            pipe.xrange(source.catalog_log)
            pipe.xrevrange(target.catalog_log, count=1)
            contract, records, log, newest = await pipe.execute()
        wanted = {one.encode() for one in self._plan.condition_ids}
        # The last entry is the revision, whatever it is about.
        kept = [(at, row) for at, row in log if row.get(b"id") in wanted or at == log[-1][0]]
        done = EntryId.parse(newest[0][0]) if newest else EntryId(0, 0)
        async with self._client.pipeline(transaction=True) as pipe:
            for key, value in zip(
                (target.contract_version, target.contract_partitions), contract, strict=True
            ):
                if value is not None:
                    pipe.set(key, value)
            chosen = {one: record for one, record in records.items() if one in wanted}
            if chosen:
                pipe.hset(target.catalog, mapping=chosen)
            for at, row in kept:
                if EntryId.parse(at) > done:
                    pipe.xadd(target.catalog_log, row, id=at)
            await pipe.execute()

    async def _write(self, reads: Sequence[Read]) -> None:
        if self._outages != self._patience.outages:
            await self._look_whether_all_is_kept()
            self._outages = self._patience.outages
        async with self._client.pipeline(transaction=True) as pipe:
            for read in reads:
                pipe.xadd(self.key(read.key), dict(read.fields), id=str(read.id))  # type: ignore[arg-type]
            replies = await pipe.execute(raise_on_error=False)
        doubtful = []
        for read, reply in zip(reads, replies, strict=True):
            if isinstance(reply, ResponseError) and "equal or smaller" in str(reply):
                doubtful.append(read)
            elif isinstance(reply, RedisError):
                raise reply
        await self._look_up(doubtful)

    async def _look_up(self, reads: Sequence[Read]) -> None:
        """An id that is too small was written by this replay before, or is in another's way."""
        if not reads:
            return
        async with self._client.pipeline(transaction=False) as pipe:
            for read in reads:
                pipe.xrange(self.key(read.key), str(read.id), str(read.id))
            replies = await pipe.execute()
        for read, found in zip(reads, replies, strict=True):
            if not found or found[0][1] != read.fields:
                raise ReplayError(
                    f"{self.key(read.key)} got ids above {read.id} from somebody else; it is not whole"
                )

    async def _look_whether_all_is_kept(self) -> None:
        names = sorted(self._last)
        last = await self._last_ids([self.key(name) for name in names])
        for name in names:
            if last.get(self.key(name), EntryId(0, 0)) < self._last[name]:
                raise ReplayError(
                    f"Redis came back without entries of {self.key(name)} that it had acknowledged, up to"
                    f" {self._last[name]}; the streams under {self._target.prefix!r} are not whole"
                )

    async def _last_ids(self, keys: Sequence[str]) -> Mapping[str, EntryId]:
        """The last id that each stream ever held; streams that do not exist are left out."""
        found: dict[str, EntryId] = {}
        for at in range(0, len(keys), _A_TRIP):
            part = keys[at : at + _A_TRIP]
            async with self._client.pipeline(transaction=False) as pipe:
                for key in part:
                    pipe.xinfo_stream(key)
                replies = await pipe.execute(raise_on_error=False)
            for key, reply in zip(part, replies, strict=True):
                if isinstance(reply, ResponseError) and "no such key" in str(reply):
                    continue
                if isinstance(reply, Exception):
                    raise reply
                found[key] = EntryId.parse(reply["last-generated-id"])
        return found
