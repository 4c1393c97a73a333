"""`bookstream replay`, from its settings to its exit code."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from typing import Final

from redis.exceptions import RedisError

from consumers.merged import Read
from consumers.replay.choice import Plan, plan, range_of
from consumers.replay.group import Group
from consumers.replay.hold import Hold
from consumers.replay.into import OtherStreams
from consumers.replay.pace import Pace
from consumers.replay.patience import Patience
from consumers.replay.progress import progress_bar
from consumers.replay.removal import remove_copy
from consumers.replay.settings import ReplaySettings
from consumers.replay.sinks import JsonLines, Sink
from consumers.replay.sources import GroupSource, RangeSource, Source
from marketdata.clock import now_ms
from marketdata.errors import RedisRefusedError, ReplayError
from marketdata.groups.role import check_any_reader
from marketdata.keys import Keys
from marketdata.redis_url import GIVE_UP_S, RedisSession, redis_session

BATCH: Final = 500
_MARK_WITHIN_S: Final = 2.0
_NOW_S: Final = 0.0005
"""The loop cannot sleep for less."""


async def run(settings: ReplaySettings) -> int:
    """Replays; returns 0 when all of the range was replayed.

    Raises:
        SettingsError: a market, a time or a group that cannot be used.
        ContractError: this Redis holds streams of another contract.
        ReplayError: nothing lies in the range, the target is in use, or entries went away meanwhile.
        RedisAwayError: Redis stayed away.
        RedisRefusedError: Redis refuses a command.
        BrokenPipeError: nobody reads the output any more.
    """
    first, last = range_of(settings, now_ms())
    async with redis_session(
        settings.redis_url, client_name="bookstream-replay", log=_say, give_up_s=GIVE_UP_S
    ) as session:
        try:
            patience = Patience(session, log=_say)
            keys = Keys(settings.key_prefix)
            chosen = await patience.ask(lambda: plan(session.client, keys, settings, first, last))
            return await _replay(session, patience, settings, keys, chosen)
        except RedisError as error:
            raise RedisRefusedError(f"Redis refuses a command ({error}); the replay is unfinished") from None


async def _replay(
    session: RedisSession, patience: Patience, settings: ReplaySettings, keys: Keys, chosen: Plan
) -> int:
    source: Source
    if settings.group is None:
        source = RangeSource(session.client, patience, chosen, settings.read_size)
    else:
        name = settings.group
        await patience.ask(lambda: check_any_reader(session.client, keys, name))
        group = Group(session.client, settings.group)
        hold = Hold(session.client, keys, settings.group, _say)
        source = GroupSource(group, hold, patience, chosen, settings.read_size, _say)
    sink: Sink = JsonLines(chosen.names)
    if settings.into is not None:
        target = Keys(settings.into)
        if settings.replace and (removed := await patience.ask(lambda: remove_copy(session.client, target))):
            _say(f"removed {removed} keys of the copy {settings.into!r}")
        sink = OtherStreams(session.client, patience, keys, target, chosen, settings.group)
    try:
        resumes = await source.check()
        await sink.begin(resumes=resumes)
        return await _played(source, sink, patience, settings, chosen)
    finally:
        await source.close()


async def _played(
    source: Source, sink: Sink, patience: Patience, settings: ReplaySettings, chosen: Plan
) -> int:
    began_s = time.monotonic()
    try:
        await source.begin()
        entries = await _pump(source, sink, settings, chosen)
        await patience.ask(source.end)
        if source.lost:
            raise ReplayError(
                f"entries went away before they were replayed (trimmed, or lost by Redis), {source.lost} times;"
                " all others were replayed"
            )
        await patience.ask(lambda: sink.end("done", ""))
    except BaseException as error:
        why = str(error) or ("interrupted" if isinstance(error, asyncio.CancelledError) else repr(error))
        # The marker says `running` until then, which is no less true.
        with suppress(RedisError, TimeoutError):
            async with asyncio.timeout(_MARK_WITHIN_S):
                await sink.end("broken", " ".join(why.split()))
        raise
    where = f" into {settings.into!r}" if settings.into is not None else ""
    _say(f"{entries} entries of {len(chosen.spans)} streams{where} in {time.monotonic() - began_s:.1f} s")
    return 0


async def _pump(source: Source, sink: Sink, settings: ReplaySettings, chosen: Plan) -> int:
    pace = Pace(settings.speed, time.monotonic)
    entries = 0
    batch: list[Read] = []
    first_ms = min(span.first for span in chosen.spans.values()).ms
    last_ms = max(span.last for span in chosen.spans.values()).ms
    with progress_bar(first_ms, last_ms, lines_on_stdout=settings.into is None) as show:
        async for read in source.reads():
            wait_s = pace.wait_s(read.id.ms)
            if batch and (wait_s > _NOW_S or len(batch) >= BATCH):
                await sink.write(batch)
                await source.written(batch)
                entries += len(batch)
                show(batch[-1].id.ms, entries)
                batch = []
            if wait_s > _NOW_S:
                await asyncio.sleep(pace.wait_s(read.id.ms))
            batch.append(read)
        if batch:
            await sink.write(batch)
            await source.written(batch)
    return entries + len(batch)


def _say(line: str) -> None:
    print(f"bookstream replay: {line}", file=sys.stderr, flush=True)
