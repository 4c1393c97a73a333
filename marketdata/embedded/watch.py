"""What a guard does next: pure, the time and what was seen are handed in."""

from __future__ import annotations

from typing import Final, Literal

Action = Literal["wait", "start", "finish"]

GRACE_S: Final = 2.0
"""How long a server stays up without users, so that one command after another finds it running."""
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0
PROVEN_AFTER_S: Final = 10.0
"""A server that ran this long was a good start: the next crash is answered at once again."""


class Watch:
    """The rules of a guard: restart what crashed, with growing delays; finish when nobody is left."""

    def __init__(self, *, grace_s: float = GRACE_S) -> None:
        self._grace_s = grace_s
        self._unused_since_s: float | None = None
        self._started_s: float | None = None
        self._start_at_s: float | None = None
        self._delay_s = FIRST_DELAY_S

    def tick(self, now_s: float, *, server_up: bool, users: bool) -> Action:
        """Takes what is seen at `now_s` (monotonic seconds) and says what to do.

        "start" is said once a start; a server that is seen down after it counts as crashed.
        """
        if users:
            self._unused_since_s = None
        elif self._unused_since_s is None:
            self._unused_since_s = now_s
        elif now_s - self._unused_since_s >= self._grace_s:
            return "finish"
        if server_up:
            return "wait"
        if self._started_s is not None:
            self._start_at_s = self._after_crash(now_s, now_s - self._started_s)
            self._started_s = None
        if self._start_at_s is not None and now_s < self._start_at_s:
            return "wait"
        self._started_s, self._start_at_s = now_s, None
        return "start"

    def _after_crash(self, now_s: float, lived_s: float) -> float:
        if lived_s >= PROVEN_AFTER_S:
            self._delay_s = FIRST_DELAY_S
        at_s = now_s + self._delay_s
        self._delay_s = min(self._delay_s * 2, LONGEST_DELAY_S)
        return at_s
