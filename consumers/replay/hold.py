"""Holds the partitions of a group while a replay reads them, so that no other member does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from marketdata.errors import ReplayError, SettingsError
from marketdata.groups.membership import new_member_name
from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.tasks import end_tasks

TTL_MS: Final = 5_000
_RENEW_S: Final = 0.5
_SLACK_S: Final = 0.5


class Hold:
    """The leases of a group's partitions. Lets the client's errors through.

    Args:
        log: gets a line while it waits for the lease of one that may have died.
    """

    def __init__(self, client: Redis, keys: Keys, group: str, log: Callable[[str], None]) -> None:
        self._leases = Leases(client, keys, new_member_name(), TTL_MS, group)
        self._group = group
        self._log = log
        self._held: list[int] = []
        self._lost: list[int] = []
        self._renewing: asyncio.Task[None] | None = None

    async def take(self, partitions: Iterable[int]) -> None:
        """Takes all of them; what a member holds that died is free after five seconds.

        Raises:
            SettingsError: another member reads one of them, and lives.
        """
        wanted = sorted(set(partitions) - set(self._held))
        waited = False
        while wanted:
            leases = await self._leases.take(wanted, id_limit_ms=0, respect_expired=False)
            self._held += (lease.partition for lease in leases if lease.held)
            if self._renewing is None:
                self._renewing = asyncio.create_task(self._renew(), name="renew the group's leases")
            others = [lease for lease in leases if not lease.held]
            if not others:
                return
            wanted = [lease.partition for lease in others]
            names = ", ".join(sorted({lease.owner for lease in others}))[:80]
            if waited:
                await self.release()
                raise SettingsError(
                    f"group {self._group!r} is read by {names}, whose entries a replay would take; nothing was"
                    " read: choose another --group"
                )
            waited = True
            self._log(f"waits whether {names} still reads group {self._group!r}")
            await asyncio.sleep(max(lease.left_ms for lease in others) / 1000 + _SLACK_S)

    def check(self) -> None:
        """Raises ReplayError if another member took a partition: it handles what was not acknowledged."""
        if self._lost:
            raise ReplayError(
                f"another member reads partition {self._lost[0]} of group {self._group!r} now; what was not"
                " acknowledged is handled there"
            )

    async def release(self) -> None:
        """Gives all of them back. May be called twice."""
        if self._renewing is not None:
            await end_tasks([self._renewing])
            self._renewing = None
        held, self._held = self._held, []
        with suppress(RedisError):
            # If Redis is away they run out by themselves.
            await self._leases.release(held, last_ms=0)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            with suppress(RedisError):
                lost, forgotten = await self._leases.renew(self._held, id_limit_ms=0)
                again = await self._leases.take(forgotten, id_limit_ms=0, respect_expired=False)
                self._lost += [*lost, *(lease.partition for lease in again if not lease.held)]
