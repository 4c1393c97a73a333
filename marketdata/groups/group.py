"""A consumer group over all markets: members share the partitions, crash, lag and scale."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from marketdata.errors import ContractError, RedisAwayError
from marketdata.groups.attempts import EntryByEntry
from marketdata.groups.batch import AWAY
from marketdata.groups.directory import Directory
from marketdata.groups.gate import Gate
from marketdata.groups.handlers import Handler
from marketdata.groups.holdings import Holdings, OpenPartition
from marketdata.groups.membership import Membership, checked_name, new_member_name
from marketdata.groups.role import ANY_READER, Role
from marketdata.groups.tenure import BatchHandler, Partition
from marketdata.groups.wakes import hear_wakes
from marketdata.groups.wire import may_pass
from marketdata.keys import CONTRACT_VERSION, Keys
from marketdata.redis_url import DEFAULT_URL, RedisSession, redis_session
from marketdata.tasks import end_tasks

LEASE_TTL_S: Final = 5.0
_TICK_S: Final = 1.0


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
        opens_within_s: so long Redis is waited for at the opening; None: until it answers.
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
        opens_within_s: float | None = None,
        log: Callable[[str], None] | None = None,
        role: Role = ANY_READER,
    ) -> None:
        self.name = checked_name("group", name)
        self.member = checked_name("member", new_member_name() if member is None else member)
        self.keys = Keys(key_prefix)
        self._url = redis_url
        self._ttl_s = lease_ttl_s
        self._opens_within_s = opens_within_s
        self._log = log or partial(_say, name)
        self._role = role
        self._stopping = asyncio.Event()
        self._exits = AsyncExitStack()
        self._session: RedisSession | None = None
        self._holdings: Holdings | None = None
        self._facts: Callable[[], dict[str, Any]] = dict
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Opens Redis.

        Raises:
            SettingsError, EmbeddedServerError, RedisRefusedError: Redis cannot be used.
            RedisAwayError: it did not answer for `opens_within_s`.
            ContractError: its streams follow another contract.
        """
        try:
            self._session = await self._exits.enter_async_context(
                redis_session(
                    self._url,
                    client_name=f"group-{self.name}",
                    log=self._log,
                    give_up_s=self._opens_within_s,
                )
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
        return sorted(self._holdings.tenures) if self._holdings is not None else []

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Finishes the batches in hand, acknowledges them, gives the partitions back; `run` returns then."""
        self._stopping.set()
        if self._holdings is not None:
            self._holdings.leave()

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
        holdings = self._holdings = Holdings(
            client=self.client,
            keys=self.keys,
            group=self.name,
            membership=self._membership,
            directory=self._directory,
            gate=self._gate,
            ttl_s=self._ttl_s,
            opened=opened,
            clocks=clocks,
            log=self._log,
            fail=self._fail,
            is_redis_lost=lambda: self._is_redis_lost,
        )
        helpers = [
            asyncio.create_task(hear_wakes(holdings.new_connection, self.keys, holdings.wake), name="wakes"),
            asyncio.create_task(self._keep(holdings), name="membership"),
        ]
        if once:
            helpers.append(asyncio.create_task(self._stop_at_end(holdings), name="end"))
        for helper in helpers:
            helper.add_done_callback(self._helper_ended)
        try:
            await self._stopping.wait()
            await holdings.end()
            await end_tasks(helpers)
        finally:
            await end_tasks(helpers)
            await holdings.cancel()
            if not self._is_redis_lost:
                with suppress(RedisError, OSError):
                    await self._give_back()
        if self._failure is not None:
            raise self._failure

    async def _keep(self, holdings: Holdings) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self._tick(holdings)
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

    async def _tick(self, holdings: Holdings) -> None:
        await holdings.renew()
        await self._membership.speak(holdings.tenures, {**holdings.facts(), **self._facts()})
        await self._directory.look()
        if self._stopping.is_set():
            return
        sent_s = time.monotonic()
        turn = await self._membership.balance(holdings.taken)
        for lease in turn.taken:
            await holdings.begin(lease, sent_s)
        holdings.give_up(turn.give_up)

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

    async def _stop_at_end(self, holdings: Holdings) -> None:
        """Stops when every partition that is ours has been read to its end, and no more are to come."""
        while True:
            await asyncio.sleep(0.02)
            if holdings.are_read:
                self.stop()
                return

    async def _give_back(self) -> None:
        await self._membership.leave()

    @property
    def _is_redis_lost(self) -> bool:
        """Whether it ends for Redis' sake: then nothing can be given back, and to try would only delay the end."""
        return isinstance(self._failure, RedisError | RedisAwayError)

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
        self.stop()

    def _helper_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)


def _say(group: str, line: str) -> None:
    print(f"group {group}: {line}", file=sys.stderr, flush=True)
