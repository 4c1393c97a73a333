"""Faults of the message stream: late, out of order, twice, never."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from simulator.faults.behaviour import Behaviour
from simulator.faults.messages import edited, messages, without
from simulator.feed import Frame
from simulator.venue.conduct import Line

OVERTAKEN_WITHIN_S: Final = 1.0
"""A message that nothing overtakes is sent after so long: it is to be out of order, not lost."""


class _Picks(Behaviour):
    """Acts on messages of some connection, token, market and event type."""

    def picks(self, line: Line, frame: Frame, data: bytes) -> bool:
        """Decides whether it acts on this frame."""
        if not self.case.concerns_frame(line, frame):
            return False
        event = self.fault.event
        if event is not None and all(row.get("event_type") != event for row in messages(data)):
            return False
        return self.takes_of(data)


class Delay(_Picks):
    """Sends late; what follows on the connection waits too, so that order stays."""

    def delay_s(self, line: Line, frame: Frame) -> float:
        return self.fault.delay_s if self.picks(line, frame, frame.data) else 0.0


class Double(_Picks):
    """Sends twice."""

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        return [data, data] if self.picks(line, frame, data) else [data]


class Lose(_Picks):
    """Does not send; of a message about two tokens only the part about the one that is meant is lost."""

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        if not self.picks(line, frame, data):
            return [data]
        token = self.fault.token
        if token is None:
            return []
        left = edited(data, lambda message: without(message, lambda one: one == token))
        return [] if left is None else [left]


@dataclass(slots=True)
class _Held:
    line: Line
    data: bytes
    left: int


class Reorder(_Picks):
    """Holds a message back until later ones of its market have overtaken it."""

    def begin(self) -> None:
        self._held: dict[tuple[int, frozenset[str]], _Held] = {}

    @property
    def done(self) -> bool:
        return self.case.spent and not self._held

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        place = line.number, frame.markets
        held = self._held.get(place)
        if held is None:
            if not self.picks(line, frame, data):
                return [data]
            self._held[place] = held = _Held(line, data, self.fault.by)
            self.stage.later(OVERTAKEN_WITHIN_S, lambda: self._release(place, held))
            return []
        held.left -= 1
        if held.left > 0:
            return [data]
        del self._held[place]
        return [data, held.data]

    def gone(self, line: Line) -> None:
        self._held = {place: held for place, held in self._held.items() if held.line is not line}

    def end(self) -> None:
        for place, held in tuple(self._held.items()):
            self._release(place, held)

    def _release(self, place: tuple[int, frozenset[str]], held: _Held) -> None:
        if self._held.get(place) is held:
            del self._held[place]
            held.line.queue(held.data)
