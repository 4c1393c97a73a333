"""CATALOG: which discovery a worker uses."""

from __future__ import annotations

from typing import Final

import aiohttp

from marketdata.errors import SettingsError
from worker.discovery.file import FileDiscovery
from worker.discovery.found import Discovery
from worker.discovery.gamma import GammaDiscovery
from worker.discovery.selection import Filters
from worker.settings import WorkerSettings

ENOUGH: Final = 4
"""Without filters, reading stops once so many times MAX_MARKETS were seen: families are chosen whole."""


def filters_of(settings: WorkerSettings) -> Filters:
    """The filters that the settings name."""
    return Filters(
        tag_ids=frozenset(settings.filter_tag_ids),
        event_slugs=frozenset(settings.filter_event_slugs),
        condition_ids=frozenset(settings.filter_condition_ids),
        min_volume_24h=settings.filter_min_volume_24h,
        min_liquidity=settings.filter_min_liquidity,
    )


def discovery_of(settings: WorkerSettings, filters: Filters, http: aiohttp.ClientSession) -> Discovery:
    """Gamma, or a file.

    Raises:
        SettingsError: CATALOG names no file.
    """
    if settings.catalog == "gamma":
        return GammaDiscovery(
            http,
            settings.gamma_url,
            partitions=settings.partitions,
            filters=filters,
            enough_markets=ENOUGH * settings.max_markets,
        )
    path = settings.catalog.removeprefix("file:")
    if not path:
        raise SettingsError("CATALOG=file: needs a path behind it")
    return FileDiscovery(path, partitions=settings.partitions)
