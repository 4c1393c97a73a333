"""The partitions that a member holds: their leases, and a tenure for each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from marketdata.entries import EntryId
from marketdata.errors import LeaseLostError, MemberTakenError
from marketdata.groups.batch import Tools
from marketdata.groups.begun import Begun
from marketdata.groups.directory import Directory
from marketdata.groups.gate import Gate
from marketdata.groups.membership import Membership
from marketdata.groups.reading import PartitionReading
from marketdata.groups.tenure import BatchHandler, Partition, Tenure
from marketdata.groups.wire import Fence, Wire
from marketdata.keys import Keys
from marketdata.leases import Lease
from marketdata.tasks import end_tasks

ENTRIES_HELD: Final = 50_000
"""About so many entries are in a member's memory at once, over all its partitions."""

OpenPartition = Callable[[Partition], Awaitable[BatchHandler]]
"""Called each time a partition was taken, before anything of it is read; what it returns gets its batches."""


class Holdings:
    """What one member reads. The client's errors go through.

    Args:
        ttl_s: a lease that was not renewed for so long may be somebody else's.
        opened, clocks: see `Group.run_partitions`.
        fail: told what ended a tenure that should have gone on.
        is_redis_lost: whether that was for Redis' sake: then nothing can be given back.

    Attributes:
        tenures: by partition.
    """

    def __init__(
        self,
        *,
        client: Redis,
        keys: Keys,
        group: str,
        membership: Membership,
        directory: Directory,
        gate: Gate,
        ttl_s: float,
        opened: OpenPartition,
        clocks: bool,
        log: Callable[[str], None],
        fail: Callable[[BaseException], None],
        is_redis_lost: Callable[[], bool],
    ) -> None:
        self.tenures: dict[int, Tenure] = {}
        self._client = client
        self._keys = keys
        self._group = group
        self._membership = membership
        self._directory = directory
        self._gate = gate
        self._ttl_s = ttl_s
        self._opened = opened
        self._clocks = clocks
        self._log = log
        self._fail = fail
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._renewed_s: dict[int, float] = {}
        self._is_redis_lost = is_redis_lost

    @property
    def taken(self) -> Collection[int]:
        """Partitions that are ours, also those that are just being given back."""
        return self.tenures.keys() | self._tasks.keys()

    @property
    def are_read(self) -> bool:
        """Whether all that is our share is ours, and was read to its end."""
        tenures = list(self.tenures.values())
        return (
            bool(tenures)
            and all(one.caught_up.is_set() for one in tenures)
            and len(tenures) >= self._membership.share
        )

    def facts(self) -> dict[str, Any]:
        """For the member's record: entries in memory, how far behind, the last one handled."""
        tenures = self.tenures.values()
        last = max((one.last for one in tenures if one.last is not None), default=None)
        return {
            "held": sum(tenure.held for tenure in tenures),
            "behind_ms": max((one.behind_ms for one in tenures), default=0),
            "last_id": str(last) if last else "",
        }

    async def renew(self) -> None:
        """Renews the leases.

        Raises:
            MemberTakenError: another program uses this member's name.
        """
        sent_s = time.monotonic()
        held = list(self.tenures)
        leases = self._membership.leases
        epochs = dict(leases.epochs)
        lost, forgotten = await leases.renew(held, id_limit_ms=0)
        # What was taken again meanwhile, because Redis had forgotten it, is not lost.
        lost = [one for one in lost if leases.epochs[one] == epochs[one] and one in self.tenures]
        for partition in held:
            if partition not in lost and partition not in forgotten:
                self._renewed_s[partition] = sent_s
            elif (tenure := self.tenures.get(partition)) is not None:
                # Its next transaction finds out, and takes it again or ends.
                self._renewed_s[partition] = 0.0
                tenure.wake()
        if lost:
            owners = await leases.owners(lost)
            if (member := self._membership.name) in owners.values():
                raise MemberTakenError(
                    f"another program reads group {self._group} as member {member}; this one stopped, and"
                    " what it had not acknowledged is handled there: give each its own name"
                )

    async def begin(self, lease: Lease, sent_s: float) -> None:
        """Begins to read a partition whose lease was asked for at this time (monotonic seconds)."""
        number = lease.partition
        self._renewed_s[number] = sent_s
        key = self._keys.lease(number, self._group)
        found: Any = await self._client.hget(key, "handled")
        handled = EntryId.parse(found) if found else None
        wire = Wire(self.new_connection, key)
        self.tenures[number] = tenure = self._tenure(
            number, Fence(wire, key, self._membership.name, lease.epoch), handled
        )
        self._tasks[number] = asyncio.create_task(
            self._serve(tenure, wire, handled), name=f"partition {number}"
        )

    def give_up(self, count: int) -> None:
        """Has so many partitions given back; those that are being given back already count."""
        staying = [one for one in sorted(self.tenures, reverse=True) if not self.tenures[one].is_leaving]
        for partition in staying[: max(count - (len(self._tasks) - len(staying)), 0)]:
            self.tenures[partition].leave()

    def leave(self) -> None:
        """Has all given back, once the batches in hand are finished."""
        for tenure in self.tenures.values():
            tenure.leave()

    async def end(self) -> None:
        """Leaves, and returns when all are given back."""
        while self._tasks:
            self.leave()
            await asyncio.wait(list(self._tasks.values()))

    async def cancel(self) -> None:
        """Ends what still runs, at once."""
        await end_tasks(list(self._tasks.values()))

    def wake(self, partition: int | None) -> None:
        """Something was written there; None: anywhere."""
        woken = self.tenures.values() if partition is None else [self.tenures.get(partition)]
        for tenure in woken:
            if tenure is not None:
                tenure.wake()

    def new_connection(self) -> Any:
        """One that is not yet connected."""
        return self._client.connection_pool.make_connection()  # type: ignore[no-untyped-call]

    def _tenure(self, number: int, fence: Fence, handled: EntryId | None) -> Tenure:
        async def retake() -> None:
            sent_s = time.monotonic()
            again = await self._membership.retake(number)
            if not again.held:
                raise LeaseLostError(f"{fence.lease} belongs to {again.owner} now")
            fence.renewed(again.epoch)
            self._renewed_s[number] = sent_s

        begun = Begun(self._keys.begun(number, self._group))
        tools = Tools(
            fence=fence,
            keys=self._keys,
            group=self._group,
            patience=self._gate,
            refused=self._gate.refused,
            retake=retake,
            begun=begun,
            sure=lambda: self._is_sure(number),
        )
        reading = PartitionReading(
            fence=fence,
            keys=self._keys,
            group=self._group,
            partition=number,
            directory=self._directory,
            begun=begun,
            handled=handled,
            held_at_most=lambda: ENTRIES_HELD // max(len(self.tenures), 1),
            retake=retake,
            log=self._log,
        )
        return Tenure(
            number,
            reading=reading,
            tools=tools,
            directory=self._directory,
            clocks=self._clocks,
            log=self._log,
        )

    def _is_sure(self, partition: int) -> bool:
        return time.monotonic() - self._renewed_s.get(partition, 0.0) < self._ttl_s

    async def _serve(self, tenure: Tenure, wire: Wire, handled: EntryId | None) -> None:
        number = tenure.partition
        is_ours = True
        try:
            await tenure.run(await self._opened(Partition(number, handled, self._directory)))
        except LeaseLostError:
            is_ours = False
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  (whatever it is, `Group.run` raises it)
            self._fail(error)
        finally:
            await wire.close()
            self.tenures.pop(number, None)
            self._renewed_s.pop(number, None)
            try:
                if is_ours and not self._is_redis_lost():
                    with suppress(RedisError, OSError):
                        await self._membership.leases.release([number], last_ms=0)
            finally:
                self._tasks.pop(number, None)
