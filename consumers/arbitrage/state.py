"""What is kept of an engine between two runs: the fields of the hash `arbitrage:{P}`. Pure.

    handled, clock     id of the last entry; ms of the last clock entry
    group_handled      up to which id the group was then, by its lease: an entry that nobody can read moves only this
    catalog, terms     the revision in force, and the terms of its markets as JSON
    l:TOKEN            a leg: ask, size, gap, id of its top, ms when last seen, ms until torn, ms since when doubted
    m:CONDITION_ID     how a market ended
    o:BASKET           an open opportunity
    w:BASKET           ms before which it is not opened

Only what changed is written, so a commit costs as much as its batch, however large the partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from consumers.arbitrage.baskets import Basket, BasketLeg
from consumers.arbitrage.engine import Engine
from consumers.arbitrage.evaluate import Limits, Live, Opening
from consumers.arbitrage.legs import Leg
from consumers.arbitrage.opportunity import Figures
from consumers.arbitrage.payout import Tie
from consumers.arbitrage.terms import dump, load
from marketdata.entries import EntryId
from marketdata.errors import BookstreamError, EntryError

HANDLED: Final = "handled"
GROUP_HANDLED: Final = "group_handled"
_ENDS: Final = {"0": 0, "1": 1, "split": "split"}


class Changes(NamedTuple):
    """What to write: fields with their values, and fields to remove."""

    set: dict[str, str | bytes]
    remove: list[str]


def changes_of(engine: Engine, *, adopted: bool) -> Changes:
    """What changed since the last call; the next one begins anew.

    Args:
        adopted: whether the catalog's terms are among it.
    """
    changes = Changes({HANDLED: str(engine.handled), "clock": str(engine.quotes.clock_ms)}, [])

    def put(name: str, value: str | bytes | None) -> None:
        if value is None:
            changes.remove.append(name)
        else:
            changes.set[name] = value

    if adopted:
        put("catalog", engine.revision)
        put("terms", dump(engine.terms))
    for leg in engine.quotes.dirty:
        put(f"l:{leg.token}", _leg(leg) if engine.ground.legs.get(leg.token) is leg else None)
    for name in engine.dirty_markets:
        put(f"m:{name}", str(engine.ended[name]) if name in engine.ended else None)
    for name in engine.judge.dirty:
        wait_ms = engine.judge.waits.get(name)
        put(f"w:{name}", None if wait_ms is None else str(wait_ms))
        live = engine.ground.lives.get(name) or engine.judge.leaving.get(name)
        put(f"o:{name}", None if live is None or live.opening is None else _open(live, live.opening))
    engine.quotes.dirty.clear()
    engine.dirty_markets.clear()
    engine.judge.dirty.clear()
    return changes


def restored(limits: Limits, fields: Mapping[bytes, bytes]) -> Engine:
    """An engine as it was; a new one where nothing was kept.

    Raises:
        EntryError: what was kept cannot be read.
    """
    engine = Engine(limits)
    if b"terms" not in fields:
        # Nothing was ever kept; or Redis forgot all, and has since been told only of what changed.
        return engine
    openings: list[tuple[Basket, Opening]] = []
    try:
        engine.handled = EntryId.parse(fields[b"handled"])
        engine.quotes.clock_ms = int(fields[b"clock"])
        engine.judge.revision = fields[b"catalog"].decode()
        engine.terms = load(fields[b"terms"])
        pairs = {token: (one, at) for one in engine.terms for at, token in enumerate(one.tokens)}
        for raw in sorted(fields):
            kind, _, name = raw.decode().partition(":")
            value = fields[raw].decode()
            if kind == "l" and name in pairs:
                market, outcome = pairs[name]
                engine.ground.legs[name] = _restored_leg(Leg(name, market.condition_id, outcome), value)
            elif kind == "m":
                engine.ended[name] = _ENDS[value]  # type: ignore[assignment]
            elif kind == "w":
                engine.judge.waits[name] = int(value)
            elif kind == "o":
                openings.append(_restored_opening(name, orjson.loads(value)))
        engine.restored(openings)
    except (KeyError, ValueError, TypeError, BookstreamError) as error:
        raise EntryError(
            f"the engine's state cannot be read ({type(error).__name__} {str(error)[:80]}); nothing was handled:"
            " remove its hash arbitrage:{P} together with opportunities:{P} and its group to begin anew"
        ) from None
    return engine


def _leg(leg: Leg) -> str:
    doubt = "" if leg.doubted_ms is None else f" {leg.doubted_ms}"
    return f"{leg.price} {leg.size} {int(leg.gapped)} {leg.top_at} {leg.seen_ms} {leg.torn_until_ms}{doubt}"


def _restored_leg(leg: Leg, text: str) -> Leg:
    price, size, gapped, top_at, seen_ms, torn_until_ms, *doubt = text.split(" ")
    leg.price, leg.size, leg.gapped = int(price), int(size), gapped == "1"
    leg.top_at, leg.seen_ms = EntryId.parse(top_at), int(seen_ms)
    leg.torn_until_ms = int(torn_until_ms)
    leg.doubted_ms = int(doubt[0]) if doubt else None
    leg.reckon()
    return leg


def _open(live: Live, opening: Opening) -> bytes:
    basket = live.basket
    return orjson.dumps(
        {
            "kind": basket.kind,
            "group": basket.group,
            "events": basket.events,
            "legs": [list(leg) for leg in basket.legs],
            "payout": basket.payout,
            "ties": [list(tie) for tie in basket.ties],
            "opened": opening.opened,
            "since_ms": opening.since_ms,
            "told_ms": opening.told_ms,
            "told": [*opening.told[:4], list(opening.told.prices)],
            "best": [opening.best_net, opening.best_bps_hundredths],
        }
    )


def _restored_opening(name: str, row: dict[str, Any]) -> tuple[Basket, Opening]:
    basket = Basket(
        name,
        row["kind"],
        row["group"],
        tuple(row["events"]),
        tuple(BasketLeg(*leg) for leg in row["legs"]),
        row["payout"],
        tuple(Tie(*tie) for tie in row["ties"]),
    )
    size, cost, fees, net, prices = row["told"]
    told = Figures(size, cost, fees, net, tuple(prices))
    # An engine that did not look at when doubts begin kept no time of the last telling.
    told_ms = row.get("told_ms", row["since_ms"])
    return basket, Opening(row["opened"], row["since_ms"], told_ms, told, *row["best"])
