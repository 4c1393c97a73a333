"""Which catalog holds from which entry on, so that a replay uses the same ones at the same places.

The catalog lives outside the order of a partition: when a reader sees a new revision is chance. So it becomes a fact
of that order by being recorded: a new revision is adopted between two batches, and an entry of the stream
`arbitrage:{P}:catalog` says behind which id, in the same transaction as the batch that is the first to be handled
with it. A crash before that transaction undoes both; after it, the terms are part of the engine's state. An engine
on a copy of the streams follows these records in place of the copy's catalog, which knows only how things ended.

A revision that changes no terms of the partition's markets is not adopted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from consumers.arbitrage.terms import Terms, dump, load
from marketdata.entries import EntryId
from marketdata.errors import BookstreamError, CatalogError

RECORDS_KEPT: Final = 10_000
"""About so many adoptions a partition are kept; a backtest of older times needs more than this stream."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """One entry of `arbitrage:{P}:catalog`.

    Attributes:
        after: id of the last entry that was handled with the terms before.
        revision: of the catalog, with the digest of the corrections behind a slash.
        changed: terms that are new or other than before.
        gone: condition ids that have none any more.
    """

    after: EntryId
    revision: str
    changed: tuple[Terms, ...]
    gone: tuple[str, ...]

    @classmethod
    def between(cls, after: EntryId, revision: str, old: Iterable[Terms], new: Sequence[Terms]) -> Self:
        """What changed."""
        before = {one.condition_id: one for one in old}
        now = {one.condition_id: one for one in new}
        return cls(
            after,
            revision,
            tuple(now[one] for one in sorted(now) if before.get(one) != now[one]),
            tuple(sorted(before.keys() - now.keys())),
        )

    def applied(self, terms: Iterable[Terms]) -> list[Terms]:
        """The terms after it."""
        found = {one.condition_id: one for one in terms} | {one.condition_id: one for one in self.changed}
        return [found[one] for one in sorted(found.keys() - set(self.gone))]

    def to_fields(self) -> dict[str, str]:
        """As plain strings."""
        return {
            "after": str(self.after),
            "revision": self.revision,
            "changed": dump(self.changed).decode(),
            "gone": orjson.dumps(self.gone).decode(),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> Self:
        """Reads what `to_fields` wrote.

        Raises:
            CatalogError: not such an entry.
        """
        try:
            gone: list[Any] = orjson.loads(fields[b"gone"])
            return cls(
                EntryId.parse(fields[b"after"]),
                fields[b"revision"].decode(),
                tuple(load(fields[b"changed"])),
                tuple(map(str, gone)),
            )
        except (KeyError, ValueError, TypeError, BookstreamError) as error:
            raise CatalogError(f"an adoption of the catalog cannot be read ({error})") from None


class Record:
    """The adoptions of another engine, to be followed.

    Args:
        adoptions: all of them, in their order.
        handled: the last id that the engine handled; what lies behind it, it has adopted.
    """

    def __init__(self, adoptions: Iterable[Adoption], handled: EntryId) -> None:
        self._left = deque(one for one in adoptions if one.after >= handled)

    def due(self, at: EntryId) -> list[Adoption]:
        """Those that come before the entry with this id, each once."""
        found = []
        while self._left and self._left[0].after < at:
            found.append(self._left.popleft())
        return found
