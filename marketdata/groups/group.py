"""A consumer group over all markets: members share the partitions, crash, lag and scale."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from marketdata.entries import EntryId
from marketdata.errors import ContractError, LeaseLostError, MemberTakenError, RedisAwayError, SettingsError
from marketdata.groups.attempts import EntryByEntry, Handler
from marketdata.groups.batch import AWAY, Tools
from marketdata.groups.begun import Begun
from marketdata.groups.directory import Directory
from marketdata.groups.gate import Gate
from marketdata.groups.membership import Membership, new_member_name
from marketdata.groups.reading import PartitionReading
from marketdata.groups.role import ANY_READER, Role
from marketdata.groups.tenure import BatchHandler, Partition, Tenure
from marketdata.groups.wakes import hear_wakes
from marketdata.groups.wire import Fence, Wire, may_pass
from marketdata.keys import CONTRACT_VERSION, Keys
from marketdata.leases import Lease
from marketdata.redis_url import DEFAULT_URL, RedisSession, redis_session
from marketdata.tasks import end_tasks

ENTRIES_HELD: Final = 50_000
"""About so many entries are in a member's memory at once, over all its partitions."""

LEASE_TTL_S: Final = 5.0
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TICK_S: Final = 1.0

OpenPartition = Callable[[Partition], Awaitable[BatchHandler]]
"""Called each time a partition was taken, before anything of it is read; what it returns gets its batches."""


class Group:
    """One member of a consumer group.

        async with Group("mine", redis_url="embedded://demo") as group:
            await group.run(handler)

    Within a partition entries come in the order of writing, each once it was acknowledged never again; what a
    crash left unacknowledged comes again, with the same id. Partitions are shared evenly among the members.

    Args:
        name: the group's: letters, digits, dot, dash and underscore.
        redis_url: where the streams are.
        key_prefix: in front of all keys.
        member: this member's name; one that comes back under its own name has its partitions at once. None: a
            name that nobody else has.
        lease_ttl_s: a member that died is replaced after so long. A handler that gives nobody else a turn for
            longer than this loses its partitions.
        log: gets one line for each thing that the user should know; None: to stderr.
        role: of a program that keeps its group to itself; other readers of the group are refused.

    Raises:
        SettingsError: a name or URL that cannot be used.
    """

    def __init__(
        self,
        name: str,
        *,
        redis_url: str = DEFAULT_URL,
        key_prefix: str = "",
        member: str | None = None,
        lease_ttl_s: float = LEASE_TTL_S,
        log: Callable[[str], None] | None = None,
        role: Role = ANY_READER,
    ) -> None:
        self.name = checked_name("group", name)
        self.member = checked_name("member", new_member_name() if member is None else member)
        self.keys = Keys(key_prefix)
        self._url = redis_url
        self._ttl_s = lease_ttl_s
        self._log = log or partial(_say, name)
        self._role = role
        self._stopping = asyncio.Event()
        self._exits = AsyncExitStack()
        self._session: RedisSession | None = None
        self._tenures: dict[int, Tenure] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._renewed_s: dict[int, float] = {}
        self._facts: Callable[[], dict[str, Any]] = dict
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Opens Redis.

        Raises:
            SettingsError, EmbeddedServerError, RedisRefusedError: Redis cannot be used.
            ContractError: its streams follow another contract.
        """
        try:
            self._session = await self._exits.enter_async_context(
                redis_session(self._url, client_name=f"group-{self.name}", log=self._log)
            )
            await self._check_contract()
        except BaseException:
            await self._exits.aclose()
            raise
        self._directory = Directory(self.client, self.keys, self._log)
        ttl_ms = int(self._ttl_s * 1000)
        self._membership = Membership(self.client, self.keys, self.name, self.member, ttl_ms, self._role)
        self._gate = Gate(
            self._session, stopping=self._stopping, on_back=self._membership.redis_was_away, log=self._log
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    @property
    def session(self) -> RedisSession:
        """The open door to Redis."""
        assert self._session is not None, "a group is used inside `async with`"
        return self._session

    @property
    def client(self) -> Redis:
        """A client for anything else; its own errors go through."""
        return self.session.client

    @property
    def directory(self) -> Directory:
        """Streams and markets."""
        return self._directory

    @property
    def partitions(self) -> list[int]:
        """Those that this member reads now."""
        return sorted(self._tenures)

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Finishes the batches in hand, acknowledges them, gives the partitions back; `run` returns then."""
        self._stopping.set()
        for tenure in self._tenures.values():
            tenure.leave()

    async def run(self, handler: Handler, *, once: bool = False) -> None:
        """Calls the handler for each entry, until `stop`. An entry is acknowledged after its call returned.

        Args:
            handler: called with a Message, or a Notice; plain or async.
            once: end when all that is there was handled.

        Raises:
            SettingsError: the group belongs to a program of another kind, or with other settings; nothing was read.
            MemberTakenError: another program uses this member's name.
            RedisRefusedError: Redis refuses this client.
        """
        each = EntryByEntry(handler, log=self._log, stopping=self._stopping)

        async def opened(_: Partition) -> BatchHandler:
            return each

        await self.run_partitions(
            opened, once=once, facts=lambda: {"handled": each.handled, "dead": each.dead}
        )

    async def run_partitions(
        self,
        opened: OpenPartition,
        *,
        clocks: bool = False,
        once: bool = False,
        facts: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        """Hands out whole batches, for programs that commit them together with their own writes.

        Nothing is skipped: a batch whose handler fails again and again, or ends its process, comes again.

        Args:
            opened: called each time a partition was taken.
            clocks: whether batches hold clock entries.
            once: end when all that is there was handled.
            facts: asked once a second what else the member's record is to say.

        Raises:
            GroupError: a handler of batches failed five times running, or the group belongs to others by now.
            SettingsError, MemberTakenError, RedisRefusedError: see `run`.
        """
        if facts is not None:
            self._facts = facts
        await self._patiently(self._enlist)
        await self._patiently(self._directory.look)
        helpers = [
            asyncio.create_task(hear_wakes(self._new_connection, self.keys, self._wake), name="wakes"),
            asyncio.create_task(self._keep(opened, clocks), name="membership"),
        ]
        if once:
            helpers.append(asyncio.create_task(self._stop_at_end(), name="end"))
        for helper in helpers:
            helper.add_done_callback(self._helper_ended)
        try:
            await self._stopping.wait()
            await self._end_tenures()
            await end_tasks(helpers)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await end_tasks([*helpers, *self._tasks.values()])
            if self._failure is None or not isinstance(self._failure, RedisError):
                with suppress(RedisError, OSError):
                    await self._give_back()
        if self._failure is not None:
            raise self._failure

    # -- partitions -------------------------------------------------------------------------------------------

    async def _keep(self, opened: OpenPartition, clocks: bool) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self._tick(opened, clocks)
            except AWAY as error:
                await self._gate(error)
                continue
            except ResponseError as error:
                if not may_pass(error):
                    raise
                await self._gate.refused(error)
                continue
            tick_s = min(_TICK_S, self._ttl_s / 4)
            await asyncio.sleep(max(tick_s - (time.monotonic() - began_s), tick_s / 4))

    async def _tick(self, opened: OpenPartition, clocks: bool) -> None:
        await self._renew()
        held = sum(tenure.held for tenure in self._tenures.values())
        last = max((one.last for one in self._tenures.values() if one.last is not None), default=None)
        behind_ms = max((one.behind_ms for one in self._tenures.values()), default=0)
        facts = {"held": held, "behind_ms": behind_ms, "last_id": str(last) if last else "", **self._facts()}
        await self._membership.speak(self._tenures, facts)
        await self._directory.look()
        if self._stopping.is_set():
            return
        sent_s = time.monotonic()
        turn = await self._membership.balance(self._tenures.keys() | self._tasks.keys())
        for lease in turn.taken:
            self._renewed_s[lease.partition] = sent_s
            await self._begin(lease, opened, clocks)
        # What leaves already counts; the rest is asked to.
        staying = [one for one in sorted(self._tenures, reverse=True) if not self._tenures[one].is_leaving]
        for partition in staying[: max(turn.give_up - (len(self._tasks) - len(staying)), 0)]:
            self._tenures[partition].leave()

    async def _renew(self) -> None:
        sent_s = time.monotonic()
        held = list(self._tenures)
        leases = self._membership.leases
        epochs = dict(leases.epochs)
        lost, forgotten = await leases.renew(held, id_limit_ms=0)
        # What was taken again meanwhile, because Redis had forgotten it, is not lost.
        lost = [one for one in lost if leases.epochs[one] == epochs[one] and one in self._tenures]
        for partition in held:
            if partition not in lost and partition not in forgotten:
                self._renewed_s[partition] = sent_s
            elif (tenure := self._tenures.get(partition)) is not None:
                # Its next transaction finds out, and takes it again or ends.
                self._renewed_s[partition] = 0.0
                tenure.wake()
        if lost:
            owners = await leases.owners(lost)
            if self.member in owners.values():
                raise MemberTakenError(
                    f"another program reads group {self.name} as member {self.member}; this one stopped, and"
                    " what it had not acknowledged is handled there: give each its own name"
                )

    async def _begin(self, lease: Lease, opened: OpenPartition, clocks: bool) -> None:
        number = lease.partition
        found: Any = await self.client.hget(self.keys.lease(number, self.name), "handled")
        handled = EntryId.parse(found) if found else None
        key = self.keys.lease(number, self.name)
        wire = Wire(self._new_connection, key)
        fence = Fence(wire, key, self.member, lease.epoch)

        async def retake() -> None:
            sent_s = time.monotonic()
            again = await self._membership.retake(number)
            if not again.held:
                raise LeaseLostError(f"{fence.lease} belongs to {again.owner} now")
            fence.renewed(again.epoch)
            self._renewed_s[number] = sent_s

        begun = Begun(self.keys.begun(number, self.name))
        tools = Tools(
            fence=fence,
            keys=self.keys,
            group=self.name,
            patience=self._gate,
            refused=self._gate.refused,
            retake=retake,
            begun=begun,
            sure=lambda: self._is_sure(number),
        )
        reading = PartitionReading(
            fence=fence,
            keys=self.keys,
            group=self.name,
            partition=number,
            directory=self._directory,
            begun=begun,
            handled=handled,
            held_at_most=lambda: ENTRIES_HELD // max(len(self._tenures), 1),
            retake=retake,
            log=self._log,
        )
        tenure = Tenure(
            number,
            reading=reading,
            tools=tools,
            directory=self._directory,
            clocks=clocks,
            log=self._log,
        )
        self._tenures[number] = tenure
        task = asyncio.create_task(self._serve(tenure, wire, handled, opened), name=f"partition {number}")
        self._tasks[number] = task

    async def _serve(
        self, tenure: Tenure, wire: Wire, handled: EntryId | None, opened: OpenPartition
    ) -> None:
        number = tenure.partition
        is_ours = True
        try:
            await tenure.run(await opened(Partition(number, handled, self._directory)))
        except LeaseLostError:
            is_ours = False
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  (whatever it is, `run` raises it)
            self._fail(error)
        finally:
            await wire.close()
            self._tenures.pop(number, None)
            self._renewed_s.pop(number, None)
            try:
                if is_ours and not isinstance(self._failure, RedisError | RedisAwayError):
                    with suppress(RedisError, OSError):
                        await self._membership.leases.release([number], last_ms=0)
            finally:
                self._tasks.pop(number, None)

    def _is_sure(self, partition: int) -> bool:
        return time.monotonic() - self._renewed_s.get(partition, 0.0) < self._ttl_s

    # -- beginning and end ------------------------------------------------------------------------------------

    async def _check_contract(self) -> None:
        found: Any = await self.client.get(self.keys.contract_version)
        if found is not None and found.decode() != str(CONTRACT_VERSION):
            raise ContractError(
                f"the streams of this Redis follow contract {found.decode()[:20]!r}, this program reads"
                f" contract {CONTRACT_VERSION}; nothing was read: use the program that wrote them"
            )

    async def _enlist(self) -> None:
        if before := await self._membership.enlist():
            self._log(f"group {self.name} had other settings until now: {before}")

    async def _patiently(self, do: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await do()
            except AWAY as error:
                await self._gate(error)

    async def _stop_at_end(self) -> None:
        """Stops when every partition that is ours has been read to its end, and no more are to come."""
        while True:
            await asyncio.sleep(0.02)
            tenures = list(self._tenures.values())
            if tenures and all(one.caught_up.is_set() for one in tenures) and self._has_its_share:
                self.stop()
                return

    @property
    def _has_its_share(self) -> bool:
        return len(self._tenures) >= self._membership.share

    async def _end_tenures(self) -> None:
        while self._tasks:
            for tenure in self._tenures.values():
                tenure.leave()
            await asyncio.wait(list(self._tasks.values()))

    async def _give_back(self) -> None:
        await self._membership.leave()

    def _new_connection(self) -> Any:
        return self.client.connection_pool.make_connection()  # type: ignore[no-untyped-call]

    def _wake(self, partition: int | None) -> None:
        if partition is not None:
            if (tenure := self._tenures.get(partition)) is not None:
                tenure.wake()
            return
        for tenure in self._tenures.values():
            tenure.wake()

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self.stop()

    def _helper_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)


def checked_name(what: str, name: str) -> str:
    """The name.

    Raises:
        SettingsError: it cannot be a part of a key.
    """
    if NAME.fullmatch(name) is None:
        raise SettingsError(
            f"{name[:80]!r} is no name of a {what}: 1 to 64 letters, digits, dots, dashes and underscores"
        )
    return name


def _say(group: str, line: str) -> None:
    print(f"group {group}: {line}", file=sys.stderr, flush=True)
