"""The REST calls of Gamma and the CLOB that a worker uses, on one port.

Where both services have a path (`/markets`), the Gamma form is served; `/markets/{condition_id}` alone is the
CLOB's, `/markets/{id}` with a number is Gamma's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from marketdata.decimals import to_micros
from marketdata.errors import VenueFormatError
from marketdata.venue import padded_condition_id
from simulator.feed import Feed
from simulator.venue import gamma
from simulator.venue.gamma import Row

MAX_BOOKS_A_CALL: Final = 500

NO_BOOK: Final = "No orderbook exists for the requested token id"


class Rest:
    """Handlers over one feed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def routes(self) -> list[web.RouteDef]:
        """All paths. The literal ones stand before those with a placeholder."""
        return [
            web.get("/ok", self._ok),
            web.get("/events", self._query(gamma.events_page)),
            web.get("/events/keyset", self._query(gamma.events_keyset)),
            web.get("/events/slug/{slug}", self._event("slug")),
            web.get("/events/{id}", self._event("id")),
            web.get("/markets", self._query(gamma.markets_page)),
            web.get("/markets/keyset", self._query(gamma.markets_keyset)),
            web.get("/markets/slug/{slug}", self._market_by_slug),
            web.get("/markets/{id}", self._market),
            web.get("/book", self._book),
            web.post("/books", self._books),
            web.get("/fee-rate", self._fee_rate),
            web.get("/tick-size", self._tick_size),
        ]

    async def _ok(self, _request: web.Request) -> web.Response:
        return json_answer("OK")

    def _query(self, page: Callable[[Any, gamma.Query], object]) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.Response:
            try:
                return json_answer(page(self._feed.events(), list(request.query.items())))
            except VenueFormatError as error:
                return json_answer({"type": "validation error", "error": str(error)}, status=422)

        return handler

    def _event(self, field: str) -> Callable[[web.Request], Any]:
        async def handler(request: web.Request) -> web.Response:
            wanted = request.match_info[field]
            return _one([event for event in self._feed.events() if event[field] == wanted])

        return handler

    async def _market_by_slug(self, request: web.Request) -> web.Response:
        wanted = request.match_info["slug"]
        return _one([row for row in gamma.all_markets(self._feed.events()) if row["slug"] == wanted])

    async def _market(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        if not wanted.startswith("0x"):
            return _one([row for row in gamma.all_markets(self._feed.events()) if row["id"] == wanted])
        row = self._row_of(padded_condition_id(wanted))
        return (
            json_answer({"error": "market not found"}, status=404)
            if row is None
            else json_answer(clob_market(row))
        )

    async def _book(self, request: web.Request) -> web.Response:
        token_id = request.query.get("token_id", "")
        if not token_id:
            return json_answer({"error": "Invalid token id"}, status=400)
        book = self._feed.rest_book(token_id)
        return json_answer({"error": NO_BOOK}, status=404) if book is None else _json_bytes(book)

    async def _books(self, request: web.Request) -> web.Response:
        try:
            wanted = [item["token_id"] for item in orjson.loads(await request.read())]
        except (orjson.JSONDecodeError, TypeError, KeyError):
            return json_answer({"error": "Invalid payload"}, status=400)
        if len(wanted) > MAX_BOOKS_A_CALL:
            return json_answer({"error": "Payload exceeds the limit"}, status=400)
        books = [book for token_id in wanted if (book := self._feed.rest_book(str(token_id))) is not None]
        return _json_bytes(b"[" + b",".join(books) + b"]")

    async def _fee_rate(self, request: web.Request) -> web.Response:
        row = self._row_of_token(request)
        if row is None:
            return json_answer({"error": "fee rate not found for market"}, status=404)
        return json_answer({"base_fee": row["takerBaseFee"]})

    async def _tick_size(self, request: web.Request) -> web.Response:
        row = self._row_of_token(request)
        if row is None:
            return json_answer({"error": "market not found"}, status=404)
        return json_answer({"minimum_tick_size": row["orderPriceMinTickSize"]})

    def _row_of_token(self, request: web.Request) -> Row | None:
        market = self._feed.market_of(request.query.get("token_id", ""))
        return None if market is None else self._row_of(market)

    def _row_of(self, condition_id: str) -> Row | None:
        for event in self._feed.events():
            for market in event["markets"]:
                if padded_condition_id(market["conditionId"]) == condition_id:
                    found: Row = market
                    return found
        return None


def clob_market(row: Row) -> dict[str, Any]:
    """The CLOB's form of a Gamma market. Source: answers of `/markets/{condition_id}`, 2024 to 2026."""
    tokens = row["positionIds"] if row["version"] == "v2" else orjson.loads(row["clobTokenIds"])
    outcomes, prices = orjson.loads(row["outcomes"]), orjson.loads(row["outcomePrices"])
    return {
        "enable_order_book": row["enableOrderBook"],
        "active": row["active"],
        "closed": row["closed"],
        "accepting_orders": row["acceptingOrders"],
        "minimum_order_size": row["orderMinSize"],
        "minimum_tick_size": row["orderPriceMinTickSize"],
        "condition_id": padded_condition_id(row["conditionId"]),
        "question": row["question"],
        "market_slug": row["slug"],
        "end_date_iso": row["endDate"],
        "neg_risk": row["negRisk"],
        "maker_base_fee": row["makerBaseFee"],
        "taker_base_fee": row["takerBaseFee"],
        "tokens": [
            {
                "token_id": token_id,
                "outcome": outcome,
                "price": float(price),
                "winner": row["closed"] and to_micros(price) == to_micros("1"),
            }
            for token_id, outcome, price in zip(tokens, outcomes, prices, strict=True)
        ],
    }


def json_answer(body: object, *, status: int = 200) -> web.Response:
    """An answer of compact JSON."""
    return _json_bytes(orjson.dumps(body), status=status)


def _one(rows: list[Mapping[str, Any]]) -> web.Response:
    return (
        json_answer(rows[0])
        if rows
        else json_answer({"type": "not found error", "error": "not found"}, status=404)
    )


def _json_bytes(body: bytes, *, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json")
