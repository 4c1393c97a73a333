"""Which behaviour a kind has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from simulator.faults import crossing, doctored, order, rest, silence, sockets
from simulator.faults.behaviour import Behaviour
from simulator.faults.fault import Kind

BEHAVIOURS: Final[Mapping[Kind, type[Behaviour]]] = {
    "drop": sockets.Drop,
    "close": sockets.Close,
    "half-open": sockets.HalfOpen,
    "stall": silence.Stall,
    "withhold-books": silence.WithholdBooks,
    "delay": order.Delay,
    "reorder": order.Reorder,
    "double": order.Double,
    "lose": order.Lose,
    "wrong-hash": doctored.WrongHash,
    "wrong-best": doctored.WrongBest,
    "crossed": crossing.Crossed,
    "garbage": doctored.Garbage,
    "refuse": sockets.Refuse,
    "accept-close": sockets.AcceptClose,
    "rest-error": rest.RestError,
    "rest-down": rest.RestDown,
    "rest-shell": rest.RestShell,
}
