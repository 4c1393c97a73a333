"""Takes a group away that nobody reads any more: from all streams, with its leases, its role and its list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from consumers.streams import scan_streams
from marketdata.errors import GroupError
from marketdata.keys import Keys
from marketdata.partitions import MAX_PARTITIONS

_PART: Final = 500


@dataclass(frozen=True, slots=True)
class Removed:
    """What was there.

    Attributes:
        known: whether anything was.
        streams: that the group read.
        letters: dead letters, those that were handed back and not handled included.
    """

    known: bool
    streams: int
    letters: int


async def remove_group(client: Redis, keys: Keys, group: str, *, dead_letters: bool) -> Removed:
    """Removes a group. May be called again after an error: what is done is done. The client's errors go through.

    Args:
        dead_letters: remove these, too; else they stay, and those handed back become dead letters again.

    Raises:
        GroupError: somebody reads it; nothing was removed.
    """
    await _refuse_what_lives(client, keys, group)
    partitions = range(MAX_PARTITIONS)
    requeues = [keys.requeue(one, group) for one in partitions]
    async with client.pipeline(transaction=False) as pipe:
        pipe.xlen(keys.dead(group))
        for key in requeues:
            pipe.xlen(key)
        lengths = await pipe.execute()
    streams = await _destroyed(client, [one.key for one in await scan_streams(client, keys)], group)
    if not dead_letters:
        for key in (key for key, length in zip(requeues, lengths[1:], strict=True) if length):
            await _take_back(client, key, keys.dead(group))
    plain = [keys.role(group), keys.group(group)]
    plain += [key for one in partitions for key in (keys.lease(one, group), keys.begun(one, group))]
    plain += requeues
    if dead_letters:
        plain.append(keys.dead(group))
    gone = await client.zrem(keys.groups, group) + await client.unlink(*plain)
    letters = sum(lengths)
    return Removed(bool(gone or streams or letters), streams, letters)


async def _refuse_what_lives(client: Redis, keys: Keys, group: str) -> None:
    listed: Any = await client.zrange(keys.group(group), 0, -1)
    readers = set()
    for name in (one.decode(errors="replace") for one in listed):
        if await client.exists(keys.group_member(group, name)):
            readers.add(name)
    # A replay holds leases and is on no list.
    async with client.pipeline(transaction=False) as pipe:
        pipe.time()
        for partition in range(MAX_PARTITIONS):
            pipe.hmget(keys.lease(partition, group), "owner", "expires_ms")
        (seconds, micros), *leases = await pipe.execute()
    server_ms = seconds * 1_000 + micros // 1_000
    readers |= {
        owner.decode(errors="replace")
        for owner, expires_ms in leases
        if owner and expires_ms is not None and int(expires_ms) > server_ms
    }
    if readers:
        raise GroupError(
            f"group {group} is read by {', '.join(sorted(readers))[:80]}; nothing was removed: stop it first (one that"
            " died counts as a reader for 5 s)"
        )


async def _take_back(client: Redis, requeue: str, dead: str) -> None:
    async with client.pipeline(transaction=True) as pipe:
        await pipe.watch(requeue)
        rows: Any = await pipe.xrange(requeue)
        pipe.multi()  # type: ignore[no-untyped-call]
        for _, fields in rows:
            pipe.xadd(dead, fields)
        pipe.delete(requeue)
        await pipe.execute()


async def _destroyed(client: Redis, streams: Iterable[str], group: str) -> int:
    """How many of the streams had the group."""
    names, count = list(streams), 0
    for at in range(0, len(names), _PART):
        async with client.pipeline(transaction=False) as pipe:
            for key in names[at : at + _PART]:
                pipe.xgroup_destroy(key, group)
            replies = await pipe.execute(raise_on_error=False)
        for reply in replies:
            # A stream can go, with its groups, between the scan and this.
            if isinstance(reply, Exception) and "requires the key to exist" not in str(reply):
                raise reply
            count += reply == 1
    return count
