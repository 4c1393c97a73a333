"""Bears a Redis that is away for a while, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from marketdata.errors import RedisAwayError
from marketdata.redis_url import GIVE_UP_S, RedisSession, wait_for_redis

_PAUSE_S: Final = 0.2

T = TypeVar("T")


class Patience:
    """Asks Redis again after it was away.

    Args:
        log: gets a line while Redis is away and when it is back.
        give_up_s: for so long; None: for GIVE_UP_S.
    """

    def __init__(
        self, session: RedisSession, *, log: Callable[[str], None], give_up_s: float | None = None
    ) -> None:
        self._session = session
        self._log = log
        self._give_up_s = GIVE_UP_S if give_up_s is None else give_up_s

    async def ask(self, do: Callable[[], Awaitable[T]]) -> T:
        """What `do` returns. It is called again after an outage, so it must bear to be called twice.

        Raises:
            RedisAwayError: Redis stayed away.
            RedisRefusedError: it is back and refuses this client.
        """
        clock_s = asyncio.get_running_loop().time
        away_since_s: float | None = None
        while True:
            try:
                return await do()
            except (RedisConnectionError, RedisTimeoutError) as error:
                away_since_s = clock_s() if away_since_s is None else away_since_s
                try:
                    async with asyncio.timeout_at(away_since_s + self._give_up_s):
                        await asyncio.sleep(_PAUSE_S)
                        await wait_for_redis(self._session.client, self._session.target, log=self._log)
                except TimeoutError:
                    said = " ".join(str(error).split())[:120]
                    raise RedisAwayError(
                        f"Redis stayed away for {self._give_up_s:g} s ({said}); the replay is unfinished;"
                        " with --group it goes on where it was, else start it again"
                    ) from None
