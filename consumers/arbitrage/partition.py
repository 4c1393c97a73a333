"""One partition's engine as the handler of its batches: loads its state, commits it with what it found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from redis.asyncio import Redis

from consumers.arbitrage.adoption import RECORDS_KEPT, Adoption, Record
from consumers.arbitrage.engine import Engine
from consumers.arbitrage.evaluate import Limits
from consumers.arbitrage.feed import feed
from consumers.arbitrage.judge import Found
from consumers.arbitrage.legs import NEVER
from consumers.arbitrage.state import GROUP_HANDLED, HANDLED, changes_of, restored
from consumers.arbitrage.terms import Terms, renewed
from consumers.catalog.overrides import Overrides
from consumers.catalog.sets import terms_in_force
from consumers.replay.patience import Patience
from marketdata.entries import EntryId
from marketdata.errors import SettingsError
from marketdata.groups import Batch, Clock, Directory, Lost, Message, Silent
from marketdata.keys import Keys

OPPORTUNITIES_KEPT: Final = 100_000
"""About so many entries of `opportunities:{P}` are kept."""

_OVER: Final = ("closed", "resolved")
_WITH_PLACE: Final = (Message, Clock)
_WITHOUT_PLACE: Final = (Lost, Silent)

Command = tuple[str | bytes | int, ...]
Told = Callable[[int, list[Found], list[int]], None]


class PartitionEngine:
    """Handles batches. After any failure the next one begins with what Redis holds: nothing half done is kept.

    Args:
        client: for reading; what is written goes through the batch.
        patience: what asks again while Redis is away.
        number: the partition.
        told: called with the number of entries of a batch, what it found, and for each of these when the entry that
            caused it was received (Unix microseconds); after it is committed.
        log: gets one line where entries went by unseen.
    """

    def __init__(
        self,
        client: Redis,
        patience: Patience,
        keys: Keys,
        group: str,
        number: int,
        directory: Directory,
        limits: Limits,
        overrides: Overrides,
        told: Told,
        log: Callable[[str], None],
    ) -> None:
        self._client = client
        self._ask = patience.ask
        self._keys = keys
        self._group = group
        self._number = number
        self._directory = directory
        self._limits = limits
        self._overrides = overrides
        self._told = told
        self._log = log
        self._state_key = keys.arbitrage(number)
        self._engine: Engine | None = None
        self._record: Record | None = None
        self._begins_anew = False
        self._has_doubts = False
        self._told_before = NEVER
        self._seen_revision = ""

    async def __call__(self, batch: Batch) -> None:
        """Handles a batch and commits it.

        Raises:
            LeaseLostError: another member reads the partition now; nothing was done.
            SettingsError: engines of another group write here.
            EntryError, CatalogError: the state cannot be read.
            RedisAwayError: Redis stayed away while something had to be read.
        """
        engine = self._engine
        if engine is None:
            engine = await self._ask(self._load)
        # Until the commit went well, what is in memory is ahead of what is true.
        self._engine = None
        if not any(isinstance(item, _WITH_PLACE) for item in batch.items):
            # Notices alone have no place in the order: what they change is kept with the next entry.
            for notice in batch.items:
                if isinstance(notice, Lost):
                    engine.lost(notice.stream.rpartition(":")[2])
            # So are doubts of all prices: until then state and lease go on to differ.
            is_unkept = self._begins_anew or self._has_doubts
            await batch.commit([] if is_unkept else self._group_moves(batch))
            self._engine = engine
            return
        commands, adopted = await self._ask(lambda: self._adopt_newest(engine))
        found: list[Found] = []
        received_us: list[int] = []
        entries = 0
        condition_ids = self._directory.streams(self._number)
        for item in batch.items:
            if isinstance(item, _WITHOUT_PLACE):
                if isinstance(item, Lost):
                    engine.lost(item.stream.rpartition(":")[2])
                continue
            entries += 1
            if self._record is not None and (due := self._record.due(item.id)):
                adopted = True
                commands += self._adopted(engine, due)
            if isinstance(item, Clock):
                found += engine.clock(item.id)
                continue
            entry = item.values
            if new := feed(engine, item.id, condition_ids[item.stream], entry):
                found += new
                received_us += [entry.recv_us] * len(new)
        commands += self._commands(engine, found, adopted=adopted)
        await batch.commit([*commands, *self._group_moves(batch)])
        self._engine = engine
        self._begins_anew = self._has_doubts = False
        self._told(entries, found, received_us)

    async def _load(self) -> Engine:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(self._state_key)
            pipe.hget(self._keys.lease(self._number, self._group), "handled")
            fields, group_handled = await pipe.execute()
        owner = fields.get(b"group", self._group.encode()).decode(errors="replace")
        if owner != self._group:
            raise SettingsError(written_by(self._number, owner))
        engine = restored(self._limits, fields)
        self._begins_anew = b"terms" not in fields
        self._has_doubts = False
        if self._begins_anew:
            # The state went away, what was found is still there: equal entries find it again, under the same ids.
            newest: Any = await self._client.xrevrange(self._keys.opportunities(self._number), count=1)
            self._told_before = EntryId.parse(newest[0][0]) if newest else NEVER
        self._compare(engine, fields, None if group_handled is None else group_handled.decode())
        self._record = await self._find_record(engine)
        self._seen_revision = ""
        return engine

    def _compare(self, engine: Engine, fields: Mapping[bytes, bytes], group_handled: str | None) -> None:
        """State and lease move in one transaction: where they differ, entries may have gone by unseen."""
        where = f"partition {self._number}: group {self._group} has handled it up to {group_handled}"
        if self._begins_anew:
            if group_handled is not None:
                self._log(f"{where}, and no state of an engine is kept; it begins there, without any price")
            return
        seen = fields.get(GROUP_HANDLED.encode(), fields[HANDLED.encode()]).decode()
        if group_handled == seen:
            return
        engine.lost_all()
        self._has_doubts = True
        if group_handled is None:
            where = f"partition {self._number}: group {self._group} began anew"
        between = "the group was made anew, and what lies between may have been trimmed"
        if group_handled is not None and EntryId.parse(group_handled) > EntryId.parse(seen):
            between = "another reader took what lies between"
        self._log(
            f"{where}, the engine saw it up to {seen}: {between}, so no price counts until its token's next top; a"
            " replay of these streams will find other opportunities"
        )

    def _group_moves(self, batch: Batch) -> list[Command]:
        at = batch.handled_id
        return [] if at is None else [("HSET", self._state_key, GROUP_HANDLED, str(at))]

    async def _find_record(self, engine: Engine) -> Record | None:
        """The adoptions of the engine that saw the original of these streams."""
        if self._overrides.digest:
            return None
        source: Any = await self._client.hget(f"{self._keys.prefix}replay", "source")
        if source is None:
            return None
        rows: Any = await self._client.xrange(Keys(source.decode()).adoptions(self._number))
        return Record([Adoption.from_fields(row) for _, row in rows], engine.handled) if rows else None

    async def _adopt_newest(self, engine: Engine) -> tuple[list[Command], bool]:
        """Takes up a catalog that changed, see `adoption`; and whether the terms are to be kept anew."""
        revision = self._directory.revision
        if self._record is not None or revision == self._seen_revision:
            return [], False
        ids = dict.fromkeys(self._directory.streams(self._number).values())
        markets = [market for one in ids if (market := self._directory.market(one)) is not None]
        read = terms_in_force(markets, self._overrides)
        terms = renewed(engine.terms, read, await self._streamed(engine, read))
        self._seen_revision = revision
        if terms == engine.terms and not self._begins_anew:
            # Kept once more, in case that Redis forgot them meanwhile.
            return [], True
        between = Adoption.between(engine.handled, self._overrides.revision(revision), engine.terms, terms)
        return self._adopted(engine, [between]), True

    async def _streamed(self, engine: Engine, read: Iterable[Terms]) -> frozenset[str]:
        """Which of those that are over and not known yet have a stream that tells how they lived."""
        known = {one.condition_id for one in engine.terms}
        asked = [one.condition_id for one in read if one.state in _OVER and one.condition_id not in known]
        if not asked:
            return frozenset()
        async with self._client.pipeline(transaction=False) as pipe:
            for condition_id in asked:
                pipe.exists(self._keys.book(self._number, condition_id))
            replies = await pipe.execute()
        return frozenset(one for one, exists in zip(asked, replies, strict=True) if exists)

    def _adopted(self, engine: Engine, adoptions: Iterable[Adoption]) -> list[Command]:
        commands: list[Command] = []
        key = self._keys.adoptions(self._number)
        for one in adoptions:
            engine.adopt(one.revision, one.applied(engine.terms))
            commands.append(("XADD", key, "MAXLEN", "~", RECORDS_KEPT, "*", *_flat(one.to_fields())))
        return commands

    def _commands(self, engine: Engine, found: Iterable[Found], *, adopted: bool) -> list[Command]:
        commands: list[Command] = []
        key = self._keys.opportunities(self._number)
        for one in found:
            if one.id <= self._told_before:
                continue
            fields = _flat(one.opportunity.to_fields())
            commands.append(("XADD", key, "MAXLEN", "~", OPPORTUNITIES_KEPT, str(one.id), *fields))
        changes = changes_of(engine, adopted=adopted)
        if adopted:
            changes.set["group"] = self._group
        if self._begins_anew:
            commands.append(("DEL", self._state_key))
        commands.append(("HSET", self._state_key, *_flat(changes.set)))
        if changes.remove:
            commands.append(("HDEL", self._state_key, *changes.remove))
        return commands


def written_by(partition: int, group: str) -> str:
    """Why an engine of another group cannot write there."""
    return (
        f"the opportunities of partition {partition} are written by group {group[:80]}; nothing was handled:"
        f" say --group {group[:80]}, or use a copy (bookstream replay --into PREFIX)"
    )


def _flat(fields: Mapping[str, str | bytes]) -> list[Any]:
    return [part for pair in fields.items() for part in pair]
