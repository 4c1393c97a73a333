"""Rows in Gamma's shapes for tests: recorded ones from tests/data, and small ones made up."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marketdata.market import Market, market_from_gamma

DATA = Path(__file__).parent / "data"
Row = dict[str, Any]


def recorded(folder: str) -> Iterator[tuple[str, Row, Row | None]]:
    """(file name, market row, event or None) of every market row in a folder of tests/data."""
    for path in sorted((DATA / folder).glob("*.json")):
        document = json.loads(path.read_bytes())
        if isinstance(document, dict) and "events" in document and "conditionId" not in document:
            document = document["events"]
        for one in document if isinstance(document, list) else [document]:
            if "markets" in one:
                for row in one["markets"]:
                    yield path.name, row, one
            elif "conditionId" in one:
                yield path.name, one, None


def token(name: str) -> str:
    """A decimal token id of 77 digits that only this name has."""
    digits = hashlib.sha512(name.encode()).hexdigest()
    return "1" + "".join(str(int(digit, 16) % 10) for digit in digits[:76])


def market_row(name: str = "one", **changed: Any) -> Row:
    """An open binary market; `changed` replaces fields, None removes them."""
    row: Row = {
        "id": name,
        "question": f"Will {name} happen?",
        "conditionId": "0x" + hashlib.sha256(name.encode()).hexdigest(),
        "slug": f"will-{name}-happen",
        "endDate": "2026-12-31T00:00:00Z",
        "outcomes": '["Yes", "No"]',
        "outcomePrices": '["0.5", "0.5"]',
        "clobTokenIds": json.dumps([token(name + " yes"), token(name + " no")]),
        "enableOrderBook": True,
        "acceptingOrders": True,
        "active": True,
        "closed": False,
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "volume24hr": 100.0,
        "liquidityNum": 1000.0,
        "negRisk": False,
        "feesEnabled": False,
        "version": "v1",
    }
    row.update(changed)
    return {key: value for key, value in row.items() if value is not None}


def event_row(name: str, *rows: Row, **changed: Any) -> Row:
    """An open event with these markets."""
    event: Row = {
        "id": str(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)),
        "slug": name,
        "title": name.replace("-", " ").capitalize(),
        "description": "",
        "endDate": "2026-12-31T00:00:00Z",
        "active": True,
        "closed": False,
        "negRisk": False,
        "tags": [{"id": "1", "slug": "all"}],
        "markets": list(rows),
    }
    event.update(changed)
    return event


def market(name: str = "one", *, event: str = "", **changed: Any) -> Market:
    """A made-up market, of an event of this name where one is given."""
    row = market_row(name, **changed)
    return market_from_gamma(row, event_row(event, row) if event else None, 64)
