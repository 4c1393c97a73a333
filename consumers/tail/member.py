"""`bookstream tail --group`: a member of a group that prints."""

from __future__ import annotations

import sys

from consumers.tail.lines import Name
from consumers.tail.merge import Found
from consumers.tail.output import Output
from consumers.tail.settings import TailSettings
from marketdata.groups import Batch, BatchHandler, Group, Message, Partition
from marketdata.redis_client import GIVE_UP_S


async def run_as_member(settings: TailSettings, name: str) -> None:
    """Prints entries until the end, or until it is cancelled; each is acknowledged after it was handed over.

    Raises:
        ContractError, RedisRefusedError: see `Group`.
        RedisAwayError: without --follow: Redis is not there.
        BrokenPipeError: nobody reads the output any more; what was not handed over is not acknowledged.
    """
    output = Output(as_json=settings.json_, outcome=None, count=settings.count)
    # A member waits for Redis for ever; one that ends by itself must not.
    patience_s = None if settings.follow else GIVE_UP_S
    group = Group(
        name,
        redis_url=settings.redis_url,
        key_prefix=settings.key_prefix,
        opens_within_s=patience_s,
        log=_say,
    )
    async with group:

        async def opened(_: Partition) -> BatchHandler:
            return lambda batch: _print(batch, output, group)

        await group.run_partitions(opened, once=not settings.follow)


async def _print(batch: Batch, output: Output, group: Group) -> None:
    for at, item in enumerate(batch.items):
        if output.is_done:
            output.flush()
            await batch.commit(upto=at)
            batch.is_abandoned = True
            group.stop()
            return
        if isinstance(item, Message):
            fields = {key.encode(): text.encode() for key, text in item.entry.to_fields().items()}
            name = Name.of(item.market) if item.market is not None else Name(item.condition_id)
            output.write(Found(item.id, item.stream, fields), name)
        else:
            _say(str(item))
    output.flush()
    await batch.commit()
    if output.is_done:
        group.stop()


def _say(line: str) -> None:
    print(f"bookstream tail: {line}", file=sys.stderr, flush=True)
