"""Replies of one read over many streams, put into the total order (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from marketdata.entries import EntryId

Fields = Mapping[bytes, bytes]


class Found(NamedTuple):
    """One entry. Compares in the total order: (ms, n, stream key)."""

    id: EntryId
    key: str
    fields: Fields


class Batch(NamedTuple):
    """What one read yields.

    Attributes:
        entries: in the total order.
        more: whether there is certainly more to be read at once.
    """

    entries: list[Found]
    more: bool


def merge(replies: Mapping[str, Sequence[tuple[EntryId, Fields]]], count: int) -> Batch:
    """Sorts the replies. A stream that answered `count` entries may hold more: what lies behind the smallest
    last id of such streams is left out, to be read again after them.

    Args:
        replies: by stream key, each rising.
        count: at most so many entries were asked for of each stream.
    """
    full = [entries[-1][0] for entries in replies.values() if len(entries) >= count]
    limit = min(full, default=None)
    entries = [
        Found(entry_id, key, fields)
        for key, found in replies.items()
        for entry_id, fields in found
        if limit is None or entry_id <= limit
    ]
    entries.sort(key=lambda one: (one.id, one.key))
    return Batch(entries, bool(full))
