"""Control calls for faults; the same for every feed."""

from __future__ import annotations

from aiohttp import web

from marketdata.errors import FaultError
from simulator.faults.faults import Faults
from simulator.faults.reading import read_many
from simulator.venue.rest import json_answer


class FaultControl:
    """Handlers over the faults of one venue."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """All paths."""
        return [
            web.post("/control/faults", self._inject),
            web.get("/control/faults", self._active),
            web.get("/control/faults/log", self._log),
            web.delete("/control/faults", self._remove_all),
            web.delete("/control/faults/{id}", self._remove),
        ]

    async def _inject(self, request: web.Request) -> web.Response:
        try:
            return json_answer({"ids": self._faults.inject_all(read_many(await request.read()))})
        except FaultError as error:
            return json_answer({"error": str(error)}, status=400)

    async def _active(self, _request: web.Request) -> web.Response:
        faults = self._faults
        return json_answer(
            {
                "fault_seed": faults.seed,
                "injected": faults.injected,
                "skipped": faults.skipped,
                "active": [case.row() for case in faults.active()],
            }
        )

    async def _log(self, request: web.Request) -> web.Response:
        """`?since=…`: from this id on."""
        since = request.query.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) <= 18):
            return json_answer({"error": "since must be the id of a fault"}, status=400)
        return json_answer({"log": [case.row() for case in self._faults.log(int(since))]})

    async def _remove_all(self, _request: web.Request) -> web.Response:
        return json_answer({"removed": self._faults.remove_all()})

    async def _remove(self, request: web.Request) -> web.Response:
        text = request.match_info["id"]
        known = text.isascii() and text.isdigit() and len(text) <= 18
        if not known or not self._faults.remove(int(text)):
            return json_answer({"error": "no fault of this id waits or is active"}, status=404)
        return json_answer({"removed": 1})
