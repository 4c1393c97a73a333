"""How long ago a worker was heard, although its machine may have another idea of the time (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.dashboard.records import WorkerRecord

_AGREES_FROM_MS = -300
_AGREES_TO_MS = 1_500
"""A record is at most a second old when it is replaced; a difference beyond that is the clocks'."""


class Hearing:
    """Remembers each worker's newest word and how its clock differs from ours."""

    def __init__(self) -> None:
        self._said_ms: dict[tuple[str, int], int] = {}
        self._behind_ms: dict[tuple[str, int], int] = {}
        self._names: dict[str, tuple[str, int]] = {}

    def update(self, words: Sequence[WorkerRecord], at_ms: int) -> None:
        """Takes the newest records, read at `at_ms` of our clock."""
        keys = {word.key for word in words}
        self._said_ms = {key: ms for key, ms in self._said_ms.items() if key in keys}
        self._behind_ms = {key: ms for key, ms in self._behind_ms.items() if key in keys}
        self._names = {word.worker: word.key for word in words}
        for word in words:
            before_ms = self._said_ms.get(word.key)
            if before_ms is not None and word.now_ms > before_ms:
                behind_ms = at_ms - word.now_ms
                agrees = _AGREES_FROM_MS <= behind_ms <= _AGREES_TO_MS
                self._behind_ms[word.key] = 0 if agrees else behind_ms
            self._said_ms[word.key] = word.now_ms

    def age_ms(self, worker: str, now_ms: int) -> int:
        """Since its newest word. Before a second word was heard its clock is taken to be ours."""
        key = self._names.get(worker)
        if key is None:
            return 0
        return max(now_ms - self._said_ms[key] - self._behind_ms.get(key, 0), 0)

    def behind_ms(self, worker: str) -> int:
        """What to add to a time of the worker to have it in ours."""
        key = self._names.get(worker)
        return self._behind_ms.get(key, 0) if key is not None else 0
