"""The door to Redis: from REDIS_URL to a client that answers.

async with redis_session(settings.redis_url, client_name="bookstream-worker", log=print) as session:
    await session.client.ping()
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import redis.asyncio

from marketdata.embedded import EmbeddedServer
from marketdata.errors import EmbeddedServerError
from marketdata.redis_client import GIVE_UP_S, open_redis, open_redis_sync, wait_for_redis
from marketdata.redis_target import RedisTarget

__all__ = [
    "DEFAULT_URL",
    "GIVE_UP_S",
    "RedisSession",
    "RedisTarget",
    "open_redis",
    "open_redis_sync",
    "redis_session",
    "wait_for_redis",
    "where",
    "where_note",
]

DEFAULT_URL: Final = "embedded://default"


@dataclass
class RedisSession:
    """A place where Redis answers, and clients to it that live as long as the session.

    Attributes:
        target: where; for an embedded server the `unix` target of its socket.
        client: a client for ordinary commands.
        server: the hold on an embedded server; None for others.
    """

    target: RedisTarget
    client: redis.asyncio.Redis
    server: EmbeddedServer | None
    _client_name: str
    _clients: AsyncExitStack = field(repr=False)

    def new_client(
        self,
        client_name: str | None = None,
        *,
        socket_timeout_s: float = 5.0,
        connect_timeout_s: float = 5.0,
        max_connections: int = 100,
    ) -> redis.asyncio.Redis:
        """Another client to the same place with a pool of its own; the session closes it."""
        client = open_redis(
            self.target,
            client_name=client_name or self._client_name,
            socket_timeout_s=socket_timeout_s,
            connect_timeout_s=connect_timeout_s,
            max_connections=max_connections,
        )
        self._clients.push_async_callback(client.aclose)
        return client


@asynccontextmanager
async def redis_session(
    url: str,
    *,
    client_name: str,
    log: Callable[[str], None],
    give_up_s: float | None = None,
    ensure_every_s: float = 2.0,
) -> AsyncIterator[RedisSession]:
    """The one way to Redis for commands: checks `url`, starts an embedded server, waits for an answer.

    While the session is open, an embedded server that died together with its guard is started again within
    `ensure_every_s` and a second. `log` gets one line for each thing that the user should know. Commands that end
    by themselves give `give_up_s`: so long Redis is waited for; None: for ever.

    Raises:
        RedisAwayError: it did not answer for `give_up_s`.
        SettingsError: `url` is none of the allowed forms.
        EmbeddedServerError: the embedded server does not start.
        RedisRefusedError: Redis refuses this client.
    """
    target = RedisTarget.parse(url)
    async with AsyncExitStack() as stack:
        server = None
        if target.scheme == "embedded":
            server = await EmbeddedServer.acquire_async(target.name)
            stack.callback(server.release)
            target = RedisTarget.parse(server.url)
            await stack.enter_async_context(_guarded(server, log, ensure_every_s))
        client = open_redis(target, client_name=client_name)
        stack.push_async_callback(client.aclose)
        await wait_for_redis(client, target, log=log, give_up_s=give_up_s)
        yield RedisSession(target, client, server, client_name, stack)


def where(url: str) -> str:
    """What `bookstream redis-url` prints: a URL for other programs, with its password where it has one.

    For `embedded://NAME` it is the `unix://` URL of the server's socket, whether or not it is up.

    Raises:
        SettingsError: `url` is none of the allowed forms.
        EmbeddedServerError: there is no server program.
    """
    target = RedisTarget.parse(url)
    return EmbeddedServer.named(target.name).url if target.scheme == "embedded" else target.url


def where_note(url: str) -> str:
    """One line for people beside `where`: whether an embedded server is up; empty for other URLs.

    Raises:
        SettingsError: `url` is none of the allowed forms.
        EmbeddedServerError: there is no server program.
    """
    target = RedisTarget.parse(url)
    if target.scheme != "embedded":
        return ""
    server = EmbeddedServer.named(target.name)
    if server.is_up():
        return f"embedded://{target.name} is up, its data is in {server.folder.path}"
    return f"embedded://{target.name} is not up: a server runs only while a bookstream command uses it"


@asynccontextmanager
async def _guarded(
    server: EmbeddedServer, log: Callable[[str], None], ensure_every_s: float
) -> AsyncIterator[None]:
    async def keep() -> None:
        while True:
            await asyncio.sleep(ensure_every_s)
            try:
                server.ensure_guard()
            except EmbeddedServerError as error:
                log(str(error))

    task = asyncio.create_task(keep(), name="embedded server's guard")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()
