"""What is due in a partition, and the transaction that ends it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from marketdata.entries import EntryId
from marketdata.groups.backlog import Raw
from marketdata.groups.begun import Begun
from marketdata.groups.dead import DeadLetter
from marketdata.groups.messages import Clock, Lost, Message, Silent
from marketdata.groups.wire import Command, Fence, ForgottenError, may_pass, pack
from marketdata.keys import Keys

AWAY: Final = (RedisConnectionError, RedisTimeoutError)

Item = Message | Clock | Lost | Silent


class Tools(NamedTuple):
    """What a batch needs of the partition that it belongs to.

    Attributes:
        fence: of the tenure.
        keys, group: the names.
        patience: called when Redis is away: returns when it answers again.
        refused: called when it refuses for now: returns when it may be asked again.
        retake: called when Redis forgot the lease: takes it again, or raises LeaseLostError.
        begun: calls for entries that came again.
        sure: whether the lease is ours by our own clock: it was renewed less than its time ago.
    """

    fence: Fence
    keys: Keys
    group: str
    patience: Callable[[Exception], Awaitable[None]]
    refused: Callable[[Exception], Awaitable[None]]
    retake: Callable[[], Awaitable[None]]
    begun: Begun
    sure: Callable[[], bool]


class Batch:
    """Entries of one partition in the total order, to be handled and then committed.

    Attributes:
        partition: which one.
        items: entries; clock entries; notices, each before the entries that follow it.
        revision: the catalog's, when this was read.
    """

    def __init__(
        self,
        partition: int,
        items: Sequence[Item],
        raws: Sequence[tuple[int, Raw]],
        dead: Sequence[tuple[int, DeadLetter]],
        revision: str,
        tools: Tools,
        on_done: Callable[[Sequence[Raw]], None],
    ) -> None:
        self.partition = partition
        self.items = items
        self.revision = revision
        self._raws = list(raws)
        self._dead = list(dead)
        self._tools = tools
        self._on_done = on_done
        self.is_surely_ours = tools.sure
        """Whether the lease was renewed less than its time ago, by our own clock."""
        self._requeue = tools.keys.requeue(partition, tools.group)
        self._raw_at: dict[int, Raw] = {}
        self._counted: Raw | None = None
        self._committed = -1
        self.is_abandoned = False
        """Whether its handler gave it up: what is not committed stays unacknowledged, and the tenure ends."""
        self.last_done: Raw | None = None
        """The last entry that was committed."""

    @property
    def last_id(self) -> EntryId | None:
        """The last entry's id; the group has handled the partition up to it once this is committed."""
        return self._raws[-1][1].id if self._raws else None

    @property
    def handled_id(self) -> EntryId | None:
        """What the lease's `handled` becomes once all of this is committed; None: it stays."""
        return self._raws[-1][1].id if self._raws and self._raws[-1][1].key != self._requeue else None

    @property
    def is_done(self) -> bool:
        """Whether all of it is committed."""
        return self._committed >= len(self.items)

    async def still_ours(self) -> None:
        """Before a handler is called. Asks Redis only if the lease was not renewed in time.

        Raises:
            LeaseLostError: another member reads the partition now.
        """
        while not self._tools.sure():
            try:
                await self._tools.fence.confirm()
                return
            except ForgottenError:
                await self._tools.retake()
            except AWAY as error:
                await self._tools.patience(error)

    async def calls_begun(self, at: int) -> int:
        """How many calls were begun for the item at this place, by earlier members, too."""
        while True:
            try:
                return await self._tools.begun.calls(self._raw(at), self._tools.fence)
            except AWAY as error:
                await self._tools.patience(error)
            except ResponseError as error:
                if not may_pass(error):
                    raise
                await self._tools.refused(error)

    async def begin(self, at: int) -> None:
        """Before a call for an entry that came again: counts it in Redis, for the case that it ends the process.

        What comes before it is acknowledged in the same transaction, so that only one entry can be to blame.

        Raises:
            LeaseLostError: another member reads the partition now.
        """
        raw = self._raw(at)
        await self.commit([self._tools.begun.one_more(raw)], upto=at)
        self._counted = raw

    def failed(self) -> None:
        """The call that was counted last ended, and is to blame: it stays counted."""
        self._counted = None

    @property
    def in_doubt(self) -> EntryId | None:
        """Of which entry the last call was counted, did not fail, and is not acknowledged."""
        return self._counted.id if self._counted is not None else None

    async def take_back(self) -> None:
        """The call in doubt is not to blame: it does not count, whoever holds the partition by now.

        Raises:
            The client's errors: it still counts.
        """
        if self._counted is not None:
            await self._tools.begun.take_back(self._counted, self._tools.fence)
            self._counted = None

    def _raw(self, at: int) -> Raw:
        if not self._raw_at:
            # Of those at one place the last one is the item's; the others have no item of their own.
            self._raw_at = dict(self._raws)
        return self._raw_at[at]

    def bury(self, at: int, reason: str, attempts: int) -> None:
        """Gives up on the item at this place: the commit that covers it makes it a dead letter."""
        item = self.items[at]
        if isinstance(item, Message):
            fields = [text.encode() for pair in item.entry.to_fields().items() for text in pair]
            self._dead.append((at, DeadLetter(item.stream, item.id, reason, attempts, fields)))
            self._dead.sort(key=itemgetter(0))

    async def commit(self, commands: Sequence[Command] = (), *, upto: int | None = None) -> None:
        """Acknowledges in one transaction, which the lease fences, together with the caller's own commands.

        Either all of it is done or nothing, and only if this member still holds the partition. While Redis is
        away this waits; a transaction whose reply was lost is looked up, never done twice.

        Args:
            commands: further commands for the transaction, as tuples of their words.
            upto: only the items before this place; None: all.

        Raises:
            LeaseLostError: another member holds the partition; nothing was done.
            redis.ResponseError: Redis refuses the transaction (nothing was done), or one of `commands` (the
                others were done).
        """
        end = len(self.items) if upto is None else upto
        raws = [raw for at, raw in self._raws if at < end or end >= len(self.items)]
        dead = [letter for at, letter in self._dead if at < end or end >= len(self.items)]
        if raws or commands:
            await self._transact([*map(pack, commands), *self._ends(raws, dead)], raws)
        if raws:
            self.last_done = raws[-1]
            if raws[-1].key != self._requeue:
                self._on_done(raws)
        if self._counted is not None and self._counted in raws:
            self._counted = None
        self._raws = self._raws[len(raws) :]
        self._dead = self._dead[len(dead) :]
        self._committed = end

    def _ends(self, raws: Sequence[Raw], dead: Sequence[DeadLetter]) -> list[bytes]:
        group, keys = self._tools.group, self._tools.keys
        ends = [pack(letter.command(keys.dead(group))) for letter in dead]
        ids: dict[str, list[str]] = defaultdict(list)
        for raw in raws:
            ids[raw.key].append(f"{raw.id.ms}-{raw.id.n}")
        for key, those in ids.items():
            done: Command = ("XDEL", key) if key == self._requeue else ("XACK", key, group)
            ends.append(pack((*done, *those)))
        ends += map(pack, self._tools.begun.ended(raws))
        if raws and raws[-1].key != self._requeue:
            ends.append(pack(("HSET", self._tools.fence.lease, "handled", str(raws[-1].id))))
        return ends

    async def _transact(self, commands: list[bytes], raws: Sequence[Raw]) -> None:
        while True:
            try:
                replies, _ = await self._tools.fence.transact(commands)
                break
            except ForgottenError:
                await self._tools.retake()
            except AWAY as error:
                await self._tools.patience(error)
                if await self._was_done(raws):
                    return
            except ResponseError as error:
                if not may_pass(error):
                    raise
                await self._tools.refused(error)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply

    async def _was_done(self, raws: Sequence[Raw]) -> bool:
        """Whether the transaction whose reply was lost was done: then its entries are not pending any more."""
        while raws:
            first = raws[0]
            place: Command = (str(first.id), str(first.id))
            look: Command = ("XPENDING", first.key, self._tools.group, *place, 1)
            if first.key == self._requeue:
                look = ("XRANGE", first.key, *place)
            try:
                (found,) = await self._tools.fence.ask([pack(look)])
            except AWAY as error:
                await self._tools.patience(error)
                continue
            # Without its group nothing is pending, and nothing can be said: acknowledging is harmless then.
            return isinstance(found, list) and not found
        return False
