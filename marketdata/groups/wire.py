"""One connection to Redis for one partition, and transactions that only the holder of its lease can make.

WATCH makes the fence: after each exchange the connection watches the lease and reads its owner and epoch. Whatever
changes the lease before the next transaction (somebody takes it, it is renewed, Redis forgets it) makes Redis refuse
that transaction as a whole; owner and epoch are then looked at again. So a member that was frozen while its lease
was taken can neither read new entries into its hands nor acknowledge: no clock of ours is asked.

A request whose connection was given up may still arrive, late. So each new connection first changes the lease (it
counts connections there), and Redis refuses what an older one still sends.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from marketdata.errors import LeaseLostError

EXCHANGE_TIMEOUT_S: Final = 5.0
"""Nothing here blocks on the server, so this is far above any answer's time."""

Command = tuple[str | bytes | int, ...]

# Its stub knows tuples of one element only.
pack: Final[Callable[[Command], bytes]] = cast(Any, hiredis.pack_command)

_MULTI: Final = pack(("MULTI",))
_EXEC: Final = pack(("EXEC",))


# A lease that Redis forgot stays forgotten.
_COUNT: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HINCRBY', KEYS[1], 'connections', 1) end
"""


_PASSING: Final = (OutOfMemoryError, ReadOnlyError)
_PASSING_WORDS: Final = ("OOM ", "READONLY ", "MISCONF ", "NOREPLICAS ", "BUSY ", "MASTERDOWN ", "LOADING ")


def may_pass(error: Exception) -> bool:
    """Whether Redis refuses for a reason that time may mend: full, read-only, busy."""
    return isinstance(error, _PASSING) or str(error).startswith(_PASSING_WORDS)


class ForgottenError(Exception):
    """The lease is gone from Redis: nobody holds it."""


class Wire:
    """A connection that is made at the first exchange, and anew after it was lost.

    Args:
        new_connection: makes one that is not yet connected.
        lease: the lease's key.
    """

    def __init__(self, new_connection: Callable[[], AbstractConnection], lease: str) -> None:
        self._new_connection = new_connection
        self._greeting = pack(("EVAL", _COUNT, 1, lease))
        self._connection: AbstractConnection | None = None

    async def exchange(self, commands: Sequence[bytes]) -> list[Any]:
        """Replies of packed commands in order; error replies come as exceptions in the list.

        Raises:
            redis.ConnectionError, redis.TimeoutError: whether the commands were done is not known.
        """
        connection = self._connection
        self._connection = None
        try:
            async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
                if connection is None:
                    connection = self._new_connection()
                    await connection.connect()  # type: ignore[no-untyped-call]
                    await connection.send_packed_command([self._greeting], check_health=False)
                    await connection.read_response(disconnect_on_error=False, timeout=math.inf)
                await connection.send_packed_command(commands, check_health=False)
                replies: list[Any] = []
                for _ in commands:
                    try:
                        replies.append(
                            await connection.read_response(disconnect_on_error=False, timeout=math.inf)
                        )
                    except ResponseError as error:
                        replies.append(error)
        except BaseException as error:
            # Replies may be under way, so nothing else can be asked on it.
            if connection is not None:
                await _hang_up(connection)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError(f"no reply within {EXCHANGE_TIMEOUT_S:g} s") from None
            if isinstance(error, OSError):
                raise RedisConnectionError(str(error)) from None
            raise
        self._connection = connection
        return replies

    @property
    def connected(self) -> bool:
        """Whether the connection of the last exchange still stands."""
        return self._connection is not None

    async def close(self) -> None:
        """Hangs up."""
        if self._connection is not None:
            await _hang_up(self._connection)
            self._connection = None


async def _hang_up(connection: AbstractConnection) -> None:
    with suppress(RedisConnectionError, RedisTimeoutError, OSError):
        await connection.disconnect(nowait=True)


class Fence:
    """Transactions under one tenure of a lease.

    Args:
        wire: of this partition alone.
        lease: the lease's key.
        owner, epoch: of the tenure.
    """

    def __init__(self, wire: Wire, lease: str, owner: str, epoch: int) -> None:
        self._wire = wire
        self.lease = lease
        self.owner = owner
        self._epoch = b""
        self._tail = [pack(("WATCH", lease)), pack(("HMGET", lease, "owner", "epoch"))]
        self._watching = False
        self.renewed(epoch)

    def renewed(self, epoch: int) -> None:
        """The lease was taken again by the same member, without anybody in between."""
        self._epoch = b"%d" % epoch

    async def transact(
        self, commands: Sequence[bytes], after: Sequence[bytes] = ()
    ) -> tuple[list[Any], list[Any]]:
        """Does the commands as one transaction if the lease is ours at that moment; then asks `after`.

        Returns:
            The replies to both; an error reply comes as an exception in its place.

        Raises:
            LeaseLostError: another member holds the lease; nothing was done.
            ForgottenError: nobody does; nothing was done.
            redis.ResponseError: Redis refuses the transaction as a whole; nothing was done.
            redis.ConnectionError, redis.TimeoutError: whether it was done is not known.
        """
        block = [_MULTI, *commands, _EXEC]
        while True:
            if not (self._watching and self._wire.connected):
                self._watching = False
                self._check((await self._wire.exchange(self._tail))[-1])
                self._watching = True
            self._watching = False
            replies = await self._wire.exchange([*block, *after, *self._tail])
            done = replies[len(block) - 1]
            if isinstance(done, Exception):
                first = next((one for one in replies[: len(block)] if isinstance(one, Exception)), done)
                raise first
            if done is not None:
                # What was done counts, whoever holds the lease by now: the next transaction will tell.
                self._watching = self._ours(replies[-1])
                return done, replies[len(block) : len(block) + len(after)]
            self._check(replies[-1])
            self._watching = True

    async def ask(self, commands: Sequence[bytes]) -> list[Any]:
        """Replies to commands that need no fence."""
        return await self._wire.exchange(commands)

    async def confirm(self) -> None:
        """Raises LeaseLostError or ForgottenError if the lease is not ours any more."""
        self._watching = False
        self._check((await self._wire.exchange(self._tail))[-1])
        self._watching = True

    def _ours(self, found: Any) -> bool:
        return isinstance(found, list) and found == [self.owner.encode(), self._epoch]

    def _check(self, found: Any) -> None:
        if isinstance(found, Exception):
            raise found
        if self._ours(found):
            return
        if found[1] is None:
            raise ForgottenError
        owner = found[0].decode(errors="replace") or "nobody"
        raise LeaseLostError(
            f"{self.lease} belongs to {owner} now; what {self.owner} had in hand is handled there"
        )
