"""Which entries of a partition may be handled now, and in which order (pure).

The total order is (ms, n, stream key). A partition has one writer, which writes in the order of ids, and Redis reads
all streams of one call at one moment; so when such a call answers fewer entries than were asked for, nothing older
than what it gave can follow in that stream. An entry is due when this is so, or a later entry is at hand, for every
stream of the partition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from marketdata.entries import EntryId

NEW: Final = ">"
"""The position of a stream whose pending entries were all read: what comes next was never delivered."""


_START: Final = "0-0"


class Raw(NamedTuple):
    """One entry as it was read. Compares in the total order.

    Attributes:
        fields: names and values in turn; None: it was delivered before, and has been trimmed away since. Empty: it was
            handled before, and only Redis does not know.
        again: whether it was delivered before.
    """

    id: EntryId
    key: str
    fields: Sequence[bytes] | None
    again: bool


_in_order = itemgetter(0, 1)


class Backlog:
    """What was read of a partition's streams and not handled yet.

    Attributes:
        due: entries that may be handled now, in the total order; whoever handles one takes it from the left.
    """

    def __init__(self) -> None:
        self.due: deque[Raw] = deque()
        self._positions: dict[str, str] = {}
        self._held: dict[str, deque[Raw]] = {}
        self._unread: set[str] = set()
        """Streams of which nothing is at hand and which may hold older entries than what is."""
        self._full = False

    def __len__(self) -> int:
        return len(self.due) + sum(map(len, self._held.values()))

    @property
    def keys(self) -> Collection[str]:
        """Streams that are read."""
        return self._positions.keys()

    def __contains__(self, key: str) -> bool:
        return key in self._positions

    @property
    def more(self) -> bool:
        """Whether another read will certainly find something, or must come before anything can be due."""
        return self._full or bool(self._held) or bool(self._unread)

    def add(self, key: str, *, pending: bool) -> None:
        """Reads this stream, too; `pending`: first what was delivered and not acknowledged."""
        self._positions[key] = _START if pending else NEW
        self._unread.add(key)

    def wanted(self) -> dict[str, str]:
        """What the next XREADGROUP asks for: the position of each stream of which nothing is at hand."""
        if not self._held:
            return dict(self._positions)
        return {key: position for key, position in self._positions.items() if key not in self._held}

    def take(
        self,
        asked: Mapping[str, str],
        replies: Mapping[str, Sequence[Raw]],
        count: int,
        *,
        hold: bool = False,
    ) -> None:
        """Takes the reply to one call.

        Args:
            asked: what `wanted` said.
            replies: by stream key, each rising; streams without entries may be missing.
            count: at most so many entries were asked for of each stream.
            hold: nothing is due before the next call: streams appeared that this one did not read.
        """
        self._full = hold
        limits = [held[-1].id for held in self._held.values()]
        self._unread.difference_update(asked)
        for key, position in asked.items():
            if position != NEW and len(replies.get(key, ())) < count:
                # Its pending entries end here; what is new in it is not known yet.
                self._positions[key] = NEW
                if not replies.get(key):
                    self._unread.add(key)
                else:
                    limits.append(replies[key][-1].id)
        for key, entries in replies.items():
            if not entries:
                continue
            self._held[key] = deque(entries)
            if asked[key] != NEW and len(entries) >= count:
                self._positions[key] = str(entries[-1].id)
            if len(entries) >= count:
                self._full = True
                limits.append(entries[-1].id)
        if not (self._unread or hold):
            self._release(min(limits, default=None))

    def _release(self, limit: EntryId | None) -> None:
        fresh: list[Raw] = []
        for key in list(self._held):
            held = self._held[key]
            if limit is None or held[-1].id <= limit:
                fresh += held
                del self._held[key]
                continue
            while held and held[0].id <= limit:
                fresh.append(held.popleft())
        fresh.sort(key=_in_order)
        self.due.extend(fresh)
