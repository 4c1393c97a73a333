"""Reads groups, their members' records, their dead letters and how they stand, while their page is on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from redis.asyncio import Redis

from consumers.dashboard.markets import MarketLine
from consumers.dashboard.members import GroupLine, Place, group_lines, parse_letter, parse_member
from consumers.groups.lag import lag, lag_of, standings_by_group
from marketdata.keys import Keys

STREAMS_AT_ONCE: Final = 15
"""A group stands in every stream, and each wants two commands: so many are looked at each time, in turn."""

LETTERS: Final = 5
"""The newest dead letters of a group are read; `bookstream groups` knows all."""


class GroupReader:
    """Lets the client's own errors (`redis.RedisError`) through."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self._places: dict[str, dict[str, Place]] = {}
        self._next = 0

    def forget(self) -> None:
        """Begins anew."""
        self._places.clear()

    async def read(self, markets: Mapping[str, MarketLine]) -> list[GroupLine]:
        """All groups that have a member or a dead letter, or stand in a stream that was looked at."""
        streams = [self._keys.book(one.partition, one.condition_id) for one in markets.values()]
        await self._look_at_streams(streams)
        listed = _texts(cast(Sequence[bytes], await self._client.zrange(self._keys.groups, 0, -1)))
        names = sorted({*listed, *(group for places in self._places.values() for group in places)})
        if not names:
            return []
        pipe = self._client.pipeline(transaction=False)
        for name in names:
            pipe.zrange(self._keys.group(name), 0, -1)
            pipe.xlen(self._keys.dead(name))
            pipe.xrevrange(self._keys.dead(name), count=LETTERS)
        replies: list[Any] = await pipe.execute()
        members = [
            (name, one) for name, found in zip(names, replies[::3], strict=True) for one in _texts(found)
        ]
        keys = [self._keys.group_member(name, one) for name, one in members]
        records = cast(Sequence[bytes | None], await self._client.mget(keys)) if keys else []
        there = [
            parse_member(name, one, record)
            for (name, one), record in zip(members, records, strict=True)
            if record is not None
        ]
        letters = [
            parse_letter(self._keys, name, one, fields)
            for name, found in zip(names, replies[2::3], strict=True)
            for one, fields in found
        ]
        dead = dict(zip(names, replies[1::3], strict=True))
        return group_lines(there, dead, letters, self._places, len(streams))

    async def _look_at_streams(self, streams: Sequence[str]) -> None:
        for gone in self._places.keys() - set(streams):
            del self._places[gone]
        if not streams:
            return
        begin = self._next % len(streams)
        chosen = streams[begin : begin + STREAMS_AT_ONCE]
        found: dict[str, dict[str, Place]] = {key: {} for key in chosen}
        for group, standings in (await standings_by_group(self._client, chosen)).items():
            for key, standing in standings.items():
                behind = lag_of(standing)
                if behind is None:
                    behind = await lag(self._client, {key: standing})
                found[key][group] = Place(standing.pending, behind)
        self._places |= found
        self._next = begin + len(chosen)


def _texts(raw: Sequence[bytes]) -> list[str]:
    return [one.decode(errors="replace") for one in raw]
