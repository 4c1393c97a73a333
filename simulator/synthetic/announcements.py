"""What the socket says when a market is listed and when it is over. Pure.

Source of the keys: the venue's documentation and captured messages of 2026.
"""

from __future__ import annotations

from typing import Any

from marketdata.decimals import from_micros
from simulator.synthetic.records import MarketRecord


def new_market_message(market: MarketRecord, at_ms: int) -> dict[str, Any]:
    """The socket's `new_market`; numbers are strings there."""
    listing, event, category = market.listing, market.event, market.event.category
    return {
        "id": market.market_id,
        "question": listing.question,
        "market": listing.condition_id,
        "slug": listing.slug,
        "description": market.description,
        "assets_ids": list(listing.tokens),
        "outcomes": list(listing.outcomes),
        "event_message": {
            "id": event.event_id,
            "ticker": event.slug,
            "slug": event.slug,
            "title": event.title,
            "description": event.description,
        },
        "timestamp": str(at_ms),
        "event_type": "new_market",
        "tags": [category.name, *(slug for _, _, slug in event.tags)],
        "condition_id": listing.condition_id,
        "active": True,
        "clob_token_ids": list(listing.tokens),
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": from_micros(listing.tick_micros),
        "group_item_title": market.label,
        "taker_base_fee": "0" if category.fee_type is None else "1000",
        "fees_enabled": category.fee_type is not None,
        "fee_schedule": {
            "exponent": listing.fee_exponent,
            "rate": listing.fee_rate,
            "rebate_rate": str(category.rebate_rate),
            "taker_only": True,
        },
    }


def market_resolved_message(market: MarketRecord, at_ms: int) -> dict[str, Any]:
    """The socket's `market_resolved`.

    Raises:
        ValueError: the market is still open.
    """
    if market.winner is None:
        raise ValueError(f"{market.listing.condition_id} is still open")
    listing = market.listing
    return {
        "id": market.market_id,
        "market": listing.condition_id,
        "assets_ids": list(listing.tokens),
        "winning_asset_id": listing.tokens[market.winner],
        "winning_outcome": listing.outcomes[market.winner],
        "timestamp": str(at_ms),
        "event_type": "market_resolved",
        "tags": [market.event.category.name, *(slug for _, _, slug in market.event.tags)],
    }
