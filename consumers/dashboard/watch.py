"""What the dashboard sees of workers from one reading to the next, and nobody else would write down (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from consumers.dashboard.records import WorkerRecord

TOLD_CAUSES: Final = ("redis",)
"""Causes of gaps that a worker counts and does not log: it finds them only when Redis is back."""

Told: TypeAlias = tuple[str, str, str]
"""What, who and text of a line of the log."""


class Watch:
    """Remembers how each worker was."""

    def __init__(self) -> None:
        self._states: dict[str, tuple[int, str]] = {}
        self._gaps: dict[tuple[str, int], Mapping[str, int]] = {}
        self._looked = False

    def workers(self, words: Sequence[WorkerRecord], silent: Mapping[str, bool]) -> Iterator[Told]:
        """How they changed; nothing at the first look, which finds them as they are.

        Args:
            words: newest records.
            silent: by worker, whether it should have spoken.
        """
        states = {
            word.worker: (word.started_ms, "silent" if silent[word.worker] else word.state) for word in words
        }
        before, self._states = self._states, states
        if self._looked:
            for name, (started_ms, state) in states.items():
                was_started_ms, was = before.get(name, (started_ms, ""))
                if state != was or started_ms != was_started_ms:
                    yield "worker", name, _changed(was, state, started_ms != was_started_ms)
            for name in before.keys() - states.keys():
                if before[name][1] != "stopped":
                    yield "worker", name, "gone: its record expired"
        self._looked = True

    def gaps(self, words: Sequence[WorkerRecord]) -> Iterator[Told]:
        """Gaps that were counted since the last look, by cause."""
        for word in words:
            before = self._gaps.get(word.key)
            for cause in TOLD_CAUSES:
                more = word.gaps_by_cause.get(cause, 0) - (before or {}).get(cause, 0)
                if before is not None and more > 0:
                    yield "gap", word.worker, f"{more} {'gap' if more == 1 else 'gaps'} by {cause}"
        self._gaps = {word.key: word.gaps_by_cause for word in words}


def _changed(was: str, state: str, anew: bool) -> str:
    named = "standing by" if state == "standby" else state
    if anew:
        return f"started anew, {named}"
    if not was:
        return f"seen for the first time, {named}"
    return f"heard again, {named}" if was == "silent" and state != "stopped" else named
