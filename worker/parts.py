"""All parts of one worker, wired: who is handed whom. Nothing runs yet, and nothing was asked of Redis or the venue."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import aiohttp
from redis.asyncio.connection import AbstractConnection

from marketdata.backoff import Backoff
from marketdata.catalog import Catalog
from marketdata.keys import Keys
from marketdata.leases import Leases
from marketdata.market import Market
from marketdata.redis_url import RedisSession
from worker.clob import Clob
from worker.connection import Connection
from worker.counters import Counters
from worker.discovery.choice import discovery_of, filters_of
from worker.discovery.selection import Limits
from worker.following import Following
from worker.followups import FollowUps
from worker.forgetting import Forgetting
from worker.hearing import Hearing
from worker.heartbeat import Heartbeat
from worker.ids import IdClock
from worker.limiter import OpenLimiter
from worker.market_keeper import MarketKeeper
from worker.moves import Moves
from worker.name import WorkerName
from worker.ownership import Ownership
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionProtocol
from worker.publisher import Publisher
from worker.quarantine import Quarantine
from worker.recent import Recent
from worker.recording.choice import recorder_of
from worker.retention import Retention
from worker.settings import WorkerSettings
from worker.shards import Shards
from worker.sockets import connector_of
from worker.standing import Standing
from worker.status import Status
from worker.steps import StepPolicy
from worker.witness import Witnesses


class Parts:
    """One worker's parts, by what they are."""

    def __init__(
        self,
        settings: WorkerSettings,
        worker_id: str,
        session: RedisSession,
        http: aiohttp.ClientSession,
    ) -> None:
        client, random = session.client, Random()
        self._settings = settings
        self._worker_id = worker_id
        self._keys = keys = Keys(settings.key_prefix)
        self._random = random
        self._recent = Recent()
        self._limiter = OpenLimiter(settings.opens_per_s)
        self._connector = connector_of(settings.socket_mode)
        self._policy = _policy_of(settings)
        self.counters = counters = Counters()
        self.name = WorkerName(client, keys, worker_id, settings.partitions)
        self.recorder = recorder_of(settings, worker_id, random)
        ids = IdClock()
        self.publisher = Publisher(
            keys=keys,
            worker_id=worker_id,
            new_connection=_without_timeouts(session),
            max_pending=settings.max_pending,
            counters=counters,
            ids=ids,
            backoff=Backoff(0.05, 1.0, random),
        )
        self.shards = Shards(self._new_connection)
        self.moves = Moves(
            shards=self.shards,
            counters=counters,
            tokens_per_connection=settings.tokens_per_connection,
            max_connections=settings.max_connections,
            max_age_s=settings.connection_max_age_s,
            market_of=self._market_of,
        )
        self.following = Following(
            client=client,
            keys=keys,
            worker_id=worker_id,
            publisher=self.publisher,
            ids=ids,
            counters=counters,
            tokens_per_connection=settings.tokens_per_connection,
            shards=self.shards,
            moves=self.moves,
        )
        self.ownership = Ownership(
            client=client,
            leases=Leases(client, keys, worker_id, int(settings.lease_ttl_s * 1000)),
            partitions=settings.partitions,
            publisher=self.publisher,
            ids=ids,
            on_lost=self._on_lost,
        )
        self.publisher.before_writing = self.ownership.renew
        self.publisher.on_lost = self.ownership.lose
        self.publisher.current_tops = self.following.current_tops
        self.ownership.on_forgotten = self._on_forgotten
        self.catalog = Catalog(client, keys)
        filters = filters_of(settings)
        self._keeper = MarketKeeper(
            discovery=discovery_of(settings, filters, http),
            catalog=self.catalog,
            forgetting=Forgetting(
                client,
                keys,
                self.catalog,
                lambda: self.publisher.streams,
                max_age_s=settings.stream_max_age_s,
            ),
            following=self.following,
            filters=filters,
            limits=Limits(settings.max_markets, settings.max_connections, settings.tokens_per_connection),
            refresh_s=settings.catalog_refresh_s,
            owned=lambda: self.ownership.owned,
            backoff=Backoff(1.0, 60.0, random),
        )
        self.quarantine = Quarantine(client, keys, worker_id, counters)
        self.witnesses = Witnesses(Clob(http, settings.clob_url, Backoff(1.0, 30.0, random)))
        self.followups = FollowUps()
        self.hearing = Hearing(
            quarantine=self.quarantine,
            witnesses=self.witnesses,
            moves=self.moves,
            keeper=self._keeper,
            followups=self.followups,
            recent=self._recent,
        )
        self.retention = Retention(
            client,
            self._stream_keys,
            maxlen=settings.stream_maxlen,
            max_age_s=settings.stream_max_age_s,
        )
        self.status = Status(
            client, keys, self.name, counters, self.publisher, self._recent, settings.partitions
        )
        self.standing = Standing(self.name, self.ownership, self._keeper, self.status)
        self.heartbeat = Heartbeat(
            keys=keys,
            worker_id=worker_id,
            shards=self.shards,
            moves=self.moves,
            ownership=self.ownership,
            publisher=self.publisher,
            hash_checks_per_s=settings.hash_checks_per_s if settings.book_hash_check == "sampled" else 0,
        )

    def record(self) -> dict[str, Any]:
        """What the worker says of itself at this moment."""
        if self.recorder is not None:
            self.recorder.count_into(self.counters)
        return self.status.record(
            self.shards.connections.values(),
            markets=len(self.following.condition_ids),
            partitions=len(self.ownership.owned),
            loading=not self._keeper.loaded,
        )

    # -- what parts ask of each other -----------------------------------------------------------------------

    def _new_connection(self, name: str) -> Connection:
        settings = self._settings
        return Connection(
            name,
            settings.venue_ws_url,
            ConnectionProtocol(self._worker_id, self._policy, self.counters),
            connector=self._connector,
            limiter=self._limiter,
            backoff=Backoff(settings.reconnect_min_s, settings.reconnect_max_s, self._random),
            counters=self.counters,
            recent=self._recent,
            on_update=self.publisher.offer,
            on_notice=self.hearing.hear,
            recorder=self.recorder,
        )

    def _market_of(self, condition_id: str) -> Market | None:
        return self._keeper.known.get(condition_id)

    def _on_lost(self, lost: frozenset[int]) -> None:
        self.followups.start(self.following.lose(lost))

    def _on_forgotten(self) -> None:
        self.followups.start(self._write_catalog_again())

    async def _write_catalog_again(self) -> None:
        """Redis lost its data: readers need more than the streams."""
        known = list(self._keeper.known.values())
        await self.catalog.check_contract(self._settings.partitions)
        await self.catalog.put(known)

    def _stream_keys(self) -> list[str]:
        """All streams of our partitions: those of markets that ended or were let go must age as well."""
        owned = self.ownership.owned
        markets = [
            self._keys.book(market.partition, market.condition_id)
            for market in self._keeper.known.values()
            if market.partition in owned
        ]
        clocks = [self._keys.clock(partition) for partition in owned]
        return list(dict.fromkeys([*self.publisher.streams, *markets, *clocks]))


def _policy_of(settings: WorkerSettings) -> ProtocolPolicy:
    return ProtocolPolicy(
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


def _without_timeouts(session: RedisSession) -> Callable[[], AbstractConnection]:
    pool = session.new_client().connection_pool

    def new_connection() -> AbstractConnection:
        connection: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
        # One deadline covers a whole batch: a timeout object a reply would cost more than the reply.
        connection.socket_timeout = None
        return connection

    return new_connection
