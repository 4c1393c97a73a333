"""`bookstream arbitrage`, from its settings to its exit code."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any, Final

from redis.exceptions import RedisError

from consumers.arbitrage.partition import PartitionEngine, written_by
from consumers.arbitrage.report import report
from consumers.arbitrage.settings import PROGRAM, ArbitrageSettings
from consumers.arbitrage.tally import Tally
from consumers.catalog.overrides import Overrides, read_overrides
from consumers.replay.patience import Patience
from marketdata.errors import RedisAwayError, RedisRefusedError, SettingsError
from marketdata.groups import BatchHandler, Group, Partition, Role
from marketdata.groups.serving import serve
from marketdata.partitions import MAX_PARTITIONS
from marketdata.redis_client import GIVE_UP_S

ALLOCATIONS_A_COLLECTION: Final = 200_000
"""Entries at hand are hundreds of thousands of small objects without rings; looking for some every 700 cost a fifth."""


async def run(settings: ArbitrageSettings, stop: asyncio.Event) -> int:
    """Finds opportunities until `stop` is set or, with --once, all that is there was handled; returns 0.

    With --report `stop` means nothing: the report ends by itself, or is cancelled.

    Raises:
        SettingsError: a name or a file of corrections that cannot be used, engines of another group write here,
            or others of this group have other settings.
        ContractError: this Redis holds streams of another contract.
        GroupError: handling failed again and again.
        RedisAwayError: Redis stayed away while something had to be read.
        RedisRefusedError: Redis refuses this client.
    """
    if settings.report:
        return await report(settings)
    gc.set_threshold(ALLOCATIONS_A_COLLECTION)
    overrides = read_overrides(settings.catalog_overrides)
    tally = Tally()
    group = Group(
        settings.group,
        redis_url=settings.redis_url,
        key_prefix=settings.key_prefix,
        member=settings.member or None,
        opens_within_s=GIVE_UP_S if settings.once else None,
        log=_say,
        role=Role(PROGRAM, settings.shaping(overrides.digest)),
    )

    async def body() -> None:
        patience = Patience(group.session, log=_say)

        async def opened(partition: Partition) -> BatchHandler:
            return PartitionEngine(
                client=group.client,
                patience=patience,
                keys=group.keys,
                group=settings.group,
                number=partition.number,
                directory=partition.directory,
                limits=settings.limits,
                overrides=overrides,
                told=tally.add,
                log=_say,
            )

        try:
            await patience.ask(lambda: _refuse_streams_of_another_group(group))
            await patience.ask(lambda: _warn_of_half_a_copy(group))
            await patience.ask(lambda: _warn_of_unused(group, overrides))
            await group.run_partitions(opened, clocks=True, once=settings.once, facts=tally.facts)
        except RedisError as error:
            raise RedisRefusedError(
                f"Redis refuses a command ({error}); nothing of that batch was kept"
            ) from None
        except RedisAwayError as error:
            raise RedisAwayError(
                f"{str(error).partition(';')[0]}; what was committed is kept, started again it goes on from there"
            ) from None

    await serve(group, stop, body)
    _say(f"{tally.entries} entries handled, {tally.opened} opportunities opened")
    return 0


async def _refuse_streams_of_another_group(group: Group) -> None:
    """Before anything is joined: a group that was refused leaves nothing behind."""
    async with group.client.pipeline(transaction=False) as pipe:
        for partition in range(MAX_PARTITIONS):
            pipe.hget(group.keys.arbitrage(partition), "group")
        owners = await pipe.execute()
    for partition, owner in enumerate(owners):
        if owner is not None and owner.decode(errors="replace") != group.name:
            raise SettingsError(written_by(partition, owner.decode(errors="replace")))


async def _warn_of_half_a_copy(group: Group) -> None:
    marker = f"{group.keys.prefix}replay"
    state: Any = await group.client.hget(marker, "state")
    if state is not None and state != b"done":
        _say(f"{marker} says {state.decode(errors='replace')[:20]!r}: these streams are not the whole copy")


async def _warn_of_unused(group: Group, overrides: Overrides) -> None:
    if overrides.digest:
        await group.directory.look()
        for name in overrides.unused(group.directory.markets.values()):
            _say(f"CATALOG_OVERRIDES names {name[:80]!r}, which no market or event of the catalog has so far")


def _say(line: str) -> None:
    print(f"bookstream arbitrage: {line}", file=sys.stderr, flush=True)
