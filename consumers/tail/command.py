"""`bookstream tail`, from its settings to its exit code."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final

from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from consumers.streams import check_version
from consumers.tail.clocks import Clocks
from consumers.tail.member import run_as_member
from consumers.tail.output import Output
from consumers.tail.reader import TailReader
from consumers.tail.settings import TailSettings
from marketdata.clock import now_ms
from marketdata.errors import RedisRefusedError
from marketdata.keys import Keys
from marketdata.partitions import MAX_PARTITIONS
from marketdata.redis_target import mask
from marketdata.redis_url import DEFAULT_URL, GIVE_UP_S, RedisSession, redis_session, wait_for_redis
from marketdata.times import parse_when

LOOK_EVERY_S: Final = 1.0
"""New markets are looked for, and every stream is read, this often; a wake-up reads its partition at once."""

_PAUSE_AFTER_LOSS_S: Final = 0.2
_WAKES_A_BUNDLE: Final = 1000


async def run(settings: TailSettings) -> int:
    """Prints entries until the end, or until it is cancelled; returns 0.

    Raises:
        SettingsError: a market or a time that cannot be used.
        ContractError: this Redis holds streams of another contract.
        RedisAwayError: without --follow: Redis stayed away.
        RedisRefusedError: Redis refuses a command.
        BrokenPipeError: nobody reads the output any more.
    """
    if settings.group is not None:
        await run_as_member(settings, settings.group)
        return 0
    first = parse_when(settings.from_, now_ms()) if settings.from_ else None
    output = Output(as_json=settings.json_, outcome=settings.outcome, count=settings.count)
    give_up_s = None if settings.follow else GIVE_UP_S
    async with redis_session(
        settings.redis_url, client_name="bookstream-tail", log=_say, give_up_s=give_up_s
    ) as session:
        keys = Keys(settings.key_prefix)
        reader = TailReader(session.client, keys, settings.market, first)
        clocks = Clocks(session.client, keys, _say)
        told = shown = False
        while True:
            try:
                await check_version(session.client, keys)
                await reader.find_streams()
                if not (reader.partitions or told):
                    told = True
                    _say(_nothing_in(settings))
                if settings.standing and not shown:
                    shown = True
                    for found in reader.standing:
                        output.write(found, reader.name(found.key), standing=True)
                    output.flush()
                if settings.follow:
                    await _follow(session, keys, reader, output, clocks)
                else:
                    await _print(reader, output, None)
                return 0
            except (RedisConnectionError, RedisTimeoutError):
                await asyncio.sleep(_PAUSE_AFTER_LOSS_S)
                await wait_for_redis(session.client, session.target, log=_say, give_up_s=give_up_s)
                clocks.was_deaf(time.monotonic())
            except RedisError as error:
                raise RedisRefusedError(f"Redis refuses to be read ({error}); nothing was changed") from None


async def _follow(
    session: RedisSession, keys: Keys, reader: TailReader, output: Output, clocks: Clocks
) -> None:
    async with session.client.pubsub() as pubsub:
        channels = {keys.wake(partition).encode(): partition for partition in range(MAX_PARTITIONS)}
        await pubsub.subscribe(*channels)
        await _print(reader, output, None)
        async for woken in _wakes(pubsub):
            if woken is None:
                await reader.find_streams()
                await clocks.look(reader.partitions, time.monotonic())
            await _print(reader, output, None if woken is None else {channels[one] for one in woken})
            if output.is_done:
                return


async def _print(reader: TailReader, output: Output, partitions: Iterable[int] | None) -> None:
    more = True
    while more and not output.is_done:
        batch = await reader.read(partitions)
        for found in batch.entries:
            output.write(found, reader.name(found.key))
        output.flush()
        more = batch.more


async def _wakes(pubsub: PubSub) -> AsyncIterator[set[bytes] | None]:
    """Channels that spoke, in bundles; None once a second: look at everything."""
    clock = asyncio.get_running_loop().time
    look_at_s = clock() + LOOK_EVERY_S
    while True:
        woken: set[bytes] = set()
        wait_s = max(look_at_s - clock(), 0.0)
        for _ in range(_WAKES_A_BUNDLE):
            message = await pubsub.get_message(ignore_subscribe_messages=False, timeout=wait_s)
            if message is None:
                break
            wait_s = 0.0
            if message["type"] == "message":
                woken.add(message["channel"])
        if woken:
            yield woken
        if clock() >= look_at_s:
            yield None
            look_at_s = clock() + LOOK_EVERY_S


def _nothing_in(settings: TailSettings) -> str:
    # Beside a demo this is the wrong Redis, and silence would not tell.
    where = mask(settings.redis_url)
    hint = ""
    if settings.redis_url == DEFAULT_URL:
        hint = " (a simulated venue's are in --redis-url embedded://demo)"
    return f"no stream in {where} yet{hint}" + ("; waiting for the first" if settings.follow else "")


def _say(line: str) -> None:
    # Behind the entries, also where both go to one place.
    sys.stdout.flush()
    print(f"bookstream tail: {line}", file=sys.stderr, flush=True)
