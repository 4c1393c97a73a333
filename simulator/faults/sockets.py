"""Faults of the socket itself: cut, closed, half open, refused, closed on arrival."""

from __future__ import annotations

from typing import Final

from simulator.faults.behaviour import Behaviour
from simulator.venue.conduct import Line, Refusal

HALF_OPEN_S: Final = 300.0
"""A connection that nobody reads would stay for ever: its client's end is not seen."""

TOO_MANY_REQUESTS: Final = 429


class _Strikes(Behaviour):
    """Strikes connections: those that are there, or the first that comes; with `for_s` or `count` later ones too."""

    def begin(self) -> None:
        for line in self.stage.lines():
            self._try(line)

    def subscribed(self, line: Line, tokens: tuple[str, ...]) -> None:
        if not self.done:
            self._try(line)

    @property
    def done(self) -> bool:
        fault = self.fault
        return self.case.spent or (self.case.acts > 0 and fault.count is None and fault.for_s is None)

    def _try(self, line: Line) -> None:
        # What cannot be told apart by its subscriptions may be struck before it has any.
        if self.case.concerns_line(line) and self.takes():
            self.strike(line)

    def strike(self, line: Line) -> None:
        """Does it."""
        raise NotImplementedError


class Drop(_Strikes):
    """Cuts without a close frame."""

    def strike(self, line: Line) -> None:
        line.end(1006)


class Close(_Strikes):
    """Closes with a code."""

    def strike(self, line: Line) -> None:
        line.end(self.fault.code, self.fault.reason)


class HalfOpen(_Strikes):
    """The server is gone, and its TCP does not say so, until a restarted one resets it."""

    def begin(self) -> None:
        self._dead: dict[int, Line] = {}
        super().begin()

    @property
    def done(self) -> bool:
        return not self._dead and (self.case.spent or (self.case.acts > 0 and self.fault.count is None))

    def subscribed(self, line: Line, tokens: tuple[str, ...]) -> None:
        if self.case.acts == 0 or self.fault.count is not None:
            super().subscribed(line, tokens)

    def strike(self, line: Line) -> None:
        line.go_silent()
        self._dead[line.number] = line
        self.stage.later(self.fault.for_s or HALF_OPEN_S, lambda: self._cut(line))

    def gone(self, line: Line) -> None:
        self._dead.pop(line.number, None)

    def end(self) -> None:
        for line in tuple(self._dead.values()):
            line.end(1006)

    def _cut(self, line: Line) -> None:
        if self._dead.get(line.number) is line:
            line.end(1006)


class Refuse(Behaviour):
    """Answers the upgrade with an HTTP status: 429 unless it is said otherwise."""

    def refusal(self) -> Refusal | None:
        if not self.takes():
            return None
        return Refusal(self.fault.status or TOO_MANY_REQUESTS, self.fault.retry_after_s or None)


class AcceptClose(Behaviour):
    """Accepts and closes at once."""

    def accepted(self, line: Line) -> None:
        if self.takes():
            line.end(self.fault.code, self.fault.reason)
