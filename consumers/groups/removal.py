"""Takes a group away that nobody reads any more: from all streams, with its leases, its role and its list.

First all its leases are taken, as a member would, so that no member can begin meanwhile. Then each partition goes
in one transaction that the lease fences; all its keys are in one slot of a Redis Cluster.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import WatchError

from consumers.groups.readers import leased, live_members, plain_readers
from consumers.streams import scan_streams
from consumers.text import escaped
from marketdata.errors import GroupError
from marketdata.groups.dead import MAXLEN
from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.partitions import MAX_PARTITIONS

TTL_MS: Final = 5_000
_RENEW_S: Final = 1.0


@dataclass(slots=True)
class Removed:
    """What was there.

    Attributes:
        known: whether anything was.
        streams: of markets, that the group read.
        clocks: streams of clock entries, that the group read.
        letters: dead letters, those that were handed back and not handled included.
        states: partitions of which the arbitrage engine of this group had kept a state.
    """

    known: bool = False
    streams: int = 0
    clocks: int = 0
    letters: int = 0
    states: int = 0


async def remove_group(client: Redis, keys: Keys, group: str, *, dead_letters: bool) -> Removed:
    """Removes a group. May be called again after an error: what is done is done. The client's errors go through.

    An arbitrage engine's state goes with its group, as it says what the group has handled; what the engine found stays.

    Args:
        dead_letters: remove these, too; else they stay, and those handed back become dead letters again.

    Raises:
        GroupError: somebody reads it, and nothing was removed; or began to meanwhile, and what he reads stays.
    """
    had_leases = await _refuse_what_lives(client, keys, group)
    removal = _Removal(client, keys, group, dead_letters=dead_letters)
    await removal.take()
    removed = await removal.run()
    gone = await client.zrem(keys.groups, group)
    # Each is in another slot of a cluster.
    for key in (keys.role(group), keys.group(group), *([keys.dead(group)] if dead_letters else [])):
        gone += await client.unlink(key)
    removed.known |= bool(gone or had_leases)
    return removed


async def _refuse_what_lives(client: Redis, keys: Keys, group: str) -> bool:
    """Says whether there is any lease."""
    leases = await leased(client, keys, group)
    # A replay holds leases and is on no list.
    if readers := await live_members(client, keys, group) | leases.owners:
        raise GroupError(_read_by(group, readers))
    streams = {one.key: one.partition for one in await scan_streams(client, keys)}
    streams |= {keys.clock(one): one for one in range(MAX_PARTITIONS)}
    if readers := await plain_readers(client, streams, group, leases.partitions):
        raise GroupError(
            f"group {group} was read in the last 10 s by {_names(readers)}, which holds no lease;"
            " nothing was removed: stop it first, and wait 10 s"
        )
    return bool(leases.partitions)


class _Removal:
    def __init__(self, client: Redis, keys: Keys, group: str, *, dead_letters: bool) -> None:
        self._client = client
        self._keys = keys
        self._group = group
        self._dead_letters = dead_letters
        self._leases = Leases(client, keys, f"removal-{os.urandom(4).hex()}", TTL_MS, group)

    async def take(self) -> None:
        """Takes all leases, or none."""
        leases = await self._leases.take(range(MAX_PARTITIONS), id_limit_ms=0, respect_expired=False)
        if others := {lease.owner for lease in leases if not lease.held}:
            await self._leases.release([lease.partition for lease in leases if lease.held], last_ms=0)
            raise GroupError(_read_by(self._group, others))

    async def run(self) -> Removed:
        """Removes one partition after the other. Streams that appeared meanwhile are looked for first."""
        books: defaultdict[int, list[str]] = defaultdict(list)
        for stream in await scan_streams(self._client, self._keys):
            books[stream.partition].append(stream.key)
        removed = Removed(letters=await self._client.xlen(self._keys.dead(self._group)))
        renewed_s = 0.0
        for partition in range(MAX_PARTITIONS):
            if time.monotonic() - renewed_s > _RENEW_S:
                renewed_s = time.monotonic()
                # Those that were lost are told of by their own transactions.
                await self._leases.renew(range(partition, MAX_PARTITIONS), id_limit_ms=0)
            await self._remove(partition, books[partition], removed)
        return removed

    async def _remove(self, partition: int, books: Sequence[str], removed: Removed) -> None:
        keys, group = self._keys, self._group
        lease, requeue, state = (
            keys.lease(partition, group),
            keys.requeue(partition, group),
            keys.arbitrage(partition),
        )
        taken_back: set[bytes] = set()
        async with self._client.pipeline(transaction=True) as pipe:
            while True:
                await pipe.watch(lease, requeue, state)
                await self._check(partition, await pipe.hmget(lease, "owner", "epoch"))
                letters: Any = await pipe.xrange(requeue)
                if not self._dead_letters:
                    await self._take_back(letters, taken_back)
                is_ours = await pipe.hget(state, "group") == group.encode()
                pipe.multi()  # type: ignore[no-untyped-call]
                for key in (keys.clock(partition), *books):
                    pipe.xgroup_destroy(key, group)
                pipe.unlink(requeue, keys.begun(partition, group), *([state] if is_ours else []))
                pipe.unlink(lease)
                try:
                    *destroyed, gone, _ = await pipe.execute(raise_on_error=False)
                except WatchError:
                    # A letter was handed back meanwhile, or a late connection of a member counted itself.
                    continue
                break
        for reply in (*destroyed, gone):
            # A stream can go, with its groups, between the scan and this; some partitions have no clock.
            if isinstance(reply, Exception) and "requires the key to exist" not in str(reply):
                raise reply
        clock, *markets = (reply == 1 for reply in destroyed)
        removed.streams += sum(markets)
        removed.clocks += clock
        removed.letters += len(letters)
        removed.states += is_ours
        removed.known |= bool(removed.streams or removed.clocks or removed.letters or gone)

    async def _check(self, partition: int, found: Sequence[Any]) -> None:
        if found == [self._leases.owner.encode(), b"%d" % self._leases.epochs[partition]]:
            return
        held = range(partition, MAX_PARTITIONS)
        await self._leases.release(held, last_ms=0)
        owner = escaped((found[0] or b"somebody else").decode(errors="replace"))[:80]
        raise GroupError(
            f"{owner} began to read partition {partition} of group {self._group} meanwhile; the group is removed from"
            f" the partitions below {partition} only: stop it, then try again"
        )

    async def _take_back(self, letters: Sequence[Any], taken_back: set[bytes]) -> None:
        """Makes dead letters of them first: if this is interrupted, one may be there twice, and none is missing."""
        for letter_id, fields in letters:
            if letter_id not in taken_back:
                await self._client.xadd(self._keys.dead(self._group), fields, maxlen=MAXLEN, approximate=True)
                taken_back.add(letter_id)


def _read_by(group: str, readers: Collection[str]) -> str:
    return (
        f"group {group} is read by {_names(readers)}; nothing was removed: stop it first (one that died counts as"
        " a reader for 5 s)"
    )


def _names(readers: Collection[str]) -> str:
    return escaped(", ".join(sorted(readers)))[:80]
