"""Markets from the venue's Gamma API.

Source: the venue's API reference, "List events (keyset pagination)": `next_cursor` of an answer goes back as
`after_cursor`, its absence is the end, `limit` is capped at 100, `offset` is refused. Closed markets are
answered only to `closed=true`. Addresses above about 8 kB are refused, hence the sizes of the chunks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiohttp

from marketdata import gamma_fields
from marketdata.errors import CatalogError, DiscoveryError
from marketdata.families import sibling_event_slug
from marketdata.venue import padded_condition_id
from worker.discovery.found import Discovered, Gathering, Resolution, Resolutions, resolution_of
from worker.discovery.reader import JsonReader, RetryBudget
from worker.discovery.selection import Filters

PAGE: Final = 100
CHUNK: Final = 50
"""Condition ids of 66 characters, or slugs, in one address."""

MAX_PAGES: Final = 1_000
MAX_SIBLINGS: Final = 500


class GammaDiscovery:
    """Asks Gamma for open events, all of them or those that the filters name.

    Filters by tag, event slug and condition id are pushed to the server and bring whole events, and with a
    price ladder the price ranges beside it, so that families stay whole. Volume and liquidity are left to the
    selection, which sees whole families.

    Args:
        session: the caller's HTTP session.
        base_url: GAMMA_URL.
        partitions: the number of partitions.
        filters: what to ask for.
        enough_markets: without filters, events come busiest first, and reading stops once so many trading
            markets were seen; 0: never.
        reader: for tests; else made of session and base_url.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        partitions: int,
        filters: Filters | None = None,
        enough_markets: int = 0,
        reader: JsonReader | None = None,
    ) -> None:
        self._reader = reader or JsonReader(session, base_url)
        self._partitions = partitions
        self._filters = filters or Filters()
        self._enough = enough_markets

    async def fetch(self) -> Discovered:
        """All open events' markets that the filters may choose.

        Raises:
            DiscoveryError: Gamma cannot be read within the retries of one refresh.
        """
        found, budget, filters = Gathering(self._partitions), RetryBudget(), self._filters
        complete = True
        if filters.names_any:
            for tag_id in sorted(filters.tag_ids):
                await self._sweep(found, budget, tag_id)
            await self._events(found, budget, sorted(filters.event_slugs), "no open event has this slug")
            await self._markets(found, budget, sorted(filters.condition_ids))
        else:
            complete = await self._sweep(found, budget)
        if filters.names_any or not complete:
            await self._siblings(found, budget)
        return found.done(complete)

    async def resolutions(self, condition_ids: Iterable[str]) -> Resolutions:
        """Which of these markets are over, and who won.

        Raises:
            DiscoveryError: Gamma cannot be read within the retries of one call.
        """
        budget, over, refused = RetryBudget(), dict[str, Resolution](), list[tuple[str, str]]()
        asked = {padded_condition_id(one) for one in condition_ids}
        for row in await self._rows(budget, sorted(asked), closed=True):
            try:
                end = resolution_of(row)
            except CatalogError as error:
                refused.append((str(row)[:60], str(error)))
                continue
            if end and end[0] in asked:
                over[end[0]] = end[1]
        return Resolutions(over, refused)

    async def _sweep(self, found: Gathering, budget: RetryBudget, tag_id: str = "") -> bool:
        """Pages through open events; False if it stopped because it had enough."""
        fixed = [
            *(("limit", str(PAGE)), ("closed", "false"), ("order", "volume24hr"), ("ascending", "false")),
            *([("tag_id", tag_id)] if tag_id else []),
        ]
        cursor = ""
        for _ in range(MAX_PAGES):
            page = await self._reader.get(
                "/events/keyset", [*fixed, *([("after_cursor", cursor)] if cursor else [])], budget
            )
            await asyncio.to_thread(found.add_events, _list(page, "events", "/events/keyset"))
            before, cursor = cursor, gamma_fields.text(page, "next_cursor")
            if not cursor:
                return True
            if cursor == before:
                raise DiscoveryError("/events/keyset answered the same cursor twice; the list was not used")
            if not tag_id and 0 < self._enough <= found.trading:
                return False
        raise DiscoveryError(f"/events/keyset has more than {MAX_PAGES} pages; name tags or events to follow")

    async def _events(
        self, found: Gathering, budget: RetryBudget, slugs: Sequence[str], missing: str = ""
    ) -> None:
        """Fetches open events by slug; `missing` is the reason noted for those that do not exist."""
        for at in range(0, len(slugs), CHUNK):
            chunk = slugs[at : at + CHUNK]
            params = [("limit", str(PAGE)), ("closed", "false"), *(("slug", slug) for slug in chunk)]
            events = _list(await self._reader.get("/events", params, budget), "events", "/events")
            await asyncio.to_thread(found.add_events, events)
            there = {gamma_fields.text(event, "slug") for event in events if isinstance(event, dict)}
            for slug in chunk:
                if missing and slug not in there:
                    found.refuse(slug, missing)

    async def _markets(self, found: Gathering, budget: RetryBudget, condition_ids: Sequence[str]) -> None:
        """Fetches markets by condition id, and with each the whole of its event."""
        asked = dict.fromkeys(padded_condition_id(one) for one in condition_ids)
        rows = await self._rows(budget, list(asked), closed=False)
        for row in rows:
            found.add_market(row)
        slugs = {found.markets[one].event_slug for one in asked if one in found.markets}
        await self._events(found, budget, sorted(slugs - {""}))
        for one in asked:
            if one not in found.markets:
                found.refused.setdefault(one, "no open market has this condition id")

    async def _rows(self, budget: RetryBudget, condition_ids: Sequence[str], *, closed: bool) -> list[Any]:
        rows: list[Any] = []
        spelled = [spelling for one in condition_ids for spelling in _spellings(one)]
        for at in range(0, len(spelled), CHUNK):
            params = [
                *(("limit", str(PAGE)), ("closed", "true" if closed else "false")),
                *(("condition_ids", one) for one in spelled[at : at + CHUNK]),
            ]
            rows += _list(await self._reader.get("/markets", params, budget), "markets", "/markets")
        return rows

    async def _siblings(self, found: Gathering, budget: RetryBudget) -> None:
        markets = list(found.markets.values())
        seen = {market.event_slug for market in markets}
        busiest = sorted(markets, key=lambda market: -market.volume_24h)
        siblings = (sibling_event_slug(market.event_slug) for market in busiest if market.tradable)
        missing = list(dict.fromkeys(slug for slug in siblings if slug and slug not in seen))
        await self._events(found, budget, missing[:MAX_SIBLINGS])


def _spellings(condition_id: str) -> tuple[str, ...]:
    """Gamma knows ids of protocol v2 by 62 digits; which version an id has cannot be seen from it."""
    return (condition_id, condition_id[:-2]) if condition_id.endswith("00") else (condition_id,)


def _list(answer: Any, name: str, path: str) -> list[Any]:
    """The rows of an answer, which is a list or an object that holds one.

    Raises:
        DiscoveryError: it is neither.
    """
    rows = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(rows, list):
        raise DiscoveryError(f"{path} answered no list of {name}: {str(answer)[:120]!r}; it was not used")
    return rows
