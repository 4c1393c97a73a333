"""Who is a member of a group, and which partitions a member reads."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import WatchError

from marketdata.clock import now_ms
from marketdata.errors import GroupError, SettingsError
from marketdata.groups.role import ANY_READER, FIELDS, Role, refusal
from marketdata.groups.shares import share_of
from marketdata.keys import NAME_ALLOWED, NAME_PATTERN, Keys
from marketdata.leases import Lease, Leases
from marketdata.partitions import DEFAULT_PARTITIONS


@dataclass(frozen=True, slots=True)
class Turn:
    """What a member is to do after a look at the others.

    Attributes:
        taken: leases that are ours now.
        give_up: how many partitions to hand to others.
    """

    taken: list[Lease]
    give_up: int


class Membership:
    """One member. The client's own errors go through.

    Args:
        name: the member's.
        ttl_ms: a member that said nothing for so long is none, and its partitions are free.
        role: see `Role`.
    """

    def __init__(
        self, client: Redis, keys: Keys, group: str, name: str, ttl_ms: int, role: Role = ANY_READER
    ) -> None:
        self.name = name
        self.leases = Leases(client, keys, name, ttl_ms, group)
        self.started_ms = now_ms()
        self.others: set[str] = set()
        self.partitions = DEFAULT_PARTITIONS
        self._client = client
        self._keys = keys
        self._group = group
        self._ttl_ms = ttl_ms
        self._role = role
        self._heard_s: dict[str, float] = {}
        self._enlisted = False
        self._patient_until_s = 0.0

    def redis_was_away(self) -> None:
        """Others could not renew their leases either: theirs are left alone for a while, even run out ones."""
        self._patient_until_s = time.monotonic() + self._ttl_ms / 1000

    async def enlist(self) -> str:
        """Joins, unless the group belongs to others; a program enters itself and its settings in the same step.

        Returns:
            The settings that the group had until now, where they were others; else nothing.

        Raises:
            SettingsError: it belongs to others; nothing was read.
        """
        key = self._keys.role(self._group)
        async with self._client.pipeline(transaction=True) as pipe:
            while True:
                await pipe.watch(key)
                # In this order: whoever is seen here has written the role before, in the same step as its name.
                others = await self._live_others() if self._role.program else set()
                found = Role.of(await pipe.hmget(key, FIELDS))
                if why := refusal(self._group, self._role, found, others):
                    raise SettingsError(why)
                if not self._role.program:
                    return ""
                pipe.multi()  # type: ignore[no-untyped-call]
                pipe.hset(key, mapping=dict(zip(FIELDS, self._role_values, strict=True)))
                # Whoever comes with other settings from now on finds us.
                first_word = self._record((), {"held": 0, "behind_ms": 0, "last_id": ""})
                pipe.set(self._keys.group_member(self._group, self.name), first_word, px=self._ttl_ms)
                pipe.zadd(self._keys.group(self._group), {self.name: now_ms()})
                try:
                    await pipe.execute()
                except WatchError:
                    continue
                return found.settings if found is not None and found != self._role else ""

    @property
    def _role_values(self) -> tuple[str, str]:
        return self._role.program, self._role.settings

    async def _live_others(self) -> set[str]:
        listed: Any = await self._client.zrange(self._keys.group(self._group), 0, -1)
        others = [name for one in listed if (name := one.decode(errors="replace")) != self.name]
        if not others:
            return set()
        records = await self._client.mget([self._keys.group_member(self._group, one) for one in others])
        return {one for one, record in zip(others, records, strict=True) if record is not None}

    def _record(self, held: Collection[int], facts: dict[str, Any]) -> bytes:
        return orjson.dumps(
            {
                "member": self.name,
                "group": self._group,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started_ms": self.started_ms,
                "now_ms": now_ms(),
                "partitions": sorted(held),
                **facts,
            }
        )

    async def speak(self, held: Collection[int], facts: dict[str, Any]) -> None:
        """Says that we live, and hears who else does.

        Raises:
            GroupError: the group belongs to others by now.
        """
        record = self._record(held, facts)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.zrange(self._keys.group(self._group), 0, -1)
            pipe.set(self._keys.group_member(self._group, self.name), record, px=self._ttl_ms)
            pipe.zadd(self._keys.group(self._group), {self.name: now_ms()})
            pipe.zadd(self._keys.groups, {self._group: now_ms()})
            pipe.hmget(self._keys.role(self._group), FIELDS)
            pipe.get(self._keys.contract_partitions)
            listed, *_, role, partitions = await pipe.execute()
        self.partitions = int(partitions) if partitions else DEFAULT_PARTITIONS
        await self._look_whose(Role.of(role))
        await self._hear([one.decode(errors="replace") for one in listed])

    async def _look_whose(self, found: Role | None) -> None:
        if found is None and self._role.program:
            # Redis forgot it, with all the rest.
            mapping = dict(zip(FIELDS, self._role_values, strict=True))
            await self._client.hset(self._keys.role(self._group), mapping=mapping)  # type: ignore[arg-type]
        elif found is not None and found != self._role:
            raise GroupError(
                f"group {self._group} belongs to {found.program[:80]} ({found.settings[:200]}) now; this member"
                " stopped, and what it had not acknowledged is handled there"
            )

    async def _hear(self, listed: list[str]) -> None:
        now_s = time.monotonic()
        others = [one for one in listed if one != self.name]
        records = (
            await self._client.mget([self._keys.group_member(self._group, one) for one in others])
            if others
            else []
        )
        live = {one for one, record in zip(others, records, strict=True) if record is not None}
        if gone := [one for one in others if one not in live]:
            await self._client.zrem(self._keys.group(self._group), *gone)
        lately = {one for one, heard_s in self._heard_s.items() if now_s - heard_s < self._ttl_ms / 1000}
        # Where Redis forgot the list, those heard lately will enlist again.
        forgotten = self._enlisted and self.name not in listed
        self._enlisted = True
        self._heard_s = {one: self._heard_s[one] for one in lately} if forgotten else {}
        self._heard_s.update(dict.fromkeys(live, now_s))
        self.others = set(self._heard_s)

    @property
    def share(self) -> int:
        """How many partitions are ours to read."""
        return share_of(self.name, self.others, self.partitions)

    async def balance(self, held: Collection[int]) -> Turn:
        """Takes partitions up to our share: first those that are ours by name, then free ones."""
        missing = self.share - len(held)
        if missing <= 0:
            return Turn([], -missing)
        wanted = [one for one in range(self.partitions) if one not in held]
        owners = await self.leases.owners(wanted)
        # Members begin at different places, so that they do not all try the same ones.
        at = (sorted({*self.others, self.name}).index(self.name) * self.partitions) // (len(self.others) + 1)
        wanted.sort(
            key=lambda one: (
                owners.get(one) != self.name,
                one in owners,
                (one - at) % self.partitions,
            )
        )
        taken: list[Lease] = []
        while wanted and len(taken) < missing:
            part, wanted = wanted[: missing - len(taken)], wanted[missing - len(taken) :]
            patient = time.monotonic() < self._patient_until_s
            leases = await self.leases.take(part, id_limit_ms=0, respect_expired=patient)
            taken += (lease for lease in leases if lease.held)
        return Turn(taken, 0)

    async def retake(self, partition: int) -> Lease:
        """Takes a partition again whose lease Redis forgot."""
        (lease,) = await self.leases.take([partition], id_limit_ms=0, respect_expired=False)
        return lease

    async def leave(self) -> None:
        """Takes us off the list."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.delete(self._keys.group_member(self._group, self.name))
            pipe.zrem(self._keys.group(self._group), self.name)
            await pipe.execute()


_UNIQUE: Final = 4
_NAME: Final = re.compile(NAME_PATTERN)


def checked_name(what: str, name: object) -> str:
    """The name.

    Raises:
        SettingsError: it cannot be a part of a key.
    """
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise SettingsError(f"{name!r:.80} is no name of a {what}: {NAME_ALLOWED}")
    return name


def new_member_name() -> str:
    """A name that no other member has: host, process, and a few random letters."""
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())[:40]
    return f"{host}-{os.getpid()}-{os.urandom(_UNIQUE // 2).hex()}"
