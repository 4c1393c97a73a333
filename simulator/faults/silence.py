"""Faults of silence: the connection lives and PONG comes, but data does not."""

from __future__ import annotations

from simulator.faults.behaviour import Behaviour
from simulator.faults.messages import Message, edited, without
from simulator.feed import Frame
from simulator.venue.conduct import Line


class Stall(Behaviour):
    """Withholds all that the venue says of tokens: of one, of a market, of a connection, of all.

    `rescue` says what ends it for a token before the time. "resubscribe": a subscription that was made after it
    began, on any connection. "reconnect": to be subscribed on another connection than where it struck. "never":
    nothing. Where it finds nobody, it strikes the first connection that its data go to.
    """

    def begin(self) -> None:
        self._lines: set[int] = set()
        self._tokens: set[tuple[int, str]] = set()
        self._struck = self.fault.rescue == "never"
        for line in self.stage.lines():
            self._strike(line)

    @property
    def done(self) -> bool:
        match self.fault.rescue:
            case "never":
                return False
            case "resubscribe":
                return self._struck and not self._tokens
            case _:
                return self._struck and not self._lines

    def subscribed(self, line: Line, tokens: tuple[str, ...]) -> None:
        self._tokens.difference_update((line.number, token) for token in tokens)

    def gone(self, line: Line) -> None:
        self._lines.discard(line.number)
        self._tokens = {(number, token) for number, token in self._tokens if number != line.number}

    def shows(self, line: Line, token: str) -> bool:
        if not self._stalls(line, token):
            return True
        self.case.acts += 1
        return False

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        if not self.case.concerns_frame(line, frame):
            return [data]
        if not self._struck:
            self._strike(line)
        if self.fault.rescue != "never" and line.number not in self._lines:
            return [data]
        left = edited(data, lambda message: self._left(line, message))
        self.case.acts += left is not data
        return [] if left is None else [left]

    def _left(self, line: Line, message: Message) -> Message | None:
        if "asset_id" not in message and "price_changes" not in message:
            # Of a whole market, or of the exchange.
            left = self.fault.rescue != "resubscribe" or any(one == line.number for one, _ in self._tokens)
            return None if left and self.fault.token is None else message
        return without(message, lambda token: self._stalls(line, token))

    def _strike(self, line: Line) -> None:
        if not self.case.concerns_line(line) or not line.market_of:
            return
        self._struck = True
        self._lines.add(line.number)
        self._tokens.update(
            (line.number, token)
            for token, market in line.market_of.items()
            if self.case.concerns_token(line.number, token, market)
        )

    def _stalls(self, line: Line, token: str) -> bool:
        match self.fault.rescue:
            case "never":
                return self.case.concerns_token(line.number, token, line.market_of.get(token))
            case "resubscribe":
                return (line.number, token) in self._tokens
            case _:
                return line.number in self._lines and self.case.concerns_token(
                    line.number, token, line.market_of.get(token)
                )


class WithholdBooks(Behaviour):
    """Does not answer a subscription with first books; what follows comes."""

    def shows(self, line: Line, token: str) -> bool:
        concerns = self.case.concerns_token(line.number, token, line.market_of.get(token))
        return not (concerns and self.takes())
