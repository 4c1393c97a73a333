"""How markets end that nobody on the socket told of: asked of the venue's catalog, written as their last entry.

A market usually stops trading first (its stream then ends with a `shutdown` gap) and is resolved hours later; so
markets that are no longer followed are asked after as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Set
from dataclasses import replace
from typing import Final

from marketdata.catalog import Catalog
from marketdata.market import Market
from worker.discovery.found import Discovery
from worker.following import Following

NOTES: Final = {0: "0", 1: "1", "split": "split"}
ASKED_AT_ONCE: Final = 500
"""Markets that are no longer followed and asked after in one refresh; the next ones come the next time."""


class Endings:
    """Asks how markets ended, writes it to their streams and to the catalog.

    `turn` is held while what is followed changes, never while the venue is asked.
    """

    def __init__(
        self, discovery: Discovery, catalog: Catalog, following: Following, turn: asyncio.Lock
    ) -> None:
        self._discovery = discovery
        self._catalog = catalog
        self._following = following
        self._turn = turn
        self._asked: dict[str, None] = {}
        """Those that wait, the one that was asked after longest ago first."""

    async def poll(
        self, known: Mapping[str, Market], trading: Collection[str], owned: Collection[int]
    ) -> None:
        """Asks after followed markets that trade no more, and after some of those that stopped earlier.

        Args:
            known: the catalog.
            trading: condition ids that were just seen to trade.
            owned: the partitions that are ours; others are their owner's business.

        Raises:
            DiscoveryError: the venue could not be asked.
            CatalogError, RedisError: what is not in the catalog as resolved is asked again at the next refresh.
        """
        gone = [one for one in self._following.condition_ids if one not in trading]
        waiting = {
            one
            for one, market in known.items()
            if market.state != "resolved" and market.partition in owned and one not in trading
        }
        asked = dict.fromkeys([*gone, *self._turn_of(waiting)])
        if not asked:
            return
        ends = await self._discovery.resolutions(asked)
        closed: list[Market] = []
        for condition_id, end in ends.over.items():
            market = known.get(condition_id)
            if market is None:
                continue
            if end.winner is None:
                closed.append(replace(market, state=end.state))
                continue
            # The entry first: it is written once however often it is tried, and the catalog says when it is done.
            async with self._turn:
                await self._following.finish(market, NOTES[end.winner])
            await self._catalog.put([replace(market, state="resolved", winner=end.winner)])
        await self._catalog.put(closed)

    def _turn_of(self, waiting: Set[str]) -> list[str]:
        """The next markets in turn: neither those that never end nor those that keep coming keep others waiting."""
        queue = [one for one in self._asked if one in waiting]
        queue += [one for one in waiting if one not in self._asked]
        turn, left = queue[:ASKED_AT_ONCE], queue[ASKED_AT_ONCE:]
        self._asked = dict.fromkeys([*left, *turn])
        return turn
