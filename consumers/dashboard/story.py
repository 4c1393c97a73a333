"""The latest things that happened, of all workers and of what the dashboard saw itself (pure)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

from consumers.dashboard.health import Health
from consumers.dashboard.plain import plain
from consumers.dashboard.records import WorkerRecord

KEPT: Final = 500


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the log.

    Attributes:
        ms: when, Unix milliseconds of our clock.
        what: gap, reconnect, rescue, error, market; health, redis, worker and note are the dashboard's own.
        who: the worker; empty for our own.
        text: in words.
    """

    ms: int
    what: str
    who: str
    text: str


class Story:
    """Collects happenings; a worker repeats its last ones, each is taken once."""

    def __init__(self) -> None:
        self._lines: deque[Happening] = deque(maxlen=KEPT)
        self._seen: dict[tuple[str, int, str, str], None] = {}
        self._word = "WAIT"
        self._bad_since_ms = 0

    @property
    def lines(self) -> list[Happening]:
        """Newest first."""
        return sorted(self._lines, key=lambda line: line.ms)[::-1]

    def held(self) -> Story:
        """A copy that stays as it is."""
        twin = copy(self)
        twin._lines = self._lines.copy()
        return twin

    def take(self, word: WorkerRecord, behind_ms: int) -> None:
        """Takes a worker's log; `behind_ms` makes its times ours."""
        for line in word.log:
            ms, what, text = line.get("ms", 0), line.get("what", ""), line.get("text", "")
            key = (word.worker, ms, what, text)
            if key not in self._seen:
                self._seen[key] = None
                self._lines.append(Happening(ms + behind_ms, plain(what), plain(word.worker), plain(text)))
        while len(self._seen) > 2 * KEPT:
            del self._seen[next(iter(self._seen))]

    def tell(self, what: str, who: str, text: str, ms: int) -> None:
        """Something that the dashboard saw itself."""
        self._lines.append(Happening(ms, what, plain(who), plain(text)))

    def note(self, text: str, ms: int) -> None:
        """Something that whoever runs the dashboard wants to be read."""
        self._lines.append(Happening(ms, "note", "", plain(text)))

    def notes(self, since_ms: int) -> Sequence[Happening]:
        """Notes that are not older, oldest first."""
        return [line for line in self._lines if line.what == "note" and line.ms >= since_ms]

    def judge(self, health: Health, now_ms: int) -> None:
        """Writes down when the word changes."""
        if health.word == self._word:
            return
        if health.word == "LIVE":
            text = "LIVE"
            if self._bad_since_ms:
                text += f" again, after {(now_ms - self._bad_since_ms) / 1000:.1f} s"
            self._bad_since_ms = 0
        else:
            text = f"{health.word}: {health.why}"
            self._bad_since_ms = self._bad_since_ms or now_ms
        if health.word != "WAIT":
            self._lines.append(Happening(now_ms, "health", "", plain(text)))
        self._word = health.word
