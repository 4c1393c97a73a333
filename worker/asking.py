"""Questions to Redis over the writer's own connection."""

from __future__ import annotations

from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ResponseError

from marketdata.entries import EntryId


async def ask(connection: AbstractConnection, commands: list[bytes]) -> list[Any]:
    """Replies of packed commands in order; error replies come as exceptions in the list."""
    replies: list[Any] = []
    for start in range(0, len(commands), 1_000):
        chunk = commands[start : start + 1_000]
        await connection.send_packed_command(chunk, check_health=False)
        for _ in chunk:
            try:
                replies.append(await connection.read_response(disconnect_on_error=False))
            except ResponseError as error:
                replies.append(error)
    return replies


def last_generated(info: Any) -> EntryId:
    """The newest id a stream ever had, from an XINFO STREAM reply of either protocol version."""
    pairs = info if isinstance(info, dict) else dict(zip(info[::2], info[1::2], strict=True))
    return EntryId.parse(pairs[b"last-generated-id"])


def info_value(info: Any, name: bytes) -> str:
    """One value of an INFO reply; empty if it is not there.

    Raises:
        ResponseError: the reply was an error.
    """
    if isinstance(info, Exception):
        raise info
    for line in info.split(b"\r\n"):
        if line.startswith(name):
            return str(line[len(name) :].decode())
    return ""
