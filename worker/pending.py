"""Updates that wait to be written: in order, bounded, conflated only when the bound is passed (pure)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from marketdata.entries import COUNTED_KINDS
from worker.streams import MarketStream, Update

CLOCK: Final = "clock"
"""Kind of the once-a-second entry of a partition; written by the same lane, to a stream of its own."""

_Token = tuple[MarketStream, int | None]


class Pending:
    """A queue of updates.

    Up to `max_pending` everything is kept. Beyond it tops conflate to the newest one a token. Beyond twice that,
    what counts (trades, ticks) is dropped as well and told in `skipped`; gaps of one token become one. Neither
    `resolved` nor the newest top of a token is ever dropped.
    """

    def __init__(self, max_pending: int, on_conflated: Callable[[int], None] = lambda count: None) -> None:
        self._queue: deque[Update] = deque()
        self._max = max_pending
        self._threshold = max_pending
        self._on_conflated = on_conflated

    def __len__(self) -> int:
        return len(self._queue)

    def append(self, update: Update) -> None:
        """Takes one more update."""
        self._queue.append(update)
        if len(self._queue) > self._threshold:
            self._conflate()

    def peek(self) -> Update | None:
        """The oldest update, left where it is."""
        return self._queue[0] if self._queue else None

    def pop(self) -> Update:
        """The oldest update, taken out."""
        update = self._queue.popleft()
        if not self._queue:
            self._threshold = self._max
        return update

    def push_front(self, update: Update) -> None:
        """Puts an update in front of all others."""
        self._queue.appendleft(update)

    def drop_partitions(self, lost: frozenset[int]) -> int:
        """Forgets the updates of partitions that are no longer ours; returns how many."""
        before = len(self._queue)
        self._queue = deque(update for update in self._queue if update.stream.partition not in lost)
        return before - len(self._queue)

    def _conflate(self) -> None:
        before = len(self._queue)
        self._queue = _newest_tops(self._queue)
        if len(self._queue) > 2 * self._max:
            self._queue = _least(self._queue)
        self._on_conflated(before - len(self._queue))
        # Each pass costs as much as the queue is long: wait until it has grown by half.
        self._threshold = max(self._max, len(self._queue) * 3 // 2)


def _newest_tops(queue: deque[Update]) -> deque[Update]:
    kept: deque[Update] = deque()
    newest: dict[_Token, Update] = {}
    for update in reversed(queue):
        if update.kind == "top" or update.kind == CLOCK:
            token = (update.stream, update.outcome)
            newer = newest.get(token)
            if newer is not None:
                newer.skipped += 1 + update.skipped
                continue
            newest[token] = update
        elif update.kind == "gap":
            # A top before a gap must not be told after it: the gap ends what can be conflated.
            if update.outcome is None:
                newest.pop((update.stream, 0), None)
                newest.pop((update.stream, 1), None)
            else:
                newest.pop((update.stream, update.outcome), None)
        kept.appendleft(update)
    return kept


def _least(queue: deque[Update]) -> deque[Update]:
    """What must be kept of a token: its first gap, the newest top if no gap follows it, resolutions.

    Everything else that counts is told in the `skipped` of the token's next entry.
    """
    kept: deque[Update] = deque()
    newest: dict[_Token, Update] = {}
    gap_follows: set[_Token] = set()
    first_gap: dict[_Token, Update] = {}
    for update in reversed(queue):
        stream, outcome = update.stream, update.outcome
        if update.kind == "gap":
            for one in (0, 1) if outcome is None else (outcome,):
                if (stream, one) not in newest:
                    gap_follows.add((stream, one))
            first_gap[stream, outcome] = update
        elif update.kind in COUNTED_KINDS:
            assert outcome is not None, "what counts is of one token"
            newer = newest.get((stream, outcome))
            if newer is not None:
                newer.skipped += 1 + update.skipped
                continue
            if update.kind != "top" or (stream, outcome) in gap_follows:
                stream.skipped[outcome] += 1 + update.skipped
                continue
            newest[stream, outcome] = update
        kept.appendleft(update)
    return deque(
        update
        for update in kept
        if update.kind != "gap" or first_gap[update.stream, update.outcome] is update
    )
