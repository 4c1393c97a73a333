"""Other streams as the sink of a replay: same entries, same ids, under another KEY_PREFIX."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

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


class _Held(NamedTuple):
    """The last id that a stream ever held, and how many entries it holds."""

    last: EntryId
    length: int


_NOTHING: Final = _Held(EntryId(0, 0), 0)


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
        self._before: Mapping[str, _Held] = {}
        self._added: Counter[str] = Counter()

    @property
    def marker(self) -> str:
        """The key of the hash."""
        return f"{self._target.prefix}replay"

    def key(self, source_key: str) -> str:
        """Where a stream's entries go."""
        return self._target.prefix + source_key.removeprefix(self._source.prefix)

    async def begin(self, *, resumes: bool) -> None:
        """Copies what consumers look at first: contract, catalog, its log; raises the marker before.

        Raises:
            ReplayError: streams there hold ids that are in the way, or follow another contract; or the group
                has read before, and not for this copy.
        """
        ask = self._patience.ask
        await ask(lambda: self._refuse_what_is_in_the_way(resumes))
        await ask(lambda: self._mark("running", ""))
        await ask(self._copy_catalog)

    async def write(self, reads: Sequence[Read]) -> None:
        """Raises ReplayError where Redis forgot or refuses an entry."""
        await self._patience.ask(lambda: self._write(reads))
        for read in reads:
            if read.id > self._before.get(read.key, _NOTHING).last:
                self._added[read.key] += 1
        self._entries += len(reads)

    async def end(self, state: State, why: str) -> None:
        """Writes the marker, without waiting for a Redis that is away.

        Raises:
            ReplayError: it should be `done`, but Redis lost entries that it had acknowledged.
        """
        if state == "done":
            await self._look_whether_all_is_there()
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

    async def _refuse_what_is_in_the_way(self, resumes: bool) -> None:
        marker: Any = await self._client.hgetall(self.marker)
        theirs = {name.decode(): value.decode(errors="replace") for name, value in marker.items()}
        for name in ("contract_version", "contract_partitions"):
            ours, there = await self._client.mget(getattr(self._source, name), getattr(self._target, name))
            if there is not None and there != ours:
                raise ReplayError(
                    f"the streams under {self._target.prefix!r} follow another contract; nothing was written"
                )
        self._before = await self._held(self._plan.spans)
        if self._group and (theirs.get("group"), theirs.get("source")) == (self._group, self._source.prefix):
            return
        if resumes:
            raise ReplayError(
                f"group {self._group!r} has read before, and not into {self._target.prefix!r}: the copy would not be"
                " whole; nothing was written: choose another --group"
            )
        state = f" ({self.marker} says {theirs['state']})" if "state" in theirs else ""
        way_out = f"say --group {theirs['group']} to go on, " if theirs.get("group") else ""
        for name, span in self._plan.spans.items():
            last = self._before.get(name, _NOTHING).last
            if last >= span.first:
                raise ReplayError(
                    f"{self.key(name)} already holds ids up to {last}, and the replay begins there with"
                    f" {span.first}{state}; nothing was written: {way_out}choose another PREFIX or"
                    " say --replace, which removes the copy there"
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

    async def _look_whether_all_is_there(self) -> None:
        held = await self._held(self._added)
        for name, added in self._added.items():
            missing = self._before.get(name, _NOTHING).length + added - held.get(name, _NOTHING).length
            if missing > 0:
                raise ReplayError(
                    f"{self.key(name)} lacks {missing} entries that Redis had acknowledged; the streams under"
                    f" {self._target.prefix!r} are not whole"
                )

    async def _held(self, names: Iterable[str]) -> Mapping[str, _Held]:
        """What the targets of these streams hold; those that do not exist are left out."""
        found: dict[str, _Held] = {}
        ordered = sorted(names)
        for at in range(0, len(ordered), _A_TRIP):
            part = ordered[at : at + _A_TRIP]
            async with self._client.pipeline(transaction=False) as pipe:
                for name in part:
                    pipe.xinfo_stream(self.key(name))
                replies = await pipe.execute(raise_on_error=False)
            for name, reply in zip(part, replies, strict=True):
                if isinstance(reply, ResponseError) and "no such key" in str(reply):
                    continue
                if isinstance(reply, Exception):
                    raise reply
                found[name] = _Held(EntryId.parse(reply["last-generated-id"]), int(reply["length"]))
        return found
