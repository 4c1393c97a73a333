"""Hears which partitions were written to: `wake:{P}`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from marketdata.groups.wire import pack
from marketdata.keys import Keys
from marketdata.partitions import MAX_PARTITIONS

PING_AFTER_S: Final = 5.0
"""A connection on which nothing came for so long is asked whether it still stands."""

_AGAIN_S: Final = (0.1, 2.0)
_BREATHE: Final = 100


async def hear_wakes(
    new_connection: Callable[[], AbstractConnection], keys: Keys, wake: Callable[[int | None], None]
) -> None:
    """Calls `wake` with each partition that speaks, and with None after each reconnect. Ends by cancellation."""
    channels = {keys.wake(partition).encode(): partition for partition in range(MAX_PARTITIONS)}
    delay_s = _AGAIN_S[0]
    while True:
        connection = new_connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_packed_command([pack(("SUBSCRIBE", *channels))], check_health=False)
            for _ in channels:
                await connection.read_response()
            wake(None)
            delay_s = _AGAIN_S[0]
            await _hear(connection, channels, wake)
        except (RedisError, OSError):
            # Every partition is looked at once a second in any case, and whoever does says that Redis is away.
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _AGAIN_S[1])
        finally:
            with suppress(RedisError, OSError):
                await connection.disconnect(nowait=True)


async def _hear(
    connection: AbstractConnection, channels: dict[bytes, int], wake: Callable[[int | None], None]
) -> None:
    asked = False
    heard = 0
    while True:
        said = await connection.read_response(timeout=PING_AFTER_S, disconnect_on_error=False)
        if said is None:
            if asked:
                return
            asked = True
            await connection.send_packed_command([pack(("PING",))], check_health=False)
            continue
        asked = False
        if said[0] == b"message" and (partition := channels.get(said[1])) is not None:
            wake(partition)
        heard += 1
        if heard % _BREATHE == 0:
            await asyncio.sleep(0)
