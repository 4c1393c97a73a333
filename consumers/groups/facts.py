"""What is known of the groups that read the streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from consumers.groups.lag import lag, standings_by_group
from consumers.streams import scan_streams
from marketdata.keys import Keys
from marketdata.partitions import MAX_PARTITIONS


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group.

    Attributes:
        name: the group's.
        members: live ones, as they speak of themselves; see `docs/streams.md`.
        streams: market streams that it reads.
        lag: entries in them that were not delivered to it.
        pending: entries delivered and not acknowledged.
        dead: dead letters.
        handed_back: dead letters that the group is to handle once more, and has not yet.
    """

    name: str
    members: Sequence[dict[str, Any]]
    streams: int
    lag: int
    pending: int
    dead: int
    handed_back: int

    def to_json(self) -> str:
        """One JSON object."""
        return orjson.dumps(asdict(self)).decode()


async def group_facts(client: Redis, keys: Keys, only: str | None) -> list[GroupFacts]:
    """All groups, or the one named, by name. The client's errors go through."""
    streams = [stream.key for stream in await scan_streams(client, keys)]
    standings = await standings_by_group(client, streams)
    listed: Any = await client.zrange(keys.groups, 0, -1)
    names = {*standings, *(one.decode(errors="replace") for one in listed)}
    found = []
    for name in sorted(names if only is None else {only}):
        places = standings.get(name, {})
        one = GroupFacts(
            name,
            await _members(client, keys, name),
            len(places),
            await lag(client, places),
            sum(place.pending for place in places.values()),
            await client.xlen(keys.dead(name)),
            await _handed_back(client, keys, name),
        )
        # A name stays listed where a member has looked, and found nothing to read; dead letters can outlive a group.
        if one.members or one.streams or one.dead or one.handed_back:
            found.append(one)
    return found


async def _handed_back(client: Redis, keys: Keys, group: str) -> int:
    async with client.pipeline(transaction=False) as pipe:
        for partition in range(MAX_PARTITIONS):
            pipe.xlen(keys.requeue(partition, group))
        lengths: list[int] = await pipe.execute()
    return sum(lengths)


async def _members(client: Redis, keys: Keys, group: str) -> list[dict[str, Any]]:
    listed: Any = await client.zrange(keys.group(group), 0, -1)
    if not listed:
        return []
    records = await client.mget([keys.group_member(group, one.decode(errors="replace")) for one in listed])
    found = [orjson.loads(record) for record in records if record is not None]
    return sorted(found, key=lambda one: str(one["member"]))
