"""What a fault can do at each turn; a kind overrides what it is about."""

from __future__ import annotations

from typing import Any

from simulator.faults.case import Case, Stage
from simulator.faults.messages import messages
from simulator.feed import Frame
from simulator.venue.conduct import Line, Refusal


class Behaviour:
    """One injected fault at work. By itself it does nothing."""

    def __init__(self, case: Case, stage: Stage) -> None:
        self.case = case
        self.fault = case.fault
        self.stage = stage

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do or to put right."""
        return self.case.spent

    def begin(self) -> None:
        """The fault begins."""

    def end(self) -> None:
        """The fault is over or was removed: puts right what it holds."""

    def refusal(self) -> Refusal | None:
        """As Conduct."""
        return None

    def accepted(self, line: Line) -> None:
        """As Conduct."""

    def subscribed(self, line: Line, tokens: tuple[str, ...]) -> None:
        """As Conduct."""

    def shows(self, line: Line, token: str) -> bool:
        """Whether the first book of a token is sent."""
        return True

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        """What is sent in place of a frame.

        Args:
            frame: as the feed made it.
            data: what other faults left of it.
        """
        return [data]

    def delay_s(self, line: Line, frame: Frame) -> float:
        """How late the frame, and so all that follows it, is sent."""
        return 0.0

    def gone(self, line: Line) -> None:
        """As Conduct."""

    def rest_refusal(self, path: str) -> Refusal | None:
        """The answer to a REST call in place of the venue's; status 0: the connection is cut instead."""
        return None

    def rest_book(self, book: dict[str, Any]) -> dict[str, Any]:
        """What is told in place of a REST book."""
        return book

    def takes(self) -> bool:
        """Decides by share and count whether it acts, and counts it."""
        return self.case.takes(self.stage.random)

    def takes_of(self, data: bytes) -> bool:
        """As `takes`, of a frame, whose times are kept."""
        if not self.takes():
            return False
        for row in messages(data):
            if str(row.get("timestamp", "")).isdecimal():
                self.case.acted_on(int(row["timestamp"]))
        return True
