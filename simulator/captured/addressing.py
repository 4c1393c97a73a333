"""Whom a recorded frame concerns, and when the venue says it happened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from simulator.captured.reader import Message
from simulator.feed import Frame

GLOBAL_EVENTS: Final = frozenset({"new_market", "market_resolved"})
"""Sent to every connection with the custom features, whatever it watches."""

CUSTOM_EVENTS: Final = GLOBAL_EVENTS | {"best_bid_ask"}


def frame_of(data: bytes, messages: Sequence[Message], watched: frozenset[str] = frozenset()) -> Frame:
    """The frame with its addressees. One without a market (sport results) goes to everyone.

    Args:
        data: the payload.
        messages: what it holds; none for one that cannot be read.
        watched: condition ids that the recording connection was subscribed to, where that is known. Each of its
            connections recorded what was sent to all: its own copy then goes to whoever watches one of these.
    """
    kinds = [message.get("event_type") for message in messages]
    markets = frozenset(market for message in messages if (market := market_of(message)))
    everywhere = not markets or any(kind in GLOBAL_EVENTS for kind in kinds)
    if watched:
        markets = watched if everywhere else (markets & watched) or watched
    return Frame(
        data=data,
        markets=markets,
        custom_only=bool(kinds) and all(kind in CUSTOM_EVENTS for kind in kinds),
        everywhere=everywhere and not watched,
    )


def market_of(message: Message) -> str:
    """The condition id; empty for a message without one."""
    market = message.get("market")
    return market if isinstance(market, str) else ""


def tokens_of(message: Message) -> Iterator[str]:
    """Token ids that the message is about, in its order; repeats are possible."""
    yield from _texts([message.get("asset_id")])
    changes = message.get("price_changes")
    if isinstance(changes, list):
        yield from _texts(change.get("asset_id") for change in changes if isinstance(change, dict))
    for key in ("clob_token_ids", "assets_ids"):
        listed = message.get(key)
        if isinstance(listed, list):
            yield from _texts(listed)


def venue_ms_of(messages: Iterable[Message]) -> int | None:
    """The newest timestamp of the messages, Unix milliseconds; None where no message has one."""
    stamps = [str(message.get("timestamp", "")) for message in messages]
    return max((int(stamp) for stamp in stamps if stamp.isascii() and stamp.isdigit()), default=None)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str) and value)
