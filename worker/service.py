"""The worker: wires the parts, starts and stops them. The only place that knows them all."""

from __future__ import annotations

import asyncio
import gc
import secrets
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any, Final

import aiohttp
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from marketdata.catalog import Catalog
from marketdata.errors import BookstreamError
from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.logs import get_logger
from marketdata.market import Market
from marketdata.redis_url import RedisSession, redis_session
from marketdata.tasks import end_tasks
from worker.backoff import Backoff
from worker.clob import Clob
from worker.connection import Connection
from worker.counters import Counters
from worker.discovery.choice import discovery_of, filters_of
from worker.discovery.selection import Limits
from worker.following import Following
from worker.forgetting import Forgetting
from worker.heartbeat import Heartbeat
from worker.ids import IdClock
from worker.limiter import OpenLimiter
from worker.market_keeper import MarketKeeper
from worker.moves import Moves
from worker.notices import Ended, Event, Move, Notice, Quarantined, Witness
from worker.ownership import Ownership
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionProtocol
from worker.publisher import Publisher
from worker.quarantine import Quarantine
from worker.recent import Recent
from worker.recording.choice import recorder_of
from worker.retention import Retention
from worker.settings import WorkerSettings
from worker.shapes import NewMarket
from worker.shards import Shards
from worker.sockets import connector_of
from worker.standing import Standing
from worker.status import Status
from worker.steps import StepPolicy
from worker.told import in_one_line
from worker.witness import Witnesses

FLUSH_S: Final = 3.5
"""How long a stop waits for Redis to take what is pending; all of a stop takes at most 5 s."""

WARM_UP_S: Final = 15.0

SWITCH_EVERY_S: Final = 0.0005
"""The venue's catalog is parsed in a thread; at Python's own 5 ms it would hold up quotes that long each time."""


async def run(settings: WorkerSettings, stop: asyncio.Event) -> int:
    """Runs a worker until `stop` is set; returns the exit code.

    Raises:
        SettingsError, ContractError, RedisRefusedError, EmbeddedServerError: it cannot start.
    """
    started = asyncio.Event()
    body = asyncio.create_task(_run(settings, stop, started), name="worker")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({body, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            # Still waiting for Redis: there is nothing to flush.
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
    name = f"bookstream-worker-{worker_id}"
    async with (
        aiohttp.ClientSession() as http,
        redis_session(settings.redis_url, client_name=name, log=log.warning) as session,
    ):
        worker = Worker(settings, worker_id, session, http)
        started.set()
        return await worker.run(stop)


class Worker:
    """All parts of one worker."""

    def __init__(
        self,
        settings: WorkerSettings,
        worker_id: str,
        session: RedisSession,
        http: aiohttp.ClientSession,
    ) -> None:
        self._settings = settings
        self._id = worker_id
        self._log = get_logger("worker")
        self._keys = keys = Keys(settings.key_prefix)
        self._counters = counters = Counters()
        self._random = Random()
        self._recent = Recent()
        self._happened: dict[str, list[Any]] = {}
        """What tokens went through since the last second: how often, and one of them."""
        self._limiter = OpenLimiter(settings.opens_per_s)
        self._connector = connector_of(settings.socket_mode)
        self._recorder = recorder_of(settings, worker_id, self._random)
        self._policy = ProtocolPolicy(
            ping_interval_s=settings.ping_interval_s,
            pong_timeout_s=settings.pong_timeout_s,
            first_book_timeout_s=settings.first_book_timeout_s,
            stale_after_s=settings.stale_after_s,
            quarantine_retry_s=settings.quarantine_retry_s,
            trust_min=settings.trust_min,
            steps=StepPolicy(
                quiet_us=int(settings.step_quiet_ms * 1000),
                desync_after_us=int(settings.desync_after_ms * 1000),
            ),
            check_every_step=settings.book_hash_check == "every",
        )
        client = session.client
        pool = session.new_client().connection_pool
        ids = IdClock()

        def new_connection() -> AbstractConnection:
            connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
            # One deadline covers a whole batch: a timeout object a reply would cost more than the reply.
            connection.socket_timeout = None
            return connection

        self._publisher = Publisher(
            keys=keys,
            worker_id=worker_id,
            new_connection=new_connection,
            max_pending=settings.max_pending,
            counters=counters,
            ids=ids,
            backoff=Backoff(0.05, 1.0, self._random),
        )
        self._shards = Shards(self._new_connection)
        self._moves = Moves(
            shards=self._shards,
            counters=counters,
            tokens_per_connection=settings.tokens_per_connection,
            max_connections=settings.max_connections,
            max_age_s=settings.connection_max_age_s,
            market_of=self._market_of,
        )
        self._following = Following(
            client=client,
            keys=keys,
            worker_id=worker_id,
            publisher=self._publisher,
            ids=ids,
            counters=counters,
            tokens_per_connection=settings.tokens_per_connection,
            shards=self._shards,
            moves=self._moves,
        )
        self._ownership = Ownership(
            client=client,
            leases=Leases(client, keys, worker_id, int(settings.lease_ttl_s * 1000)),
            partitions=settings.partitions,
            publisher=self._publisher,
            ids=ids,
            on_lost=self._on_lost,
        )
        self._publisher.before_writing = self._ownership.renew
        self._publisher.on_lost = self._ownership.lose
        self._publisher.current_tops = self._following.current_tops
        self._ownership.on_forgotten = self._on_forgotten
        self._catalog = Catalog(client, keys)
        filters = filters_of(settings)
        self._keeper = MarketKeeper(
            discovery=discovery_of(settings, filters, http),
            catalog=self._catalog,
            forgetting=Forgetting(
                client,
                keys,
                self._catalog,
                lambda: self._publisher.streams,
                max_age_s=settings.stream_max_age_s,
            ),
            following=self._following,
            filters=filters,
            limits=Limits(settings.max_markets, settings.max_connections, settings.tokens_per_connection),
            refresh_s=settings.catalog_refresh_s,
            owned=lambda: self._ownership.owned,
            backoff=Backoff(1.0, 60.0, self._random),
        )
        self._quarantine = Quarantine(client, keys, worker_id, counters)
        self._witnesses = Witnesses(Clob(http, settings.clob_url, Backoff(1.0, 30.0, self._random)))
        self._retention = Retention(
            client,
            self._stream_keys,
            maxlen=settings.stream_maxlen,
            max_age_s=settings.stream_max_age_s,
        )
        self._status = Status(
            client, keys, worker_id, counters, self._publisher, self._recent, settings.partitions
        )
        self._standing = Standing(self._ownership, self._keeper, self._status)
        self._heartbeat = Heartbeat(
            keys=keys,
            worker_id=worker_id,
            shards=self._shards,
            moves=self._moves,
            ownership=self._ownership,
            publisher=self._publisher,
            hash_checks_per_s=settings.hash_checks_per_s if settings.book_hash_check == "sampled" else 0,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: asyncio.Future[tuple[str, BaseException]] = asyncio.get_running_loop().create_future()
        self._followups: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> int:
        """Runs until `stop` is set, or until a part fails; returns the exit code."""
        self._log.info("starting", worker=self._id, partitions=self._settings.partitions)
        await self._until_redis_answers(self._catalog.check_contract(self._settings.partitions))
        if self._recorder is not None:
            self._recorder.start()
        for part in (
            self._publisher.run(),
            self._standing.keep_leases(),
            self._standing.take_over(),
            self._keep_ticking(),
            self._keep_status(),
            self._quarantine.run(),
            self._witnesses.run(),
            self._moves.run(),
            self._retention.run(),
            _freeze_when_warm(),
        ):
            self._start(part)
        stopping = asyncio.create_task(stop.wait(), name="stop")
        ends: set[asyncio.Future[Any]] = {stopping, self._failure}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._failure.done():
            name, error = self._failure.result()
            self._log.critical(f"{name} failed: {error!r}", exc_info=error)
        await self._shut_down()
        return 1 if self._failure.done() else 0

    # -- loops ----------------------------------------------------------------------------------------------

    async def _keep_ticking(self) -> None:
        """Once a second: heartbeats, overdue books, clock entries, sampled hash checks. Waits for nothing else."""
        while True:
            await asyncio.sleep(1.0)
            await self._heartbeat.beat()
            self._status.tick()
            self._tell_what_happened()
            self._following.forget_retired()
            failure = self._shards.failed()
            if failure is not None:
                raise failure

    async def _keep_status(self) -> None:
        while True:
            try:
                await self._status.look_at_markets(self._shards.feeds())
                await self._status.write(self._record())
            except (RedisError, OSError) as error:
                self._log.debug(f"status not written: {in_one_line(error)}")
            await asyncio.sleep(1.0)

    def _tell_what_happened(self) -> None:
        """One line a second for each thing that happened to tokens, however many of them."""
        happened, self._happened = self._happened, {}
        for text, (count, one) in happened.items():
            if count == 1:
                self._log.warning(one)
            else:
                self._log.warning(f"{text}: {count} tokens", one=one)

    # -- what connections say -------------------------------------------------------------------------------

    def _new_connection(self, name: str) -> Connection:
        settings = self._settings
        return Connection(
            name,
            settings.venue_ws_url,
            ConnectionProtocol(self._id, self._policy, self._counters),
            connector=self._connector,
            limiter=self._limiter,
            backoff=Backoff(settings.reconnect_min_s, settings.reconnect_max_s, self._random),
            counters=self._counters,
            recent=self._recent,
            on_update=self._publisher.offer,
            on_notice=self._on_notice,
            recorder=self._recorder,
        )

    def _on_notice(self, connection: Connection, notice: Notice) -> None:
        match notice:
            case Quarantined(frame, reason):
                self._quarantine.add(frame, reason, connection.name)
                self._recent.add("error", f"{connection.name} got a frame that could not be used: {reason}")
            case Witness():
                self._witnesses.ask(connection, notice)
            case Move(condition_id, token):
                self._moves.rescue(connection, condition_id, token)
            case Event(what, condition_id, outcome, text):
                named = f"{text} ({self._named(condition_id, outcome)}, {connection.name})"
                self._recent.add(what, named)
                self._happened.setdefault(text, [0, named])[0] += 1
            case NewMarket(market):
                self._keeper.heard_of(market)
            case Ended(condition_id, winner):
                self._follow_up(self._keeper.resolved(condition_id, winner))

    def _market_of(self, condition_id: str) -> Market | None:
        return self._keeper.known.get(condition_id)

    def _named(self, condition_id: str, outcome: int | None) -> str:
        market = self._market_of(condition_id)
        if market is None:
            return condition_id
        return market.question if outcome is None else f"{market.question}: {market.outcomes[outcome]}"

    def _on_lost(self, lost: frozenset[int]) -> None:
        self._follow_up(self._following.lose(lost))

    def _on_forgotten(self) -> None:
        self._follow_up(self._write_catalog_again())

    async def _write_catalog_again(self) -> None:
        """Redis lost its data: readers need more than the streams."""
        known = list(self._keeper.known.values())
        await self._catalog.check_contract(self._settings.partitions)
        await self._catalog.put(known)

    def _follow_up(self, work: Coroutine[Any, Any, None]) -> None:
        """Work that must not delay the caller. What fails in it is said; the next refresh makes it good."""
        task = asyncio.create_task(work)
        self._followups.add(task)
        task.add_done_callback(self._followed_up)

    def _followed_up(self, task: asyncio.Task[None]) -> None:
        self._followups.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.warning(f"a follow-up failed, the next refresh makes it good: {in_one_line(error)}")

    # -- the end --------------------------------------------------------------------------------------------

    async def _shut_down(self) -> None:
        """Stops reading, flushes, marks the end in every stream, gives the leases back."""
        self._status.state = "stopping"
        self._log.info("stopping", pending=self._publisher.pending)
        record = self._record()
        writing, others = self._tasks[0], self._tasks[1:]
        await end_tasks({*others, *self._followups})
        await self._following.shut_down()
        if self._recorder is not None:
            await self._recorder.close()
        try:
            async with asyncio.timeout(FLUSH_S):
                with suppress(RedisError, OSError):
                    # Nobody renews any more, and the last entries need ids below the limit.
                    await self._ownership.renew()
                await self._publisher.drained()
                await self._ownership.release()
                self._status.state = "stopped"
                after = self._record()
                await self._status.write(
                    {**after, **{k: record[k] for k in _AS_BEFORE}, "state": "stopped"}, last_word=True
                )
        except (TimeoutError, RedisError, OSError) as error:
            self._log.error(
                f"stopped without Redis ({in_one_line(error)}): {self._publisher.pending} updates are not written; "
                "the next owner of the partitions marks the gap"
            )
        await end_tasks({writing})
        self._log.info("stopped", entries=self._counters.entries)

    # -- small steps ----------------------------------------------------------------------------------------

    def _start(self, part: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(part, name=getattr(part, "__qualname__", "part"))
        task.add_done_callback(self._part_ended)
        self._tasks.append(task)

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        """No part ends by itself: what fails one fails the worker, visibly."""
        if not task.cancelled() and not self._failure.done():
            error = task.exception() or RuntimeError("it ended")
            self._failure.set_result((task.get_name(), error))

    async def _until_redis_answers(self, check: Coroutine[Any, Any, None]) -> None:
        try:
            await check
        except RedisError as error:
            raise BookstreamError(f"Redis went away while the worker started: {in_one_line(error)}") from None

    def _record(self) -> dict[str, Any]:
        following = self._following
        if self._recorder is not None:
            self._recorder.count_into(self._counters)
        return self._status.record(
            self._shards.connections.values(),
            markets=len(following.condition_ids),
            partitions=len(self._ownership.owned),
            loading=not self._keeper.loaded,
        )

    def _stream_keys(self) -> list[str]:
        """All streams of our partitions: those of markets that ended or were let go must age as well."""
        owned = self._ownership.owned
        markets = [
            self._keys.book(market.partition, market.condition_id)
            for market in self._keeper.known.values()
            if market.partition in owned
        ]
        clocks = [self._keys.clock(partition) for partition in owned]
        return list(dict.fromkeys([*self._publisher.streams, *markets, *clocks]))


_AS_BEFORE: Final = (
    "connections",
    "markets",
    *(f"tokens{state}" for state in ("", "_live", "_waiting", "_stale", "_quarantined", "_unlisted")),
)
"""What the last word tells as it was before the stop began."""


async def _freeze_when_warm() -> None:
    """Takes what is alive after the start out of the garbage collector: full collections stall the quotes."""
    await asyncio.sleep(WARM_UP_S)
    gc.collect()
    gc.freeze()
    await asyncio.Event().wait()


def _host() -> str:
    name = socket.gethostname().split(".")[0]
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-_"))[:40] or "worker"
