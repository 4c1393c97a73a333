"""Faults of what messages say: a wrong hash, wrong best prices, garbage."""

from __future__ import annotations

import hashlib
from typing import Final

from marketdata.venue import MAX_FRAME_BYTES
from simulator.faults.behaviour import Behaviour
from simulator.faults.fault import Form
from simulator.faults.messages import Message, each_token, edited, shifted_best
from simulator.feed import Frame
from simulator.venue.conduct import Line

_SMALL_FORMS: Final[tuple[Form, ...]] = ("json", "utf8", "truncated", "unknown", "text")


class _Doctors(Behaviour):
    """Changes what is said of a token's step: of all its messages, to all connections; a step is one act."""

    def begin(self) -> None:
        self._steps: dict[str, tuple[str, bool]] = {}
        """Of each token the hash of its last step, and whether that one is doctored."""

    @property
    def done(self) -> bool:
        return self.case.spent and not any(chosen for _, chosen in self._steps.values())

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        if not self.case.concerns_frame(line, frame):
            return [data]
        (market,) = frame.markets if len(frame.markets) == 1 else (None,)

        def one(token: str, said: Message) -> Message:
            if not self.speaks(said) or not self.case.concerns_token(line.number, token, market):
                return said
            return self.doctor(said) if self._is_chosen(token, str(said["hash"]), data) else said

        left = edited(data, lambda message: each_token(message, one))
        return [] if left is None else [left]

    def speaks(self, said: Message) -> bool:
        """Whether there is something to doctor."""
        return bool(said.get("hash"))

    def doctor(self, said: Message) -> Message:
        """Does it."""
        raise NotImplementedError

    def _is_chosen(self, token: str, true_hash: str, data: bytes) -> bool:
        known = self._steps.get(token)
        if known is not None and known[0] == true_hash:
            return known[1]
        chosen = self.takes_of(data)
        self._steps[token] = true_hash, chosen
        return chosen


class WrongHash(_Doctors):
    """A hash that no book has; the same one in all messages of a step."""

    def doctor(self, said: Message) -> Message:
        wrong = hashlib.sha1(f"{self.case.id} {said['hash']}".encode(), usedforsecurity=False).hexdigest()
        return {**said, "hash": wrong}


class WrongBest(_Doctors):
    """Best prices that are not those of the book."""

    def speaks(self, said: Message) -> bool:
        return bool(said.get("hash")) and shifted_best(said) is not said

    def doctor(self, said: Message) -> Message:
        return shifted_best(said)


class Garbage(Behaviour):
    """Sends what is no message: behind a real one, or (truncated) in its place."""

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        if not self.case.concerns_frame(line, frame) or not self.takes_of(data):
            return [data]
        form = self.fault.form
        return garbage(self.stage.random.choice(_SMALL_FORMS) if form == "any" else form, data)


def garbage(form: Form, data: bytes) -> list[bytes]:
    """What is sent in place of a message: most often the message and then the garbage."""
    match form:
        case "truncated":
            return [data[: len(data) // 2]]
        case "json":
            return [data, b'{"event_type": "price_change", "market": nothing}']
        case "utf8":
            return [data, b'{"event_type": "book", "market": "\xff\xfe\x80"}']
        case "unknown":
            return [data, b'{"event_type": "weather", "market": "0x00", "timestamp": "1"}']
        case "huge":
            return [data, b'{"event_type": "book", "padding": "' + b"x" * MAX_FRAME_BYTES + b'"}']
        case _:
            return [data, b"INTERNAL SERVER ERROR"]
