"""One batch over one connection: the bytes of a transaction out, its replies in."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from worker.batches import Batch

BATCH_TIMEOUT_S: Final = 10.0


class WritesRefusedError(RedisError):
    """Redis refuses to write: out of memory, read-only, or not allowed. Nothing of the batch was written."""


async def send(connection: AbstractConnection, batch: Batch) -> list[Any]:
    """What Redis answers to each command of the batch; refusals of single ones are among it as exceptions.

    Raises:
        WritesRefusedError: it refuses the batch as a whole.
        RedisError, OSError, TimeoutError: the connection is lost, and maybe a reply with it.
    """
    refusal: ResponseError | None = None
    async with asyncio.timeout(BATCH_TIMEOUT_S):
        await connection.send_packed_command(batch.commands(), check_health=False)
        for _ in range(batch.replies):
            try:
                await connection.read_response(disconnect_on_error=False)
            except ResponseError as error:
                refusal = refusal or error
        try:
            replies = await connection.read_response(disconnect_on_error=False)
        except ResponseError as error:
            raise WritesRefusedError(str(refusal or error)) from None
    assert isinstance(replies, list), "EXEC answers with a list"
    return replies
