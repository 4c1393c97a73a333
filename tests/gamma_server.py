"""A small stand-in for the venue's Gamma API, as far as discovery asks it.

Keyset paging, closed rows only on request, 414 for long addresses, and faults on demand.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from tests.gamma_rows import Row

Fault = Callable[[web.Request], web.StreamResponse]
MAX_ADDRESS = 8_000


class Gamma:
    """Answers `/events/keyset`, `/events` and `/markets`.

    Attributes:
        events: what there is, each with its markets.
        page: events on one page, where the request asks for no fewer.
        loose: market rows without an event.
        faults: answers given first, one a request.
        requests: (path, parameters) of what was asked.
    """

    def __init__(self, *events: Row, page: int = 2) -> None:
        self.events = list(events)
        self.page = page
        self.loose: list[Row] = []
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, list[tuple[str, str]]]] = []

    def asked(self, path: str) -> list[list[tuple[str, str]]]:
        return [params for asked, params in self.requests if asked == path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.path, list(request.query.items())))
        if self.faults:
            return self.faults.pop(0)(request)
        if len(str(request.rel_url)) > MAX_ADDRESS:
            return web.Response(status=414)
        answers: dict[str, Callable[[web.Request], object]] = {
            "/events/keyset": self._keyset,
            "/events": self._events,
            "/markets": self._markets,
        }
        return web.json_response(answers[request.path](request))

    def _keyset(self, request: web.Request) -> Row:
        assert "offset" not in request.query
        events = [event for event in self._open(request) if self._tagged(event, request.query.get("tag_id"))]
        if request.query.get("order") == "volume24hr":
            events.sort(key=lambda event: -sum(row["volume24hr"] for row in event["markets"]))
        start = int(request.query.get("after_cursor", "cursor-0").removeprefix("cursor-"))
        end = start + min(int(request.query["limit"]), self.page)
        answer: Row = {"events": events[start:end]}
        if end < len(events):
            answer["next_cursor"] = f"cursor-{end}"
        return answer

    def _events(self, request: web.Request) -> list[Row]:
        return [event for event in self._open(request) if event["slug"] in request.query.getall("slug")]

    def _markets(self, request: web.Request) -> list[Row]:
        rows = [
            {**row, "events": [{key: value for key, value in event.items() if key != "markets"}]}
            for event in self.events
            for row in event["markets"]
        ]
        closed = request.query.get("closed") == "true"
        ids = request.query.getall("condition_ids")
        return [row for row in [*rows, *self.loose] if row["conditionId"] in ids and row["closed"] is closed]

    def _open(self, request: web.Request) -> list[Row]:
        return [event for event in self.events if event["closed"] is (request.query.get("closed") == "true")]

    @staticmethod
    def _tagged(event: Row, tag_id: str | None) -> bool:
        return tag_id is None or any(tag["id"] == tag_id for tag in event["tags"])
