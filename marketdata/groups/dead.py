"""Dead letters: entries that a group gave up on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from redis.asyncio import Redis
from redis.exceptions import WatchError

from marketdata.entries import EntryId
from marketdata.errors import GroupError
from marketdata.groups.wire import Command
from marketdata.keys import Keys

MAXLEN: Final = 100_000
"""About so many are kept; each is some 300 bytes."""

_OWN: Final = (b"stream", b"id", b"reason", b"attempts")
_REASON: Final = 300
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One entry of `dead:GROUP`.

    Attributes:
        stream, id: where the entry stood.
        reason: what the last call of the handler ended with, one line.
        attempts: failed calls; 0: it could not be read at all.
        fields: the entry's own fields and values in turn.
    """

    stream: str
    id: EntryId
    reason: str
    attempts: int
    fields: Sequence[bytes]

    def command(self, key: str) -> Command:
        """Writes it into a stream."""
        said = one_line(self.reason)[:_REASON]
        own: Command = ("stream", self.stream, "id", str(self.id), "reason", said)
        return ("XADD", key, "MAXLEN", "~", MAXLEN, "*", *own, "attempts", self.attempts, *self.fields)

    @classmethod
    def of(cls, fields: Sequence[bytes]) -> Self:
        """Reads what `command` wrote."""
        values = dict(zip(fields[::2], fields[1::2], strict=True))
        stream, entry_id, reason, attempts = (values[name].decode(errors="replace") for name in _OWN)
        own = [one for name, value in list(values.items())[len(_OWN) :] for one in (name, value)]
        return cls(stream, EntryId.parse(entry_id), reason, int(attempts), own)


def one_line(text: str) -> str:
    """A stranger's words, fit for a log: printable, and without line breaks."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


async def dead_letters(client: Redis, keys: Keys, group: str) -> AsyncIterator[tuple[str, DeadLetter]]:
    """All dead letters of a group under their own ids, oldest first."""
    start = "-"
    while True:
        rows: Any = await client.xrange(keys.dead(group), start, "+", _PAGE)
        for letter_id, fields in rows:
            flat = [one for pair in fields.items() for one in pair]
            yield letter_id.decode(), DeadLetter.of(flat)
        if len(rows) < _PAGE:
            return
        start = f"({rows[-1][0].decode()}"


async def requeue(client: Redis, keys: Keys, group: str, only: str | None) -> int:
    """Hands dead letters back to the group, which handles them within a second; says how many.

    Args:
        only: the id of the dead letter, or of the entry that it holds; None: all.
    """
    return await _take_out(client, keys, group, only, again=True)


async def drop(client: Redis, keys: Keys, group: str, only: str | None) -> int:
    """Removes dead letters for good; says how many."""
    return await _take_out(client, keys, group, only, again=False)


async def _take_out(client: Redis, keys: Keys, group: str, only: str | None, *, again: bool) -> int:
    count = 0
    async for letter_id, letter in dead_letters(client, keys, group):
        if only is not None and only not in (letter_id, str(letter.id)):
            continue
        count += await _take_one(client, keys, group, letter_id, letter, again=again)
    return count


async def _take_one(
    client: Redis, keys: Keys, group: str, letter_id: str, letter: DeadLetter, *, again: bool
) -> bool:
    dead = keys.dead(group)
    async with client.pipeline(transaction=True) as pipe:
        while True:
            await pipe.watch(dead)
            if not await pipe.xrange(dead, letter_id, letter_id):
                return False
            pipe.multi()  # type: ignore[no-untyped-call]
            if again:
                pipe.execute_command(*letter.command(keys.requeue(partition_in(letter.stream), group)))
            pipe.xdel(dead, letter_id)
            try:
                await pipe.execute()
                return True
            except WatchError:
                # Another letter came in, or went, meanwhile.
                continue


def partition_in(stream: str) -> int:
    """The partition that stands in a stream's key.

    Raises:
        GroupError: there is none.
    """
    match = re.search(r"\{(\d\d)\}", stream)
    if match is None:
        raise GroupError(f"{stream[:80]!r} names no partition; its dead letter was left alone")
    return int(match[1])
