"""Opportunities as the engine's streams tell them (pure); fields as `docs/streams.md` lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from consumers.dashboard.plain import plain
from marketdata.entries import EntryId
from marketdata.errors import EntryError


@dataclass(frozen=True, slots=True)
class Leg:
    """One buy of a basket; price and size in decimal spelling."""

    market: str
    outcome: int | None
    price: str
    size: str


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of an opportunity stream; numbers in decimal spelling, empty where there is none.

    Attributes:
        id: of the entry.
        partition: of the stream.
        action: open, update or close.
        basket: the same from open to close.
        kind: complement, negrisk-yes, …
        event: slugs of the events of its markets.
        guarantee: strict or except-tie, in the engine's words.
        payout, cost, fees, net, bps, size: of the whole basket.
        legs: what would be bought.
        ties: strikes on which it pays something else.
        opened_ms: time of the entry that opened it; None at the opening itself.
        reason, duration_ms, best: at the close.
    """

    id: EntryId
    partition: int
    action: str
    basket: str
    kind: str
    event: str
    guarantee: str
    payout: str
    cost: str
    fees: str
    net: str
    bps: str
    size: str
    legs: tuple[Leg, ...]
    ties: str
    opened_ms: int | None
    reason: str
    duration_ms: int | None
    best: str


def parse_found(entry_id: bytes, partition: int, fields: Mapping[bytes, bytes]) -> Found | None:
    """Reads one entry; None: it is none of the three actions."""
    text = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    if text.get("action") not in ("open", "update", "close"):
        return None

    def said(name: str) -> str:
        return plain(text.get(name, ""))

    duration = said("duration_ms")
    return Found(
        id=EntryId.parse(entry_id),
        partition=partition,
        action=text["action"],
        basket=said("basket"),
        kind=said("kind"),
        event=said("event"),
        guarantee=said("guarantee"),
        payout=said("payout"),
        cost=said("cost"),
        fees=said("fees"),
        net=said("net"),
        bps=said("bps"),
        size=said("size"),
        legs=_legs(text.get("legs", "")),
        ties=said("ties"),
        opened_ms=_ms_of(said("opened")),
        reason=said("reason"),
        duration_ms=int(duration) if duration.isdecimal() else None,
        best=said("best_net"),
    )


def _ms_of(entry_id: str) -> int | None:
    try:
        return EntryId.parse(entry_id).ms
    except EntryError:
        return None


def _legs(text: str) -> tuple[Leg, ...]:
    try:
        rows = orjson.loads(text)
    except orjson.JSONDecodeError:
        return ()
    return tuple(_leg(row) for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()


def _leg(row: Mapping[str, Any]) -> Leg:
    outcome = str(row.get("outcome", ""))
    return Leg(
        market=str(row.get("market", "")),
        outcome=int(outcome) if outcome in ("0", "1") else None,
        price=str(row.get("price", "")),
        size=str(row.get("size", "")),
    )
