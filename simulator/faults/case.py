"""An injected fault: whom it concerns and what became of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from simulator.faults.fault import Fault
from simulator.feed import Frame
from simulator.venue.conduct import Line

ACTED_KEPT: Final = 100

State = Literal["waiting", "active", "over", "removed"]


@dataclass(frozen=True, slots=True)
class Stage:
    """What behaviours act on; all of it handed in.

    Attributes:
        lines: the connections that are open, oldest first.
        later: calls after so many seconds.
        random: of what happens by chance.
        clock_ms: Unix milliseconds.
    """

    lines: Callable[[], Iterable[Line]]
    later: Callable[[float, Callable[[], None]], object]
    random: random.Random
    clock_ms: Callable[[], int]


@dataclass(slots=True)
class Case:
    """One injected fault.

    Attributes:
        fault: with "any" replaced by whom it became, once it has begun.
        acts: how often it has acted.
        acted_ms: the times in the last 100 messages that it acted on, oldest first.
        began_ms, ended_ms: Unix milliseconds; None: not yet.
    """

    id: int
    fault: Fault
    state: State = "waiting"
    acts: int = 0
    acted_ms: list[int] = field(default_factory=list)
    began_ms: int | None = None
    ended_ms: int | None = None

    @property
    def spent(self) -> bool:
        """Whether it has acted as often as it may."""
        most = self.fault.most
        return most is not None and self.acts >= most

    def takes(self, source: random.Random) -> bool:
        """Decides whether it acts on what is before it, and counts it."""
        if self.spent or (self.fault.share < 1 and source.random() >= self.fault.share):
            return False
        self.acts += 1
        return True

    def acted_on(self, venue_ms: int) -> None:
        """Keeps the time in a message that it acted on."""
        if venue_ms not in self.acted_ms[-1:]:
            self.acted_ms = [*self.acted_ms[1 - ACTED_KEPT :], venue_ms]

    def concerns_line(self, line: Line) -> bool:
        """Whether the connection is one that it is about."""
        fault = self.fault
        return (
            (fault.connection is None or line.number == fault.connection)
            and (fault.token is None or fault.token in line.market_of)
            and (fault.market is None or fault.market in line.market_of.values())
        )

    def concerns_frame(self, line: Line, frame: Frame) -> bool:
        """Whether the frame, on its way to this connection, is one that it is about."""
        fault = self.fault
        return (
            (fault.connection is None or line.number == fault.connection)
            and (fault.token is None or fault.token.encode() in frame.data)
            and (fault.market is None or fault.market in frame.markets)
        )

    def concerns_token(self, number: int, token: str, market: str | None) -> bool:
        """Whether this token on the connection of this number is one that it is about."""
        fault = self.fault
        return (
            (fault.connection is None or number == fault.connection)
            and (fault.token is None or token == fault.token)
            and (fault.market is None or market == fault.market)
        )

    def row(self) -> dict[str, Any]:
        """As the control calls tell it."""
        return {
            "id": self.id,
            "state": self.state,
            "acts": self.acts,
            "acted_ms": self.acted_ms,
            "began_ms": self.began_ms,
            "ended_ms": self.ended_ms,
            "fault": self.fault.told(),
        }
