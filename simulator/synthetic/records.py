"""Events and markets as Gamma shows them, from their listing to their end. Pure.

Source of the fields: Gamma's answers of 2026.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from marketdata.decimals import MICROS, from_micros
from simulator.synthetic.categories import Category
from simulator.synthetic.listing import Listing, Shown, Version

VOLUME_A_WEIGHT: Final = 10_000_000.0
"""24 h volume in dollars of a market that had all the activity."""

FAR_AWAY_MS: Final = 4_102_358_400_000
"""The end date of what has none: the last day of 2099."""


@dataclass(slots=True)
class EventRecord:
    """An event and its markets, as they stand.

    Attributes:
        tags: (id, label, slug), the category's first.
        series: slug and recurrence of what it is one of; None for events that stand alone.
        neg_risk_market_id: empty where the event is not neg-risk.
        starts_ms: when the measured time starts, for short markets.
    """

    event_id: str
    slug: str
    title: str
    description: str
    category: Category
    opens_ms: int
    ends_ms: int | None
    version: Version
    resolution_source: str = ""
    tags: tuple[tuple[str, str, str], ...] = ()
    series: tuple[str, str] | None = None
    neg_risk_market_id: str = ""
    augmented: bool = False
    starts_ms: int | None = None
    markets: list[MarketRecord] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether all of its markets are over."""
        return all(market.winner is not None for market in self.markets)


@dataclass(slots=True)
class MarketRecord:
    """A market, as it stands.

    Attributes:
        label, place: groupItemTitle and groupItemThreshold, the order on the site.
        other: the explicit Other of an augmented event.
        winner, closed_ms: None while it is open.
    """

    listing: Listing
    event: EventRecord
    market_id: str
    question_id: str
    label: str
    place: int
    description: str
    other: bool = False
    winner: Literal[0, 1] | None = None
    closed_ms: int | None = None
    _fixed: dict[str, Any] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, Any]:
        """The fields of its row that never change, made once."""
        if not self._fixed:
            self._fixed = _fixed_fields(self)
        return self._fixed


def event_row(event: EventRecord, look: Callable[[str], Shown]) -> dict[str, Any]:
    """The event with its markets inside, in Gamma's shape."""
    markets = [market_row(market, look) for market in event.markets]
    neg_risk = bool(event.neg_risk_market_id)
    row: dict[str, Any] = {
        "id": event.event_id,
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title,
        "description": event.description,
        "resolutionSource": event.resolution_source,
        "startDate": iso(event.opens_ms),
        "creationDate": iso(event.opens_ms),
        "endDate": iso(FAR_AWAY_MS if event.ends_ms is None else event.ends_ms),
        "createdAt": iso(event.opens_ms),
        "active": True,
        "closed": event.closed,
        "archived": False,
        "new": False,
        "featured": False,
        "restricted": True,
        "enableOrderBook": True,
        "negRisk": neg_risk,
        "enableNegRisk": neg_risk,
        "negRiskAugmented": event.augmented,
        "tags": [
            {"id": tag_id, "label": label, "slug": slug}
            for tag_id, label, slug in (
                (event.category.tag_id, event.category.label, event.category.name),
                *event.tags,
            )
        ],
        "cyom": False,
        "showAllOutcomes": True,
        "automaticallyActive": True,
        "pendingDeployment": False,
        "deploying": False,
        "volume": sum(market["volumeNum"] for market in markets),
        "volume24hr": sum(market["volume24hr"] for market in markets),
        "liquidity": sum(market["liquidityNum"] for market in markets),
        "markets": markets,
    }
    if neg_risk:
        row["negRiskMarketID"] = event.neg_risk_market_id
    if event.starts_ms is not None:
        row["startTime"] = iso(event.starts_ms)
    if event.series:
        slug, recurrence = event.series
        row["series"] = [
            {"ticker": slug, "slug": slug, "seriesType": "single", "recurrence": recurrence, "active": True}
        ]
        row["seriesSlug"] = slug
    return row


def market_row(market: MarketRecord, look: Callable[[str], Shown]) -> dict[str, Any]:
    """The market in Gamma's shape; `look` is asked only while it is open."""
    if market.winner is None:
        return {**market.fixed, **_open_fields(look(market.listing.condition_id))}
    is_v2 = market.listing.version == "v2"
    return {
        **market.fixed,
        "closed": True,
        "acceptingOrders": False,
        "outcomePrices": '["1", "0"]' if market.winner == 0 else '["0", "1"]',
        "orderPriceMinTickSize": float(from_micros(market.listing.tick_micros)),
        "liquidity": "0",
        "liquidityNum": 0,
        "resolutionStatus" if is_v2 else "umaResolutionStatus": "resolved",
        # Gamma writes this one time in another form than all others.
        "closedTime": _moment(market.closed_ms or 0).strftime("%Y-%m-%d %H:%M:%S+00"),
    }


def _fixed_fields(market: MarketRecord) -> dict[str, Any]:
    listing, event, category = market.listing, market.event, market.event.category
    is_v2 = listing.version == "v2"
    volume = round(VOLUME_A_WEIGHT * listing.weight, 2)
    fields: dict[str, Any] = {
        "id": market.market_id,
        "question": listing.question,
        # Gamma shows ids of protocol v2 without the zeros that the socket pads them with.
        "conditionId": listing.condition_id[:-2] if is_v2 else listing.condition_id,
        "slug": listing.slug,
        "resolutionSource": event.resolution_source,
        "startDate": iso(listing.opens_ms),
        "endDate": iso(FAR_AWAY_MS if listing.ends_ms is None else listing.ends_ms),
        "createdAt": iso(listing.opens_ms),
        "acceptingOrdersTimestamp": iso(listing.opens_ms),
        "description": market.description,
        "outcomes": orjson.dumps(listing.outcomes).decode(),
        "outcomePrices": '["0.5", "0.5"]',
        "groupItemTitle": market.label,
        "groupItemThreshold": str(market.place),
        "questionID": market.question_id,
        "active": True,
        "closed": False,
        "archived": False,
        "new": False,
        "featured": False,
        "restricted": True,
        "enableOrderBook": True,
        "acceptingOrders": True,
        "orderMinSize": listing.min_order_size_micros // MICROS,
        "volume": f"{volume:.2f}",
        "volumeNum": volume,
        "volume24hr": volume,
        "liquidity": f"{volume / 4:.4f}",
        "liquidityNum": volume / 4,
        "negRisk": listing.neg_risk,
        "negRiskOther": market.other,
        "version": listing.version,
        "makerBaseFee": 1000 if category.fee_type else 0,
        "takerBaseFee": 1000 if category.fee_type else 0,
        "feesEnabled": category.fee_type is not None,
        "feeType": category.fee_type,
        "cyom": False,
        "automaticallyActive": True,
        "rfqEnabled": False,
    }
    if category.fee_type:
        fields["feeSchedule"] = {
            "rate": float(listing.fee_rate),
            "exponent": int(listing.fee_exponent),
            "takerOnly": True,
            "rebateRate": category.rebate_rate,
        }
    if event.neg_risk_market_id:
        fields["negRiskMarketID"] = event.neg_risk_market_id
    if event.starts_ms is not None:
        fields["eventStartTime"] = iso(event.starts_ms)
    if is_v2:
        fields["positionIds"] = list(listing.tokens)
    else:
        fields["clobTokenIds"] = orjson.dumps(listing.tokens).decode()
        fields["umaResolutionStatuses"] = "[]"
    return fields


def _open_fields(shown: Shown) -> dict[str, Any]:
    bid = 0 if shown.best_bid_micros is None else shown.best_bid_micros
    ask = MICROS if shown.best_ask_micros is None else shown.best_ask_micros
    middle = (bid + ask) // 2
    return {
        "outcomePrices": f'["{from_micros(middle)}", "{from_micros(MICROS - middle)}"]',
        "orderPriceMinTickSize": float(from_micros(shown.tick_micros)),
        "bestBid": bid / MICROS,
        "bestAsk": ask / MICROS,
        "spread": (ask - bid) / MICROS,
        "lastTradePrice": (shown.last_trade_micros or 0) / MICROS,
    }


def iso(ms: int) -> str:
    """Unix milliseconds as the venue writes most of its times."""
    moment = _moment(ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{ms % 1000:03d}Z" if ms % 1000 else "Z")


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, UTC)
