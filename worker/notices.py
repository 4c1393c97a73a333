"""What a connection's rules say to the rest of the worker (pure data)."""

from __future__ import annotations

from typing import Literal, NamedTuple

from worker.shapes import NewMarket


class Send(NamedTuple):
    """Send a text frame."""

    text: str


class Close(NamedTuple):
    """Close the connection; another one follows."""

    code: int
    reason: str


class Quarantined(NamedTuple):
    """A frame that could not be used, whole or in part."""

    frame: bytes
    reason: str


class Witness(NamedTuple):
    """Compare these tokens with the REST book.

    `lost`: after a frame that could not be read. `first`: because a first book is missing. `silent`: because
    nothing was heard of them for long.
    """

    tokens: tuple[str, ...]
    why: Literal["lost", "first", "silent"]


class Move(NamedTuple):
    """Get this token's book by another connection."""

    condition_id: str
    token: str


class Event(NamedTuple):
    """Something that a person who watches wants to know. `outcome` None: the whole market."""

    what: Literal["gap", "rescue"]
    condition_id: str
    outcome: int | None
    text: str


class Ended(NamedTuple):
    """A market was resolved; its entry is written."""

    condition_id: str
    winner: Literal[0, 1]


Command = Send | Close
Notice = Quarantined | Witness | Move | Event | Ended | NewMarket
"""NewMarket: a market was listed somewhere on the exchange."""
