"""Who reads a group now: its members, holders of its leases, and programs that read it by plain XREADGROUP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from marketdata.groups.streams import READER
from marketdata.keys import Keys
from marketdata.partitions import MAX_PARTITIONS

ACTIVE_MS: Final = 10_000
"""A consumer that asked for entries less than this ago is a reader. One that blocks for longer is not seen."""

_PART: Final = 500


@dataclass(frozen=True, slots=True)
class Leased:
    """The leases of a group.

    Attributes:
        partitions: those that have one, whether or not it ran out.
        owners: who holds one that has not run out.
    """

    partitions: frozenset[int]
    owners: frozenset[str]


async def live_members(client: Redis, keys: Keys, group: str) -> set[str]:
    """Members that spoke lately. The client's errors go through."""
    listed: Any = await client.zrange(keys.group(group), 0, -1)
    names = [one.decode(errors="replace") for one in listed]
    return {name for name in names if await client.exists(keys.group_member(group, name))}


async def leased(client: Redis, keys: Keys, group: str) -> Leased:
    """Its leases. The client's errors go through."""
    async with client.pipeline(transaction=False) as pipe:
        pipe.time()
        for partition in range(MAX_PARTITIONS):
            pipe.hmget(keys.lease(partition, group), "owner", "expires_ms")
        (seconds, micros), *leases = await pipe.execute()
    server_ms = seconds * 1_000 + micros // 1_000
    return Leased(
        frozenset(number for number, (owner, _) in enumerate(leases) if owner is not None),
        frozenset(
            owner.decode(errors="replace")
            for owner, expires_ms in leases
            if owner and expires_ms is not None and int(expires_ms) > server_ms
        ),
    )


async def plain_readers(
    client: Redis, streams: Mapping[str, int], group: str, under_lease: frozenset[int]
) -> set[str]:
    """Consumers that were active in the last ten seconds and no lease speaks for. The client's errors go through.

    Args:
        streams: where to look, with the partition of each.
        under_lease: partitions that have a lease: whoever reads there as READER is known by it.
    """
    names, found = list(streams), set()
    for at in range(0, len(names), _PART):
        part = names[at : at + _PART]
        async with client.pipeline(transaction=False) as pipe:
            for key in part:
                pipe.xinfo_consumers(key, group)
            replies = await pipe.execute(raise_on_error=False)
        for key, reply in zip(part, replies, strict=True):
            if isinstance(reply, ResponseError) and ("NOGROUP" in str(reply) or "no such key" in str(reply)):
                continue
            if isinstance(reply, Exception):
                raise reply
            found |= {
                row["name"].decode(errors="replace")
                for row in reply
                if row["idle"] < ACTIVE_MS
                and not (row["name"] == READER.encode() and streams[key] in under_lease)
            }
    return found
