"""Market records in Gamma's shape for the condition ids of recordings. Pure.

Real fields come from new_market messages where a recording has them; the rest is made up, deterministically,
from the ids: a question that says so, an end date far away, a volume of 1000 a recorded frame. The messages have
no end date; where the texts of a price market name the moment it settles, that is its end date.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from marketdata.families import Listing, family_of
from simulator.captured.books import MIN_ORDER_SIZE, MarketState
from simulator.captured.reader import Message

END_DATE: Final = "2099-12-31T12:00:00Z"
"""Of markets that are not bound to a moment."""

START_DATE: Final = "2020-01-01T00:00:00Z"

_TOKEN_FLOOR: Final = 10**76


@dataclass(frozen=True, slots=True)
class KnownMarket:
    """What recordings tell of a market.

    Attributes:
        condition_id: as on the socket, 0x and 64 hex digits.
        tokens: both token ids, outcome 0 first.
        frames: number of recorded frames about it.
        announced: its new_market message, if one was recorded.
    """

    condition_id: str
    tokens: tuple[str, str]
    frames: int
    announced: Message | None


def invented_token(condition_id: str, outcome: int) -> str:
    """The id of a token that no recording names: 77 digits, the same for the same market and outcome."""
    number = int(hashlib.sha256(f"token {outcome} of {condition_id}".encode()).hexdigest(), 16)
    return str(_TOKEN_FLOOR + number % (9 * _TOKEN_FLOOR))


def gamma_events(markets: Sequence[KnownMarket], states: Mapping[str, MarketState]) -> list[dict[str, Any]]:
    """Events with their markets inside, as they stand now; markets announced with one event share it."""
    events: dict[str, dict[str, Any]] = {}
    for market in markets:
        row = _market(market, states[market.condition_id])
        head = _event_head(market)
        event = events.setdefault(head["id"], {**head, "markets": []})
        event["markets"].append(row)
    for event in events.values():
        _sum_up(event)
    return list(events.values())


def _market(market: KnownMarket, state: MarketState) -> dict[str, Any]:
    told = market.announced or {}
    short = market.condition_id.removeprefix("0x")[:12]
    outcomes = told.get("outcomes")
    if not (isinstance(outcomes, list) and len(outcomes) == 2):
        outcomes = ["Yes", "No"]
    is_v2 = state.version == "v2"
    volume = float(1000 * market.frames)
    head = _event_head(market)
    row: dict[str, Any] = {
        "id": str(told.get("id") or _invented_number(market.condition_id)),
        "question": str(told.get("question") or f"Recorded market {short}?"),
        "conditionId": _shown_id(market.condition_id) if is_v2 else market.condition_id,
        "slug": str(told.get("slug") or f"recorded-market-{short}"),
        "description": str(
            told.get("description") or "Made up for a recording; only the ids are the venue's."
        ),
        "outcomes": orjson.dumps(outcomes).decode(),
        "outcomePrices": orjson.dumps(_prices(market, state)).decode(),
        "startDate": START_DATE,
        "endDate": head["endDate"],
        "groupItemTitle": str(told.get("group_item_title") or ""),
        "volume": f"{volume:.6f}",
        "volumeNum": volume,
        "volume24hr": volume,
        "liquidity": f"{volume:.4f}",
        "liquidityNum": volume,
        "active": True,
        "closed": bool(state.winner),
        "archived": False,
        "enableOrderBook": True,
        "acceptingOrders": not state.winner,
        "orderPriceMinTickSize": float(state.tick_size),
        "orderMinSize": int(MIN_ORDER_SIZE),
        "negRisk": state.neg_risk,
        "negRiskOther": False,
        "version": state.version or "v1",
        "makerBaseFee": 0,
        "takerBaseFee": int(_number(told.get("taker_base_fee"))),
        "feesEnabled": told.get("fees_enabled") is True,
    }
    if isinstance(schedule := told.get("fee_schedule"), dict):
        row["feeSchedule"] = {
            "exponent": _number(schedule.get("exponent")),
            "rate": _number(schedule.get("rate")),
            "takerOnly": schedule.get("taker_only") is True,
            "rebateRate": _number(schedule.get("rebate_rate")),
        }
    if is_v2:
        row["positionIds"] = list(market.tokens)
    else:
        row["clobTokenIds"] = orjson.dumps(market.tokens).decode()
    if state.winner:
        row["resolutionStatus" if is_v2 else "umaResolutionStatus"] = "resolved"
    return row


def _event_head(market: KnownMarket) -> dict[str, Any]:
    told = market.announced or {}
    event = told.get("event_message")
    event = event if isinstance(event, dict) else {}
    short = market.condition_id.removeprefix("0x")[:12]
    slug = str(event.get("slug") or told.get("slug") or f"recorded-event-{short}")
    title = str(event.get("title") or told.get("question") or f"Recorded market {short}")
    description = str(event.get("description") or "")
    tags = told.get("tags")
    names = [name for name in tags if isinstance(name, str)] if isinstance(tags, list) else []
    return {
        "id": str(event.get("id") or _invented_number(f"event of {market.condition_id}")),
        "ticker": str(event.get("ticker") or slug),
        "slug": slug,
        "title": title,
        "description": description,
        "startDate": START_DATE,
        "endDate": _end_date(slug, title, description),
        "tags": [
            {"id": _invented_number(f"tag {name}"), "label": name, "slug": name}
            for name in names or ["recorded"]
        ],
    }


@lru_cache(maxsize=4096)
def _end_date(slug: str, title: str, description: str) -> str | None:
    """The moment that the event's texts name; None for a price event whose texts leave the year open."""
    family = family_of(
        Listing("", event_id="0", event_slug=slug, event_title=title, event_description=description)
    )
    return family.settlement_time or (None if family.kind in ("threshold", "range") else END_DATE)


def _sum_up(event: dict[str, Any]) -> None:
    markets = event["markets"]
    neg_risk = all(market["negRisk"] for market in markets)
    event |= {
        "active": True,
        "closed": all(market["closed"] for market in markets),
        "archived": False,
        "enableOrderBook": True,
        "negRisk": neg_risk,
        "enableNegRisk": neg_risk,
        "negRiskAugmented": False,
        "volume": sum(market["volumeNum"] for market in markets),
        "volume24hr": sum(market["volume24hr"] for market in markets),
        "liquidity": sum(market["liquidityNum"] for market in markets),
    }


def _prices(market: KnownMarket, state: MarketState) -> list[str]:
    if not state.winner:
        return ["0.5", "0.5"]
    if state.winner not in market.tokens:
        return ["0.5", "0.5"]
    return ["1" if token_id == state.winner else "0" for token_id in market.tokens]


def _shown_id(condition_id: str) -> str:
    """Gamma shows a protocol v2 condition id with 62 hex digits, without the zeros padded at the right."""
    return condition_id[:-2] if len(condition_id) == 66 and condition_id.endswith("00") else condition_id


def _invented_number(key: str) -> str:
    return str(10**8 + int(hashlib.sha256(key.encode()).hexdigest(), 16) % (9 * 10**8))


def _number(value: object) -> float | int:
    """A number that the socket writes as a string and Gamma as a number; 0 where there is none."""
    try:
        number = float(str(value))
    except ValueError:
        return 0
    return int(number) if number.is_integer() else number
