"""What a worker owns and what it waits for: leases kept by one loop, streams taken over by another.

Two loops, because taking over thousands of streams may last longer than a lease lives.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.exceptions import RedisError

from marketdata.errors import CatalogError
from marketdata.logs import get_logger
from marketdata.tasks import Children
from worker.market_keeper import MarketKeeper
from worker.name import WorkerName
from worker.ownership import Ownership
from worker.status import Status
from worker.told import Seldom, in_one_line

LOOK_EVERY_S: Final = 1.0


class Standing:
    """Renews and takes leases, and has the markets of what was taken followed."""

    def __init__(self, name: WorkerName, ownership: Ownership, keeper: MarketKeeper, status: Status) -> None:
        self._name = name
        self._ownership = ownership
        self._keeper = keeper
        self._status = status
        self._unmarked: set[int] = set()
        self._old_limit_ms = 0
        self._taken = asyncio.Event()
        self._log = get_logger("worker")

    async def keep_leases(self) -> None:
        """Renews what is ours and takes what is free, until cancelled.

        Raises:
            WorkerTakenError: another process has taken our name, and with it our leases.
        """
        said = Seldom()
        while True:
            try:
                await self._ownership.renew()
                if len(self._ownership.owned) < self._ownership.partitions:
                    # By our name alone the leases of whoever took it would be free for us, and ours for them.
                    await self._name.check()
                    taken = await self._ownership.take_free()
                    self._say()
                    if taken.partitions:
                        self._log.info("owning partitions", count=len(self._ownership.owned))
                        self._unmarked |= taken.partitions
                        self._old_limit_ms = max(self._old_limit_ms, taken.old_limit_ms)
                        self._taken.set()
            except (RedisError, OSError) as error:
                if said.says():
                    self._log.warning(f"leases not renewed, it is tried every second: {in_one_line(error)}")
            else:
                said.end()
            await asyncio.sleep(min(LOOK_EVERY_S, self._ownership.renew_every_s))

    async def take_over(self) -> None:
        """Marks the streams of partitions that were taken; the first ones start the discovery of markets."""
        await self._taken.wait()
        async with Children() as children:
            keeping: asyncio.Task[None] | None = None
            said = Seldom()
            while True:
                await self._taken.wait()
                self._taken.clear()
                taken, self._unmarked = self._unmarked, set()
                partitions = taken & self._ownership.owned
                try:
                    await self._keeper.take_over(partitions, self._old_limit_ms)
                except (RedisError, OSError, CatalogError) as error:
                    if said.says():
                        self._log.warning(
                            f"streams not taken over, it is tried every second: {in_one_line(error)}"
                        )
                    self._unmarked |= partitions
                    self._taken.set()
                    await asyncio.sleep(LOOK_EVERY_S)
                    continue
                said.end()
                self._ownership.marked |= partitions & self._ownership.owned
                if keeping is None:
                    keeping = children.start(self._keeper.run(), name="MarketKeeper.run")

    def _say(self) -> None:
        owned, total = len(self._ownership.owned), self._ownership.partitions
        owners = sorted({owner for owner in self._ownership.owners.values() if owner})
        waits_for = f"{total - owned} of {total} partitions are held by {', '.join(owners)}" if owners else ""
        if waits_for != self._status.waits_for and not owned:
            self._log.info(f"standing by: {waits_for}" if waits_for else "standing by")
        self._status.waits_for = waits_for
        self._status.state = "running" if owned else "standby"
