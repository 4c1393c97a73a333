"""Reads groups, their members' records, their dead letters and how they stand, while their page is on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from consumers.dashboard.markets import MarketLine
from consumers.dashboard.members import GroupLine, Standing, group_lines, parse_member
from consumers.dashboard.plain import plain
from marketdata.keys import Keys

STREAMS_AT_ONCE: Final = 25
"""A group stands in every stream, and each wants a command: so many are looked at each time, one after the other."""


class GroupReader:
    """Lets the client's own errors (`redis.RedisError`) through."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._standings: dict[str, dict[str, Standing]] = {}
        self._next = 0

    async def read(self, markets: Mapping[str, MarketLine]) -> list[GroupLine]:
        """All groups that have a member or a dead letter, or stand in a stream that was looked at."""
        prefix = self._keys.prefix
        streams = [self._keys.book(one.partition, one.condition_id) for one in markets.values()]
        await self._look_at_streams(streams)
        listed = _texts(cast(Sequence[bytes], await self._client.zrange(f"{prefix}groups", 0, -1)))
        names = sorted({*listed, *(group for places in self._standings.values() for group in places)})
        if not names:
            return []
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.zrange(f"{prefix}group:{name}", 0, -1)
            pipe.xlen(self._keys.dead(name))
        replies = await pipe.execute()
        members = [
            (name, one) for name, found in zip(names, replies[::2], strict=True) for one in _texts(found)
        ]
        dead = dict(zip(names, replies[1::2], strict=True))
        keys = [f"{prefix}group:{name}:{one}" for name, one in members]
        records = cast(Sequence[bytes | None], await self._client.mget(keys)) if keys else []
        there = [
            parse_member(name, one, record)
            for (name, one), record in zip(members, records, strict=True)
            if record is not None
        ]
        return group_lines(there, dead, self._standings, len(streams))

    async def _look_at_streams(self, streams: Sequence[str]) -> None:
        for gone in self._standings.keys() - set(streams):
            del self._standings[gone]
        if not streams:
            return
        begin = self._next % len(streams)
        chosen = streams[begin : begin + STREAMS_AT_ONCE]
        self._next = begin + len(chosen)
        pipe = self._client.pipeline(transaction=False)
        for key in chosen:
            pipe.xinfo_groups(key)
        for key, reply in zip(chosen, await pipe.execute(raise_on_error=False), strict=True):
            # A market that nobody wrote to yet has no stream.
            if isinstance(reply, Exception) and not isinstance(reply, ResponseError):
                raise reply
            self._standings[key] = {} if isinstance(reply, ResponseError) else _standings(reply)


def _standings(reply: Sequence[Mapping[str, Any]]) -> dict[str, Standing]:
    return {
        plain(row["name"].decode(errors="replace")): Standing(int(row["pending"]), row.get("lag"))
        for row in reply
    }


def _texts(raw: Sequence[bytes]) -> list[str]:
    return [one.decode(errors="replace") for one in raw]
