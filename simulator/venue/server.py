"""The venue's one port: market channel, REST and control over a feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import orjson
from aiohttp import web

from marketdata.errors import SettingsError
from simulator.feed import Feed
from simulator.venue.conduct import ORDINARY, Conduct, Handler, can_be_sent
from simulator.venue.hub import OUTBOX_BYTES, STUCK_S, Hub
from simulator.venue.rest import Rest, json_answer

SHUTDOWN_S: Final = 1.0


class VenueServer:
    """A feed with the venue's face in front of it.

    Args:
        feed: what the venue knows and plays.
        controls: more paths, of the feed's own.
        conduct: how it behaves towards its clients; control calls are spared.
        outbox_bytes: a client that leaves this much unread is cut.
        stuck_s: a client that takes nothing for this long while a flat-out feed waits is cut.
    """

    def __init__(
        self,
        feed: Feed,
        *,
        controls: Iterable[web.RouteDef] = (),
        conduct: Conduct = ORDINARY,
        outbox_bytes: int = OUTBOX_BYTES,
        stuck_s: float = STUCK_S,
    ) -> None:
        self.hub = Hub(feed, conduct=conduct, outbox_bytes=outbox_bytes, stuck_s=stuck_s)
        self._feed = feed
        self._conduct = conduct
        self._controls = tuple(controls)

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[str]:
        """Listens and gives the base URL; port 0 takes a free one. Closes all clients with 1001 at the end.

        Raises:
            SettingsError: the address cannot be listened on.
        """
        app = web.Application(middlewares=[self._behave])
        app.add_routes([*Rest(self._feed).routes(), *self._controls])
        app.add_routes(
            [
                web.get("/ws/market", self.hub.handle),
                web.get("/control/status", self._status),
                web.get("/control/opens", self._opens),
                web.post("/control/drop", self._drop),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
            bound_host, bound_port = runner.addresses[0][:2]
            shown = f"[{bound_host}]" if ":" in bound_host else bound_host
            yield f"http://{shown}:{bound_port}"
        finally:
            await self.hub.drop(1001)
            await runner.cleanup()

    @web.middleware
    async def _behave(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(("/control/", "/ws/")):
            return await handler(request)
        return await self._conduct.rest(request, handler)

    async def _opens(self, request: web.Request) -> web.Response:
        since = request.query.get("since_ms", "0")
        if not (since.isascii() and since.isdigit() and len(since) <= 18):
            return json_answer({"error": "since_ms must be Unix milliseconds"}, status=400)
        return json_answer(self.hub.opens.told(int(since), request.query.get("client", "")))

    async def _status(self, _request: web.Request) -> web.Response:
        return json_answer(
            {
                **self._feed.status(),
                "connections": self.hub.connections,
                "tokens_watched": len(self.hub.watched()),
                "closed_slow": self.hub.closed_slow,
            }
        )

    async def _drop(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            asked = orjson.loads(body) if body else {}
        except orjson.JSONDecodeError:
            asked = None
        code = asked.get("code", 1006) if isinstance(asked, dict) else None
        if not isinstance(code, int) or not can_be_sent(code):
            return json_answer(
                {"error": 'a JSON object was expected, as {"code": 1006} or {"code": 1001}'}, status=400
            )
        return json_answer({"closed": await self.hub.drop(code), "code": code})
