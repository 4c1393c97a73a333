"""Control calls of the synthetic venue: its truth, its planted edges, pause and step."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import orjson
from aiohttp import web

from simulator.synthetic.feed import SyntheticFeed
from simulator.venue.rest import json_answer

MAX_STEPS: Final = 10_000
MAX_ROWS: Final = 5_000
"""Numbers of the truth's log in one answer; a page is made in one go."""


class Control:
    """Handlers over one feed."""

    def __init__(self, feed: SyntheticFeed) -> None:
        self._feed = feed

    def routes(self) -> list[web.RouteDef]:
        """All paths."""
        return [
            web.get("/control/truth", self._truth),
            web.get("/control/truths", self._truths),
            web.get("/control/edges", self._edges),
            web.post("/control/pause", self._pause),
            web.post("/control/resume", self._resume),
            web.post("/control/step", self._step),
        ]

    async def _truth(self, request: web.Request) -> web.Response:
        """`?token=…`: the book as it is. `&at_ms=…`: hash and top of the last step up to then."""
        token = request.query.get("token", "")
        floor = self._feed.floor
        if "at_ms" in request.query:
            at_ms = _number(request, "at_ms", 0)
            if at_ms is None:
                return _refused("at_ms must be Unix milliseconds", 400)
            row = floor.truth.top_at(token, at_ms)
            return json_answer(row) if row else _refused("nothing is known of this token at that time", 404)
        found = floor.find(token)
        if found is None:
            return _refused("no open market has this token", 404)
        desk, outcome = found
        book = orjson.loads(desk.wire.rest_book(outcome))
        bids, asks = book["bids"], book["asks"]
        best: dict[str, str] = {
            "bid": bids[-1]["price"] if bids else "",
            "bid_size": bids[-1]["size"] if bids else "",
            "ask": asks[-1]["price"] if asks else "",
            "ask_size": asks[-1]["size"] if asks else "",
        }
        return json_answer(
            {
                "token": token,
                "venue_ms": desk.wire.book_ms,
                "hash": book["hash"],
                "top": best,
                "fair_micros": 1_000_000 - desk.trader.fair if outcome else desk.trader.fair,
                "book": book,
            }
        )

    async def _truths(self, request: web.Request) -> web.Response:
        """`?since=…&limit=…`: JSON lines of the log; the header X-Next-Seq is the next call's `since`."""
        truth = self._feed.floor.truth
        since, limit = _number(request, "since", truth.first_seq), _number(request, "limit", MAX_ROWS)
        if since is None or limit is None:
            return _refused("since and limit must be whole numbers", 400)
        if since < truth.first_seq:
            return _refused(f"records before {truth.first_seq} are forgotten", 410)
        limit = max(1, min(limit, MAX_ROWS))
        lines = [orjson.dumps(row) + b"\n" for row in truth.rows(since, limit)]
        return web.Response(
            body=b"".join(lines),
            content_type="application/x-ndjson",
            headers={"X-Next-Seq": str(min(since + limit, truth.next_seq))},
        )

    async def _edges(self, _request: web.Request) -> web.Response:
        return json_answer([asdict(edge) for edge in self._feed.floor.world.edges()])

    async def _pause(self, _request: web.Request) -> web.Response:
        self._feed.pause()
        return json_answer(dict(self._feed.status()))

    async def _resume(self, _request: web.Request) -> web.Response:
        self._feed.resume()
        return json_answer(dict(self._feed.status()))

    async def _step(self, request: web.Request) -> web.Response:
        """`?steps=…` (1): makes steps while paused."""
        steps = _number(request, "steps", 1)
        if steps is None or not 1 <= steps <= MAX_STEPS:
            return _refused(f"steps must be a number from 1 to {MAX_STEPS}", 400)
        if not self._feed.paused:
            return _refused("the venue is not paused; POST /control/pause first", 409)
        answer: dict[str, Any] = {"steps": steps, "frames": await self._feed.step(steps)}
        return json_answer(answer)


def _number(request: web.Request, name: str, default: int) -> int | None:
    text = request.query.get(name)
    if text is None:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _refused(error: str, status: int) -> web.Response:
    return json_answer({"error": error}, status=status)
