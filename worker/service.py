"""The worker: starts its parts, keeps them running, stops them in good order."""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

import aiohttp
from redis.exceptions import RedisError

from marketdata.errors import BookstreamError, SettingsError, WorkerTakenError
from marketdata.logs import get_logger
from marketdata.redis_url import redis_session
from marketdata.tasks import end_tasks
from worker.parts import Parts
from worker.settings import WorkerSettings
from worker.told import in_one_line

FLUSHED_WITHIN_S: Final = 4.2
"""So long after its begin a stop waits for Redis no more; all of it takes at most 5 s."""

WARM_UP_S: Final = 15.0

SWITCH_EVERY_S: Final = 0.0005
"""The venue's catalog is parsed in a thread; at Python's own 5 ms it would hold up quotes that long each time."""

_AS_BEFORE: Final = (
    "connections",
    "markets",
    *(f"tokens{state}" for state in ("", "_live", "_waiting", "_stale", "_quarantined", "_unlisted")),
)
"""What the last word tells as it was before the stop began."""


async def run(settings: WorkerSettings, stop: asyncio.Event) -> int:
    """Runs a worker until `stop` is set; returns the exit code.

    Raises:
        SettingsError, ContractError, RedisRefusedError, EmbeddedServerError: it cannot start.
        WorkerTakenError: another worker runs under its name, from before or by now.
    """
    started = asyncio.Event()
    body = asyncio.create_task(_run(settings, stop, started), name="worker")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({body, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            # Still waiting for Redis, or for its name: there is nothing to flush.
            await end_tasks({body})
        return await body
    except asyncio.CancelledError:
        if started.is_set() or not stop.is_set():
            raise
        return 0
    finally:
        stopping.cancel()


async def _run(settings: WorkerSettings, stop: asyncio.Event, started: asyncio.Event) -> int:
    log = get_logger("worker")
    sys.setswitchinterval(SWITCH_EVERY_S)
    worker_id = settings.worker_id or f"{_host()}-{secrets.token_hex(3)}"
    client_name = f"bookstream-worker-{worker_id}"
    async with (
        aiohttp.ClientSession() as http,
        redis_session(settings.redis_url, client_name=client_name, log=log.warning) as session,
    ):
        parts = Parts(settings, worker_id, session, http)
        await _until_redis_answers(parts.name.claim(parts.record()))
        try:
            started.set()
            log.info("starting", worker=worker_id, partitions=settings.partitions)
            await _until_redis_answers(parts.catalog.check_contract(settings.partitions))
            return await Worker(parts).run(stop)
        except BookstreamError:
            with suppress(RedisError, OSError):
                await parts.name.let_go()
            raise


class Worker:
    """The tasks of one worker, from their start to their end."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[tuple[str, BaseException]] = asyncio.get_running_loop().create_future()
        self._log = get_logger("worker")

    async def run(self, stop: asyncio.Event) -> int:
        """Runs until `stop` is set, or until a part fails; returns the exit code.

        Raises:
            WorkerTakenError: another process has taken our name; all is ended in good order before.
        """
        parts = self._parts
        if parts.recorder is not None:
            parts.recorder.start()
        for part in (
            parts.publisher.run(),
            parts.standing.keep_leases(),
            parts.standing.take_over(),
            self._keep_ticking(),
            self._keep_status(),
            parts.quarantine.run(),
            parts.witnesses.run(),
            parts.moves.run(),
            parts.retention.run(),
            _freeze_when_warm(),
        ):
            self._start(part)
        stopping = asyncio.create_task(stop.wait(), name="stop")
        ends: set[asyncio.Future[Any]] = {stopping, self._failure}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not self._failure.done():
            await self._shut_down()
            return 0
        name, error = self._failure.result()
        if isinstance(error, SettingsError):
            await self._shut_down()
            raise error
        self._log.critical(f"{name} failed: {error!r}", exc_info=error)
        await self._shut_down()
        return 1

    # -- loops ----------------------------------------------------------------------------------------------

    async def _keep_ticking(self) -> None:
        """Once a second: heartbeats, overdue books, clock entries, sampled hash checks. Waits for nothing else."""
        parts = self._parts
        while True:
            await asyncio.sleep(1.0)
            await parts.heartbeat.beat()
            parts.status.tick()
            parts.hearing.tell()
            parts.following.forget_retired()
            failure = parts.shards.failed()
            if failure is not None:
                raise failure

    async def _keep_status(self) -> None:
        parts = self._parts
        while True:
            try:
                await parts.status.look_at_markets(parts.shards.feeds())
                await parts.status.write(parts.record())
            except (RedisError, OSError) as error:
                self._log.debug(f"status not written: {in_one_line(error)}")
            await asyncio.sleep(1.0)

    # -- the end --------------------------------------------------------------------------------------------

    async def _shut_down(self) -> None:
        """Stops reading, flushes, marks the end in every stream, gives the leases back."""
        parts = self._parts
        began_s = asyncio.get_running_loop().time()
        parts.status.state = "stopping"
        self._log.info("stopping", pending=parts.publisher.pending)
        before = parts.record()
        writing, others = self._tasks[0], self._tasks[1:]
        await end_tasks(others)
        await parts.followups.end()
        await parts.following.shut_down()
        if parts.recorder is not None:
            await parts.recorder.close()
        try:
            async with asyncio.timeout_at(began_s + FLUSHED_WITHIN_S):
                with suppress(RedisError, OSError):
                    # Nobody renews any more, and the last entries need ids below the limit.
                    await parts.ownership.renew()
                await parts.publisher.drained()
                await parts.ownership.release()
                parts.status.state = "stopped"
                last = {**parts.record(), **{key: before[key] for key in _AS_BEFORE}}
                await parts.status.write(last, last_word=True)
        except WorkerTakenError:
            # Its last word would be said over a living one's.
            pass
        except (TimeoutError, RedisError, OSError) as error:
            self._log.error(
                f"stopped without Redis ({in_one_line(error)}): {parts.publisher.pending} updates are not written; "
                "the next owner of the partitions marks the gap"
            )
        await end_tasks({writing})
        self._log.info("stopped", entries=parts.counters.entries)

    # -- small steps ----------------------------------------------------------------------------------------

    def _start(self, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(part, name=getattr(part, "__qualname__", "part"))
        task.add_done_callback(self._part_ended)
        self._tasks.append(task)

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        """No part ends by itself: what fails one fails the worker, visibly."""
        if task.cancelled():
            return
        # Asked for in any case: of several that fail, the others are no news.
        error = task.exception() or RuntimeError("it ended")
        if not self._failure.done():
            self._failure.set_result((task.get_name(), error))


async def _until_redis_answers(check: Coroutine[Any, Any, None]) -> None:
    try:
        await check
    except RedisError as error:
        raise BookstreamError(f"Redis went away while the worker started: {in_one_line(error)}") from None


async def _freeze_when_warm() -> None:
    """Takes what is alive after the start out of the garbage collector: full collections stall the quotes."""
    await asyncio.sleep(WARM_UP_S)
    gc.collect()
    gc.freeze()
    await asyncio.Event().wait()


def _host() -> str:
    name = socket.gethostname().split(".")[0]
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-_"))[:40] or "worker"
