"""The group on the streams of one partition: where it stands, making it where it is missing, claiming what is pending.

All members read as the one consumer READER: a partition has one reader at a time, which the lease names. So whoever
takes a partition finds everything that is pending under its own name, at once and without waiting for idle times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from marketdata.entries import EntryId
from marketdata.groups.wire import Fence, pack

READER: Final = "reader"
_CLAIM: Final = 1_000
_STREAMS_A_TRIP: Final = 200


class Standing(NamedTuple):
    """One stream and the group's place in it.

    Attributes:
        exists: whether the stream does.
        joined: whether the group does there.
        pending: entries delivered and not acknowledged.
        delivered: the last id delivered to the group.
        first: the oldest id in the stream, None where it is empty.
        last: the newest id the stream ever had.
        trimmed: entries that are gone from its beginning.
        read: entries delivered by Redis's own counter, None where it does not know.
        length: entries in the stream.
    """

    exists: bool
    joined: bool = False
    pending: int = 0
    delivered: EntryId = EntryId(0, 0)
    first: EntryId | None = None
    last: EntryId = EntryId(0, 0)
    trimmed: int = 0
    read: int | None = None
    length: int = 0

    @property
    def may_have_lost(self) -> bool:
        """Whether entries behind the last delivered one may have been trimmed away."""
        if self.delivered == (0, 0) or self.last <= self.delivered:
            return False
        if self.first is not None and self.first <= self.delivered:
            return False
        return self.read is None or self.trimmed > self.read


async def standings(fence: Fence, keys: Sequence[str], group: str) -> dict[str, Standing]:
    """Where the group stands in each stream."""
    found: dict[str, Standing] = {}
    for at in range(0, len(keys), _STREAMS_A_TRIP):
        part = keys[at : at + _STREAMS_A_TRIP]
        commands = []
        for key in part:
            commands += [pack(("XINFO", "STREAM", key)), pack(("XINFO", "GROUPS", key))]
        replies = await fence.ask(commands)
        for key, stream, groups in zip(part, replies[::2], replies[1::2], strict=True):
            found[key] = standing_of(stream, groups, group)
    return found


def standing_of(stream: Any, groups: Any, group: str) -> Standing:
    """Reads the replies of XINFO STREAM and XINFO GROUPS (pure)."""
    for reply in (stream, groups):
        if isinstance(reply, ResponseError) and "no such key" in str(reply):
            return Standing(False)
        if isinstance(reply, Exception):
            raise reply
    facts = pairs(stream)
    oldest = facts[b"first-entry"]
    added = facts.get(b"entries-added")
    plain = Standing(
        True,
        first=EntryId.parse(oldest[0]) if oldest else None,
        last=EntryId.parse(facts[b"last-generated-id"]),
        length=facts[b"length"],
        trimmed=added - facts[b"length"] if added is not None else 0,
    )
    for row in map(pairs, groups):
        if row[b"name"] == group.encode():
            return plain._replace(
                joined=True,
                pending=row[b"pending"],
                delivered=EntryId.parse(row[b"last-delivered-id"]),
                read=row.get(b"entries-read"),
            )
    return plain


async def join(fence: Fence, starts: dict[str, str], group: str) -> None:
    """Makes the group where it is missing: on each stream so that it begins behind the id given."""
    if not starts:
        return
    made = await fence.ask([pack(("XGROUP", "CREATE", key, group, start)) for key, start in starts.items()])
    for reply in made:
        if isinstance(reply, Exception) and not _is_harmless(reply):
            raise reply


async def claim(fence: Fence, keys: Iterable[str], group: str) -> dict[str, list[EntryId]]:
    """Makes what other consumers have pending ours: those of programs that read the group by themselves.

    Returns:
        By stream key: ids that were pending and have been trimmed away. Redis took them off the list.
    """
    gone: dict[str, list[EntryId]] = {}
    for key in keys:
        start = b"0-0"
        while True:
            (reply,) = await fence.ask(
                [pack(("XAUTOCLAIM", key, group, READER, 0, start, "COUNT", _CLAIM, "JUSTID"))]
            )
            if isinstance(reply, Exception):
                raise reply
            start = reply[0]
            if len(reply) > 2 and reply[2]:
                gone.setdefault(key, []).extend(map(EntryId.parse, reply[2]))
            if start == b"0-0":
                break
    return gone


def _is_harmless(error: Exception) -> bool:
    # It exists by now; or the stream went away again, which the next read tells.
    return str(error).startswith("BUSYGROUP") or "requires the key to exist" in str(error)


def pairs(reply: Any) -> dict[bytes, Any]:
    """Names and values, in either form of the protocol."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
