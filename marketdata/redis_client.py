"""Clients as every part of bookstream opens them, and waiting until Redis answers."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import redis
import redis.asyncio
import redis.asyncio.retry
import redis.retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from marketdata.backoff import Backoff
from marketdata.errors import RedisAwayError, RedisRefusedError
from marketdata.redis_target import RedisTarget
from marketdata.tasks import end_tasks

PROTOCOL: Final = 2
"""RESP2: replies have one shape on every server from Redis 6 to Valkey 9, published messages arrive only on
connections that subscribed, and the client asks for no maintenance notifications."""

FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0
LOG_EVERY_S: Final = 5.0
GIVE_UP_S: Final = 30.0
"""How long a command that ends by itself waits for Redis; one that runs until it is told to stop waits for ever."""

LOADING_IS_NEWS_AFTER_S: Final = 1.0
"""Every start of a server that has data begins with loading it; only a long one is worth a line."""

_LOADING: Final = "is loading its data"


def open_redis(
    target: RedisTarget,
    *,
    client_name: str,
    socket_timeout_s: float = 5.0,
    connect_timeout_s: float = 5.0,
    max_connections: int = 100,
) -> redis.asyncio.Redis:
    """A client for a redis, rediss or unix target; it connects at its first command.

    Replies are bytes. Nothing is ever sent twice: redis-py would by default repeat a command whose reply was
    lost up to ten times, and so write XADD entries twice. A command that blocks on the server needs a
    `socket_timeout_s` above its own time.

    The caller closes it with `aclose()`.
    """
    retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
    settings = _settings(target, client_name, socket_timeout_s, connect_timeout_s, max_connections)
    client: redis.asyncio.Redis = redis.asyncio.Redis.from_url(target.url, retry=retry, **settings)
    return client


def open_redis_sync(
    target: RedisTarget,
    *,
    client_name: str,
    socket_timeout_s: float = 5.0,
    connect_timeout_s: float = 5.0,
    max_connections: int = 100,
) -> redis.Redis:
    """`open_redis` for code without an event loop; the caller closes it with `close()`."""
    retry = redis.retry.Retry(NoBackoff(), 0)
    settings = _settings(target, client_name, socket_timeout_s, connect_timeout_s, max_connections)
    client: redis.Redis = redis.Redis.from_url(target.url, retry=retry, **settings)
    return client


async def wait_for_redis(
    client: redis.asyncio.Redis,
    target: RedisTarget,
    *,
    log: Callable[[str], None],
    give_up_s: float | None = None,
    stop: asyncio.Event | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    rng: random.Random | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Pings until Redis answers, also while it is loading its data; delays of 0.1 s doubling to 5 s, half of it random.

    `log` gets a line at the first failure (of loading: once it takes a second), at most one every 5 s after it,
    and one when Redis answers again.

    Args:
        give_up_s: for so long; None: for ever.

    Returns:
        True when it answers, False when `stop` was set before.

    Raises:
        RedisAwayError: it did not answer for `give_up_s`.
        RedisRefusedError: it answers, but refuses this client; waiting would not help.
    """
    waiting = asyncio.ensure_future(
        _ping_until_answered(client, target, log, give_up_s, sleep, rng or random.Random(), clock)
    )
    stopping = asyncio.ensure_future(stop.wait()) if stop is not None else None
    tasks: set[asyncio.Future[Any]] = {waiting} if stopping is None else {waiting, stopping}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            return False
        waiting.result()
        return True
    finally:
        await end_tasks(tasks)


async def _ping_until_answered(
    client: redis.asyncio.Redis,
    target: RedisTarget,
    log: Callable[[str], None],
    give_up_s: float | None,
    sleep: Callable[[float], Awaitable[object]],
    rng: random.Random,
    clock: Callable[[], float],
) -> None:
    began_s = clock()
    how_long = "until it answers" if give_up_s is None else f"for {give_up_s:g} s"
    logged_s: float | None = None
    backoff = Backoff(FIRST_DELAY_S, LONGEST_DELAY_S, rng, least_s=0)
    while True:
        try:
            await client.ping()
        except redis.RedisError as error:
            why = _why_it_waits(error, target)
            is_ordinary = why == _LOADING and clock() - began_s < LOADING_IS_NEWS_AFTER_S
            if not is_ordinary and (logged_s is None or clock() - logged_s >= LOG_EVERY_S):
                logged_s = clock()
                log(f"Redis at {target.masked} {why}; it is tried again {how_long}")
            if give_up_s is not None and clock() - began_s >= give_up_s:
                raise RedisAwayError(
                    f"Redis at {target.masked} {why}, for {give_up_s:g} s; nothing was changed: look at REDIS_URL,"
                    " and whether the server runs"
                ) from None
            left_s = math.inf if give_up_s is None else began_s + give_up_s - clock()
            await sleep(min(backoff.next_delay_s(), left_s))
        else:
            if logged_s is not None:
                log(f"Redis at {target.masked} answers, after {clock() - began_s:.1f} s")
            return


def _why_it_waits(error: redis.RedisError, target: RedisTarget) -> str:
    """Words for an error that time may mend; raises for one that it will not."""
    # The handshake on a unix socket wraps the server's refusal in a plain ConnectionError.
    cause = error.__cause__
    if type(error) is redis.ConnectionError and isinstance(cause, redis.RedisError):
        error = cause
    if isinstance(error, redis.exceptions.BusyLoadingError):
        return _LOADING
    said = " ".join(str(error).split())[:200] or type(error).__name__
    refused = isinstance(error, (redis.AuthenticationError, redis.exceptions.AuthorizationError))
    if refused or not isinstance(error, (redis.ConnectionError, redis.TimeoutError)):
        raise RedisRefusedError(
            f"Redis at {target.masked} refuses this client ({said}); nothing was written;"
            " check user, password and database in REDIS_URL"
        ) from None
    return f"does not answer ({said})"


def _settings(
    target: RedisTarget,
    client_name: str,
    socket_timeout_s: float,
    connect_timeout_s: float,
    max_connections: int,
) -> dict[str, Any]:
    if target.scheme == "embedded":
        raise ValueError("an embedded server has no address of its own; use redis_session")
    return {
        "client_name": client_name,
        "socket_timeout": socket_timeout_s,
        "socket_connect_timeout": connect_timeout_s,
        "max_connections": max_connections,
        "protocol": PROTOCOL,
        "decode_responses": False,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }
