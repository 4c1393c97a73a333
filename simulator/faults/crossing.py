"""A book that is crossed for a while, though the best prices in its messages stay right.

Source: public clients report books that cross for a few messages and heal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from simulator.faults.behaviour import Behaviour
from simulator.faults.messages import Message, crossing, entries_of, messages, mirrored
from simulator.feed import Frame
from simulator.venue.conduct import Line

CROSSED_S: Final = 0.5
SIZE: Final = "100"

Level = tuple[str, str, str]
"""Token, side, price."""


@dataclass(slots=True)
class Phantom:
    """Levels that were told and never were.

    Attributes:
        levels: those that a client still holds.
        last: the newest price_change of the market: time, hash and best prices come from it.
    """

    line: Line
    levels: set[Level]
    last: Message


class Crossed(Behaviour):
    """Adds a crossing level behind a price change and takes it back after `for_s`."""

    def begin(self) -> None:
        self._phantoms: dict[tuple[int, str], Phantom] = {}

    @property
    def done(self) -> bool:
        return self.case.spent and not self._phantoms

    def passes(self, line: Line, frame: Frame, data: bytes) -> list[bytes]:
        concerns = not self.case.spent and self.case.concerns_frame(line, frame)
        if not (self._phantoms or concerns):
            return [data]
        sent = [data]
        for message in messages(data):
            place = line.number, str(message.get("market"))
            if (phantom := self._phantoms.get(place)) is not None:
                _follow(phantom, message)
                if not phantom.levels:
                    del self._phantoms[place]
            elif concerns and (levels := crossing_levels(message, self.fault.token)) and self.takes():
                self._phantoms[place] = phantom = Phantom(line, levels, message)
                sent.append(told(phantom, SIZE))
                self._take_back_later(place, phantom)
        return sent

    def gone(self, line: Line) -> None:
        self._phantoms = {place: one for place, one in self._phantoms.items() if one.line is not line}

    def end(self) -> None:
        for place, phantom in tuple(self._phantoms.items()):
            self._take_back(place, phantom)

    def _take_back_later(self, place: tuple[int, str], phantom: Phantom) -> None:
        self.stage.later(self.fault.for_s or CROSSED_S, lambda: self._take_back(place, phantom))

    def _take_back(self, place: tuple[int, str], phantom: Phantom) -> None:
        if self._phantoms.get(place) is phantom:
            del self._phantoms[place]
            phantom.line.queue(told(phantom, "0"))


def crossing_levels(message: Message, token: str | None) -> set[Level]:
    """Levels that cross the book behind a price_change: one and its mirror; none where none can."""
    changes = entries_of(message)
    first = next((one for one in changes if token in (None, one["asset_id"])), None)
    found = crossing(first) if first is not None else None
    if first is None or found is None:
        return set()
    side, price = found
    levels = {(str(first["asset_id"]), side, price)}
    for other in changes:
        if other["asset_id"] != first["asset_id"]:
            levels.add((str(other["asset_id"]), "SELL" if side == "BUY" else "BUY", mirrored(price)))
    return levels


def told(phantom: Phantom, size: str) -> bytes:
    """The price_change that sets all levels of a phantom to a size."""
    entries = {str(one["asset_id"]): one for one in phantom.last["price_changes"]}
    changes = [
        {**entries[token], "price": price, "size": size, "side": side}
        for token, side, price in sorted(phantom.levels)
        if token in entries
    ]
    return orjson.dumps({**phantom.last, "price_changes": changes})


def _follow(phantom: Phantom, message: Message) -> None:
    """A real level took the phantom's place, or a whole book did: there is nothing left to take back."""
    if changes := entries_of(message):
        real = {(str(one["asset_id"]), str(one.get("side")), str(one.get("price"))) for one in changes}
        phantom.levels -= real
        if {level[0] for level in phantom.levels} <= {str(one["asset_id"]) for one in changes}:
            phantom.last = message
    elif message.get("event_type") == "book":
        phantom.levels = {level for level in phantom.levels if level[0] != message.get("asset_id")}
