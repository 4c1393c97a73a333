"""Who may write a partition, or read it for a group: a lease that runs out unless it is renewed.

A lease is a hash with `owner`, `epoch` (rises with each new owner), `id_limit_ms` (the owner writes no stream id
above it) and `expires_ms` (by the server's clock). It stays when it runs out: the next owner must know the epoch
and the limit of the last one. Checked and changed by small server-side functions, so that two takers never win.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio

from marketdata.keys import Keys

_NOW: Final = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"

_TAKE: Final = (
    _NOW
    + """
local h = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'id_limit_ms', 'expires_ms')
local owner, epoch, limit, expires = h[1] or '', tonumber(h[2] or 0), tonumber(h[3] or 0), tonumber(h[4] or 0)
if owner ~= '' and owner ~= ARGV[1] and (expires > now or ARGV[4] == '1') then
  return {0, owner, epoch, limit, expires - now}
end
if not h[2] and ARGV[6] == '1' then return {0, '', 0, 0, 0} end
epoch = math.max(epoch, tonumber(ARGV[5])) + 1
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', epoch,
           'id_limit_ms', math.max(limit, tonumber(ARGV[3])), 'expires_ms', now + tonumber(ARGV[2]))
return {1, ARGV[1], epoch, limit, tonumber(ARGV[2])}
"""
)

_RENEW: Final = (
    _NOW
    + """
local h = redis.call('HMGET', KEYS[1], 'owner', 'epoch', 'id_limit_ms')
if not h[2] then return 2 end
if h[1] ~= ARGV[1] or h[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'id_limit_ms', math.max(tonumber(h[3] or 0), tonumber(ARGV[4])),
           'expires_ms', now + tonumber(ARGV[3]))
return 1
"""
)

_RELEASE: Final = """
local h = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
if h[1] ~= ARGV[1] or h[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'owner', '', 'id_limit_ms', ARGV[3], 'expires_ms', 0)
return 1
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """An answer about one partition.

    Attributes:
        partition: which one.
        held: whether it is ours now.
        owner: who holds it; empty: nobody that Redis knows of.
        epoch: rises with each new owner.
        old_limit_ms: no id of an earlier owner is above it, Unix milliseconds.
        left_ms: until it runs out if nobody renews it; negative: it has.
    """

    partition: int
    held: bool
    owner: str
    epoch: int
    old_limit_ms: int
    left_ms: int


class Leases:
    """The leases of one kind: writers of partitions, or the members of a reading group."""

    def __init__(
        self, client: redis.asyncio.Redis, keys: Keys, owner: str, ttl_ms: int, group: str | None = None
    ) -> None:
        self._client = client
        self._keys = keys
        self._group = group
        self.owner = owner
        self.ttl_ms = ttl_ms
        self.epochs: dict[int, int] = {}
        """The epoch of each partition that is ours, and of those that were."""

    async def take(
        self,
        partitions: Iterable[int],
        *,
        id_limit_ms: int,
        respect_expired: bool,
        respect_forgotten: Container[int] = (),
    ) -> list[Lease]:
        """Tries to take partitions that are free, run out or ours already under this name.

        Args:
            partitions: which to try.
            id_limit_ms: no id will be made above it before the first renewal.
            respect_expired: leave a stranger's lease alone even if it ran out: just after Redis was away,
                because its owner could not renew it.
            respect_forgotten: leave these alone where no lease is there at all: Redis lost it, and whoever held
                it may still be writing.

        Raises:
            redis.RedisError: Redis could not be asked.
        """
        wanted = list(partitions)
        replies = await self._each(
            _TAKE,
            wanted,
            [
                (
                    *(self.owner, self.ttl_ms, id_limit_ms, int(respect_expired)),
                    *(self.epochs.get(partition, 0), int(partition in respect_forgotten)),
                )
                for partition in wanted
            ],
        )
        leases = []
        for partition, (held, owner, epoch, limit_ms, left_ms) in zip(wanted, replies, strict=True):
            if held:
                self.epochs[partition] = int(epoch)
            leases.append(
                Lease(partition, bool(held), owner.decode(), int(epoch), int(limit_ms), int(left_ms))
            )
        return leases

    async def renew(self, partitions: Iterable[int], *, id_limit_ms: int) -> tuple[list[int], list[int]]:
        """Renews our leases. Returns the partitions that were lost to another owner, and those Redis forgot."""
        wanted = list(partitions)
        replies = await self._each(
            _RENEW,
            wanted,
            [(self.owner, self.epochs[partition], self.ttl_ms, id_limit_ms) for partition in wanted],
        )
        answers = list(zip(wanted, replies, strict=True))
        return [p for p, answer in answers if answer == 0], [p for p, answer in answers if answer == 2]

    async def release(self, partitions: Iterable[int], *, last_ms: int) -> None:
        """Gives leases back; `last_ms`: no id was written above it."""
        wanted = list(partitions)
        await self._each(_RELEASE, wanted, [(self.owner, self.epochs[p], last_ms) for p in wanted])

    async def owners(self, partitions: Iterable[int]) -> dict[int, str]:
        """Who holds each partition now; free ones are left out."""
        wanted = list(partitions)
        pipe = self._client.pipeline(transaction=False)
        for partition in wanted:
            pipe.hget(self._keys.lease(partition, self._group), "owner")
        replies = await pipe.execute()
        return {p: owner.decode() for p, owner in zip(wanted, replies, strict=True) if owner}

    async def _each(
        self, script: str, partitions: Sequence[int], arguments: Sequence[tuple[str | int, ...]]
    ) -> list[Any]:
        if not partitions:
            return []
        pipe = self._client.pipeline(transaction=False)
        for partition, values in zip(partitions, arguments, strict=True):
            pipe.eval(script, 1, self._keys.lease(partition, self._group), *values)
        return list(await pipe.execute())
