"""Which partitions are ours, and until when.

A lease is renewed at a third of its life. Ids are never made above the limit that stands in the lease: a worker that
was asleep when another took over cannot write, because Redis refuses ids below the new owner's first ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import redis.asyncio
from redis.exceptions import RedisError

from marketdata.clock import now_ms
from marketdata.leases import Lease, Leases
from marketdata.logs import get_logger
from worker.ids import IdClock
from worker.publisher import Publisher


@dataclass(frozen=True, slots=True)
class Taken:
    """Partitions that just became ours, and the highest id limit of their former owners."""

    partitions: frozenset[int]
    old_limit_ms: int


class Ownership:
    """Takes, renews and gives back the leases of partitions."""

    def __init__(
        self,
        *,
        client: redis.asyncio.Redis,
        leases: Leases,
        partitions: int,
        publisher: Publisher,
        ids: IdClock,
        on_lost: Callable[[frozenset[int]], None],
    ) -> None:
        self.owned: set[int] = set()
        self.marked: set[int] = set()
        """Those of ours whose open streams got our first gap: only of these may the clock say that all is proven."""
        self.on_forgotten: Callable[[], None] = lambda: None
        """Called when Redis lost its data and the leases were taken again."""
        self.owners: dict[int, str] = {}
        """Who holds the partitions that are not ours, as of the last look."""
        self.partitions = partitions
        self._client = client
        self._leases = leases
        self._publisher = publisher
        self._ids = ids
        self._on_lost = on_lost
        self._away = False
        self._back_since_ms = 0
        self._forgotten_since_ms: dict[int, int] = {}
        """Partitions of strangers whose leases Redis lost, and since when."""
        self._log = get_logger("ownership")

    @property
    def epochs(self) -> dict[int, int]:
        """The epoch of each partition."""
        return self._leases.epochs

    @property
    def renew_every_s(self) -> float:
        """A third of the lease's life, seconds."""
        return self._leases.ttl_ms / 3000

    async def take_free(self) -> Taken:
        """Takes every partition that nobody holds.

        A stranger's lease that ran out while Redis was away is respected for one more life: its owner could not
        renew it. So is one that Redis lost (FLUSHALL): its owner writes on until it renews, and its id limit, which
        would keep it out of our streams, is lost as well.

        Raises:
            RedisError: Redis could not be asked.
        """
        wanted = [partition for partition in range(self.partitions) if partition not in self.owned]
        limit_ms = self._new_limit_ms()
        respect_expired = await self._just_back()
        try:
            leases = await self._leases.take(
                wanted,
                id_limit_ms=limit_ms,
                respect_expired=respect_expired,
                respect_forgotten=self._not_long_forgotten(),
            )
        except RedisError:
            # A Redis that answers but does not write (full, a replica) lets nobody renew either.
            self._away = True
            raise
        return self._taken(leases, limit_ms)

    async def renew(self) -> None:
        """Renews all leases; tells of those that were lost. Redis away: the limits stay where they are.

        Raises:
            RedisError: Redis could not be asked.
        """
        limit_ms = self._new_limit_ms()
        try:
            lost, forgotten = await self._leases.renew(sorted(self.owned), id_limit_ms=limit_ms)
        except RedisError:
            self._away = True
            raise
        for partition in self.owned.difference(lost, forgotten):
            self._raise_limit(partition, limit_ms)
        if forgotten:
            # Redis lost its data but nobody else has written since: go on as a new owner of what is ours.
            self._log.warning(f"Redis forgot the leases of {len(forgotten)} partitions; taking them again")
            leases = await self._leases.take(forgotten, id_limit_ms=limit_ms, respect_expired=False)
            again = {lease.partition for lease in leases if lease.held}
            for partition in again:
                self._raise_limit(partition, limit_ms)
            lost += [partition for partition in forgotten if partition not in again]
            self._publisher.want_reconcile()
            self.on_forgotten()
        if lost:
            self.lose(frozenset(lost))
            self._publisher.forget_partitions(frozenset(lost))
        self._publisher.limits_moved()

    def lose(self, lost: frozenset[int]) -> None:
        """Another worker owns these partitions now."""
        gone = lost & self.owned
        if not gone:
            return
        self.owned -= gone
        self.marked -= gone
        self._log.error(f"{len(gone)} partitions belong to another worker now; their markets are let go")
        self._on_lost(frozenset(gone))

    async def release(self) -> None:
        """Gives all leases back.

        Raises:
            RedisError: Redis could not be asked; the leases run out by themselves.
        """
        await self._leases.release(sorted(self.owned), last_ms=self._ids.last.ms)
        for partition in self.owned:
            self._publisher.limits.pop(partition, None)
        self.owned.clear()
        self.marked.clear()

    def _taken(self, leases: list[Lease], limit_ms: int) -> Taken:
        held = [lease for lease in leases if lease.held]
        old_limit_ms = max((lease.old_limit_ms for lease in held), default=0)
        # Before anything else can make an id for these partitions.
        self._ids.raise_above(old_limit_ms)
        now = now_ms()
        self._forgotten_since_ms = {
            lease.partition: self._forgotten_since_ms.get(lease.partition, now)
            for lease in leases
            if not (lease.held or lease.owner)
        }
        self.owners = {
            lease.partition: lease.owner or self.owners.get(lease.partition, "")
            for lease in leases
            if not lease.held
        }
        for lease in held:
            self.owned.add(lease.partition)
            self._publisher.limits[lease.partition] = limit_ms
        return Taken(
            frozenset(lease.partition for lease in held),
            old_limit_ms,
        )

    def _not_long_forgotten(self) -> set[int]:
        """Partitions that a stranger held at the last look, unless Redis forgot that longer ago than a lease lives."""
        now = now_ms()
        return {
            partition
            for partition, owner in self.owners.items()
            if owner and now - self._forgotten_since_ms.get(partition, now) <= self._leases.ttl_ms
        }

    async def _just_back(self) -> bool:
        """Whether Redis, or our way to it, has been there for less than the life of a lease."""
        try:
            info = await self._client.info("server")
        except RedisError:
            self._away = True
            raise
        now = now_ms()
        if self._away:
            self._away = False
            self._back_since_ms = now
        young = int(info["uptime_in_seconds"]) * 1000 < self._leases.ttl_ms
        return young or now - self._back_since_ms < self._leases.ttl_ms

    def _raise_limit(self, partition: int, limit_ms: int) -> None:
        # Two renewals can be on their way at once (each on a connection of its own): neither undoes the other.
        self._publisher.limits[partition] = max(limit_ms, self._publisher.limits.get(partition, 0))

    def _new_limit_ms(self) -> int:
        # After a take-over our ids may run ahead of the clock, above the former owner's limit.
        return max(now_ms(), self._ids.last.ms) + self._leases.ttl_ms
