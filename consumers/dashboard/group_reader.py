"""Reads groups, their members' records and their dead letters, while their page is on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from redis.asyncio import Redis

from consumers.dashboard.members import GroupLine, group_lines, parse_member
from marketdata.keys import Keys


class GroupReader:
    """Three round trips. Lets the client's own errors (`redis.RedisError`) through."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys

    async def read(self) -> list[GroupLine]:
        """All groups that have a member or a dead letter."""
        prefix = self._keys.prefix
        names = _texts(cast(Sequence[bytes], await self._client.zrange(f"{prefix}groups", 0, -1)))
        if not names:
            return []
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.zrange(f"{prefix}group:{name}", 0, -1)
            pipe.xlen(self._keys.dead(name))
        replies = await pipe.execute()
        members = [
            (name, one) for name, listed in zip(names, replies[::2], strict=True) for one in _texts(listed)
        ]
        dead = dict(zip(names, replies[1::2], strict=True))
        keys = [f"{prefix}group:{name}:{one}" for name, one in members]
        records = cast(Sequence[bytes | None], await self._client.mget(keys)) if keys else []
        there = [
            parse_member(name, one, record)
            for (name, one), record in zip(members, records, strict=True)
            if record is not None
        ]
        return group_lines(there, dead)


def _texts(raw: Sequence[bytes]) -> list[str]:
    return [one.decode(errors="replace") for one in raw]
