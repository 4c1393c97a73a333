"""After a reconnect: does Redis still hold what it acknowledged? Was the batch in flight written?"""

from __future__ import annotations

import asyncio

from redis.asyncio.connection import AbstractConnection

from marketdata.clock import now_us
from marketdata.logs import get_logger
from worker.asking import ask, info_value, last_generated
from worker.batches import Item
from worker.counters import Counters
from worker.outbox import Outbox
from worker.packing import pack
from worker.sending import BATCH_TIMEOUT_S, WritesRefusedError
from worker.settling import Settling, is_redis_gap


class Reconciling:
    """Compares what we know with what Redis says; what is missing becomes a `redis` gap."""

    def __init__(self, outbox: Outbox, settling: Settling, counters: Counters) -> None:
        self._outbox = outbox
        self._settling = settling
        self._counters = counters
        self._run_id = ""
        self._log = get_logger("publisher")

    async def reconcile(self, connection: AbstractConnection) -> None:
        """Asks for the server, for the last id of each stream, and for each entry of the batch in flight.

        Raises:
            WritesRefusedError: the server is no master.
            RedisError, OSError, TimeoutError: Redis could not be asked.
        """
        outbox = self._outbox
        outbox.reconcile_wanted = False
        async with asyncio.timeout(BATCH_TIMEOUT_S):
            await self._check_server(connection)
            known = [stream for stream in outbox.streams.values() if stream.exists]
            newest = await ask(connection, [pack("XINFO", "STREAM", stream.key) for stream in known])
            for stream, info in zip(known, newest, strict=True):
                if isinstance(info, Exception):
                    if "no such key" not in str(info) and "WRONGTYPE" not in str(info):
                        raise info
                    self._settling.forgot(stream, stream.last_id.ms * 1000)
                elif (newest_id := last_generated(info)) < stream.last_id:
                    self._settling.forgot(stream, newest_id.ms * 1000)
                    # What is left of the stream exists; only its end is gone.
                    stream.exists = True
            await self._look_up_in_flight(connection)
        outbox.something.set()

    async def _check_server(self, connection: AbstractConnection) -> None:
        (server,) = await ask(connection, [pack("INFO", "server")])
        (role,) = await ask(connection, [pack("ROLE")])
        run_id = info_value(server, b"run_id:")
        if isinstance(role, list) and role and role[0] != b"master":
            raise WritesRefusedError(f"the server is a {role[0].decode()}, not a master")
        if self._run_id and run_id != self._run_id:
            self._log.warning("redis is another process than before", run_id=run_id, before=self._run_id)
        self._run_id = run_id

    async def _look_up_in_flight(self, connection: AbstractConnection) -> None:
        outbox, settling = self._outbox, self._settling
        batch = outbox.in_flight
        if batch is None:
            return
        items = batch.items
        found = await ask(
            connection, [pack("XRANGE", i.update.stream.key, str(i.id), str(i.id)) for i in items]
        )
        ends = await ask(connection, [pack("XINFO", "STREAM", i.update.stream.key) for i in items])
        left: list[Item] = []
        acked_us = now_us()
        for item, entries, info in zip(items, found, ends, strict=True):
            stream = item.update.stream
            if isinstance(entries, list) and entries:
                settling.done(item, acked_us)
            elif stream.partition not in outbox.limits:
                self._counters.disowned += 1
            elif stream.forgotten_us and item.update.kind != "gap":
                settling.lost(item.update, stream.forgotten_us)
            elif not isinstance(info, Exception) and last_generated(info) >= item.id:
                # A later id is there and this one is not: it can never be written.
                if is_redis_gap(item.update):
                    settling.owe_gap(stream)
                else:
                    settling.lost(item.update, item.update.recv_us)
            else:
                left.append(item)
        batch.items = left
        outbox.sent_before = True
        if not left:
            outbox.in_flight = None
            outbox.note_drained()
