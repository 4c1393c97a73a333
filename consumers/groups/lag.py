"""How far a group is behind, counted: Redis's own figure is wrong after a trim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from marketdata.groups.streams import Standing, standing_of

_PART: Final = 200

# Counts on the server: entries need not travel to be counted. A page at a time, so that nobody waits long.
_COUNT: Final = """
local rows = redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', 1000)
return {#rows, #rows > 0 and rows[#rows][1] or ''}
"""
_PAGE: Final = 1_000


def lag_of(standing: Standing) -> int | None:
    """Entries that are in the stream and were not delivered; None: they must be counted (pure).

    Redis counts deliveries. Its count is right as long as nothing was trimmed; where all that was delivered is
    gone, what is left is the lag.
    """
    if standing.last <= standing.delivered or standing.first is None:
        return 0
    if standing.delivered < standing.first:
        return standing.length
    if standing.trimmed == 0 and standing.read is not None:
        return standing.length - standing.read
    return None


async def standings_by_group(client: Redis, streams: Sequence[str]) -> dict[str, dict[str, Standing]]:
    """For each group that reads any of the streams: where it stands, by stream. The client's errors go through."""
    found: dict[str, dict[str, Standing]] = {}
    for at in range(0, len(streams), _PART):
        part = streams[at : at + _PART]
        async with client.pipeline(transaction=False) as pipe:
            for key in part:
                # Raw replies: the client's own reading of them would be undone below.
                pipe.execute_command("XINFO", "STREAM", key)
                pipe.execute_command("XINFO", "GROUPS", key)
            replies = await pipe.execute(raise_on_error=False)
        for key, stream, groups in zip(part, replies[::2], replies[1::2], strict=True):
            if isinstance(groups, ResponseError) and "no such key" in str(groups):
                continue
            for reply in (stream, groups):
                if isinstance(reply, Exception):
                    raise reply
            for name in (_name(row) for row in groups):
                found.setdefault(name, {})[key] = standing_of(stream, groups, name)
    return found


async def lag(client: Redis, standings: dict[str, Standing]) -> int:
    """Entries in all these streams that were not delivered to the group."""
    total = 0
    for key, standing in standings.items():
        known = lag_of(standing)
        total += await _counted(client, key, standing) if known is None else known
    return total


async def _counted(client: Redis, key: str, standing: Standing) -> int:
    total, after = 0, str(standing.delivered)
    while True:
        reply: Any = await client.eval(_COUNT, 1, key, after)
        count = int(reply[0])
        total += count
        if count < _PAGE:
            return total
        after = reply[1].decode()


def _name(row: Any) -> str:
    pairs = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
    name: bytes = pairs[b"name"]
    return name.decode(errors="replace")
