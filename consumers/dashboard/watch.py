"""What the dashboard sees of workers from one reading to the next, and nobody else would write down (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from consumers.dashboard.records import WorkerRecord

TOLD_CAUSES: Final = ("redis",)
"""Causes of gaps that a worker counts and does not log: it finds them only when Redis is back."""

KEPT: Final = 200
"""Workers that are gone and may come back: their records vanish when Redis forgets all it had."""

Told: TypeAlias = tuple[str, str, str]
"""What, who and text of a line of the log."""


class Watch:
    """Remembers how each worker was."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[int, str]] = {}
        self._gone: dict[str, int] = {}
        self._gaps: dict[tuple[str, int], Mapping[str, int]] = {}
        self._looked = False

    def workers(self, words: Sequence[WorkerRecord], standings: Mapping[str, str]) -> Iterator[Told]:
        """How they changed; nothing at the first look, which finds them as they are.

        Args:
            words: newest records.
            standings: by worker, its state; `silent` where it should have spoken, `replaced` where others write
                its partitions besides.
        """
        states = {word.worker: (word.started_ms, standings[word.worker]) for word in words}
        before, self._states = self._states, states
        if self._looked:
            for name, (started_ms, state) in states.items():
                back = self._gone.pop(name, None) == started_ms
                was_started_ms, was = before.get(name, (started_ms, "silent" if back else ""))
                if state != was or started_ms != was_started_ms:
                    yield "worker", name, _changed(was, state, started_ms != was_started_ms)
            for name in before.keys() - states.keys():
                if before[name][1] != "stopped":
                    self._gone[name] = before[name][0]
                    yield "worker", name, "gone: its record is no longer there"
        _trim(self._gone)
        self._looked = True

    def gaps(self, words: Sequence[WorkerRecord]) -> Iterator[Told]:
        """Gaps that were counted since the last record of each worker, by cause."""
        for word in words:
            # The newest ones last: the oldest are forgotten first.
            before = self._gaps.pop(word.key, None)
            self._gaps[word.key] = word.gaps_by_cause
            for cause in TOLD_CAUSES:
                more = word.gaps_by_cause.get(cause, 0) - (before or {}).get(cause, 0)
                if before is not None and more > 0:
                    why = ": Redis lost or refused entries" if cause == "redis" else ""
                    yield "gap", word.worker, f"{more} {'gap' if more == 1 else 'gaps'} by {cause}{why}"
        _trim(self._gaps)


def _trim(kept: dict[str, int] | dict[tuple[str, int], Mapping[str, int]]) -> None:
    while len(kept) > KEPT:
        del kept[next(iter(kept))]  # type: ignore[arg-type]


def _changed(was: str, state: str, anew: bool) -> str:
    named = {"standby": "standing by", "replaced": "silent; others write its partitions"}.get(state, state)
    if anew:
        return f"started anew, {named}"
    if not was:
        return f"seen for the first time, {named}"
    return f"heard again, {named}" if was in _UNHEARD and state not in (*_UNHEARD, "stopped") else named


_UNHEARD: Final = ("silent", "replaced")
