"""The markets that are followed: their streams, and the connections that carry their tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import redis.asyncio

from marketdata.clock import now_us
from marketdata.entries import GapCause, gap_note
from marketdata.keys import Keys
from marketdata.logs import get_logger
from marketdata.market import Market
from worker.connection import Connection
from worker.counters import Counters
from worker.feeds import MarketFeed, TokenState
from worker.ids import IdClock
from worker.moves import Moves
from worker.publisher import Publisher
from worker.sharding import rebalance
from worker.shards import Shards
from worker.streams import MarketStream, Update
from worker.takeover import Tail, ended, fence, handover, interrupts, read_tails

RETIRED_FOR_US: Final = 60_000_000
"""For so long a stream that was let go is remembered: its last entries may still be on their way."""


class Following:
    """Puts markets on connections and takes them off again."""

    def __init__(
        self,
        *,
        client: redis.asyncio.Redis,
        keys: Keys,
        worker_id: str,
        publisher: Publisher,
        ids: IdClock,
        counters: Counters,
        tokens_per_connection: int,
        shards: Shards,
        moves: Moves,
    ) -> None:
        self.streams: dict[str, MarketStream] = {}
        """By condition id."""
        self._client = client
        self._keys = keys
        self._worker_id = worker_id
        self._publisher = publisher
        self._ids = ids
        self._counters = counters
        self._tokens_per_connection = tokens_per_connection
        self._shards = shards
        self._moves = moves
        self._retired: dict[str, MarketStream] = {}
        self._retired_us: dict[str, int] = {}
        self._log = get_logger("following")

    # -- what is followed -----------------------------------------------------------------------------------

    @property
    def condition_ids(self) -> set[str]:
        """All followed markets."""
        return {feed.condition_id for feed in self._shards.feeds()}

    def current_tops(self, stream: MarketStream) -> list[Update]:
        """The tops that are live now, to be published again after a `redis` gap."""
        found = self._shards.feed(stream.condition_id)
        if found is None:
            return []
        tops = []
        for feed in found[1].tokens:
            shown = feed.gate.shown
            if feed.state is TokenState.LIVE and shown is not None:
                self._counters.tops += 1
                top = Update(stream, "top", feed.outcome, recv_us=now_us(), venue_ms=feed.gate.venue_ms)
                top.bid, top.bid_size, top.ask, top.ask_size = shown
                tops.append(top)
        return tops

    # -- streams --------------------------------------------------------------------------------------------

    async def take_over(self, markets: Iterable[Market], old_limit_ms: int) -> None:
        """Marks the streams that a former owner left open, so that it can write to none of them any more.

        Raises:
            RedisError: Redis could not be asked.
        """
        self._ids.raise_above(old_limit_ms)
        theirs = list(markets)
        await fence(self._client, self._keys, theirs, old_limit_ms)
        tails = await self._tails(theirs)
        self._begin([tail for tail in tails if tail.stream.exists and not ended(tail)])

    async def open_streams(self, markets: Iterable[Market]) -> None:
        """Begins to write the streams of these markets.

        Raises:
            RedisError: Redis could not be asked.
        """
        self._begin(await self._tails(markets))

    async def _tails(self, markets: Iterable[Market]) -> list[Tail]:
        over = {condition_id for condition_id, stream in self._retired.items() if stream.over}
        wanted = [m for m in markets if m.condition_id not in self.streams and m.condition_id not in over]
        fresh = [market for market in wanted if market.condition_id not in self._retired]
        tails = await read_tails(self._client, self._keys, fresh)
        # Taken out only now: if Redis goes away, what was written of them must stay known.
        again = [self._retired.pop(m.condition_id) for m in wanted if m.condition_id in self._retired]
        return [*tails, *(Tail(stream, None, ours=True) for stream in again)]

    def _begin(self, tails: Iterable[Tail]) -> None:
        # A partition may have been lost while the tails were read.
        # And the venue's catalog may list a market for a while whose resolution is written already.
        begun = [
            tail for tail in tails if tail.stream.partition in self._publisher.limits and not tail.stream.over
        ]
        self._ids.raise_above(max((tail.stream.last_id.ms for tail in begun), default=0))
        at_us = now_us()
        broken_off = sum(map(interrupts, begun))
        if broken_off:
            self._counters.interrupted += broken_off
            self._log.warning(
                f"{broken_off} streams had lost their writer; what the venue sent since their last entries is missing"
            )
        for tail in begun:
            stream = tail.stream
            self.streams[stream.condition_id] = stream
            self._publisher.streams[stream.key] = stream
            self._publisher.offer(handover(tail, self._worker_id, at_us))
            self._counters.gap("handover")

    def forget_retired(self) -> None:
        """Frees streams that were let go a while ago. Until then Redis losing their last entries is marked."""
        if not self._publisher.connected:
            return
        before_us = now_us() - RETIRED_FOR_US
        for condition_id, since_us in list(self._retired_us.items()):
            if since_us < before_us:
                del self._retired_us[condition_id]
                stream = self._retired.pop(condition_id, None)
                if stream is not None:
                    self._publisher.streams.pop(stream.key, None)

    # -- connections ----------------------------------------------------------------------------------------

    async def follow(self, wanted: Sequence[Market]) -> None:
        """Follows exactly these markets, with the fewest changes.

        Raises:
            RedisError: Redis could not be asked; nothing was changed.
        """
        await self.open_streams(wanted)
        wanted = [market for market in wanted if market.condition_id in self.streams]
        placement = self._shards.placement()
        plan = rebalance(placement, wanted, self._tokens_per_connection, self._shards.arriving())
        gone = {**plan.remove, **{shard: placement[shard] for shard in plan.dropped}}
        for shard, condition_ids in gone.items():
            self._let_go(self._shards.connections[shard], condition_ids, "shutdown")
        for shard, markets in plan.add.items():
            self._shards.add(
                shard, [MarketFeed(market, self.streams[market.condition_id]) for market in markets]
            )
        await self._shards.close(plan.dropped)
        followed = self.condition_ids
        for condition_id in [one for one in self.streams if one not in followed]:
            # Taken over from a former owner, and followed no more.
            self._retire(condition_id, "shutdown")
        if not plan.changes_nothing:
            self._log.info(
                "following",
                markets=len(wanted),
                connections=len(self._shards.connections),
                added=sum(map(len, plan.add.values())),
                removed=sum(map(len, plan.remove.values())) + len(plan.dropped),
            )

    async def drop(self, condition_id: str) -> None:
        """Lets a market go whose last entry is written already."""
        found = self._shards.feed(condition_id)
        if found is not None:
            self._let_go(found[0], [condition_id], None)
            await self._close_empty()

    async def finish(self, market: Market, note: str) -> None:
        """Writes how a market ended, as its last entry, once; nothing where it never had a stream.

        Raises:
            RedisError: Redis could not be asked; nothing was written.
        """
        found = self._shards.feed(market.condition_id)
        if found is not None:
            connection, feed = found
            if not feed.ended:
                connection.protocol.books.resolve(feed, note, None, now_us())
                connection.flush()
            await self.drop(market.condition_id)
            return
        if market.condition_id in self.streams:
            # Taken over from a former owner, and on no connection yet.
            self._end(market.condition_id, note)
            return
        tails = [tail for tail in await self._tails([market]) if tail.stream.exists and not tail.stream.over]
        self._begin(tails)
        for tail in tails:
            self._end(tail.stream.condition_id, note)

    async def lose(self, partitions: frozenset[int]) -> None:
        """Another worker writes these partitions now: lets their markets go without a word."""
        lost: dict[Connection, list[str]] = {}
        for shard, condition_ids in self._shards.placement().items():
            connection = self._shards.connections[shard]
            markets = connection.protocol.books.markets
            lost[connection] = [one for one in condition_ids if markets[one].stream.partition in partitions]
        for connection, condition_ids in lost.items():
            if condition_ids:
                self._let_go(connection, condition_ids, None)
        # Forgotten before anything is awaited: whoever gets the partition back reads its streams anew.
        for streams in (self.streams, self._retired):
            for condition_id in [one for one, s in streams.items() if s.partition in partitions]:
                del streams[condition_id]
        await self._close_empty()

    async def shut_down(self) -> None:
        """Closes all connections with 1000 and marks the end of what is known in every stream."""
        self._moves.cancel(self.condition_ids)
        self._shards.retire()
        await self._shards.close(list(self._shards.connections))
        for stream in self.streams.values():
            self._gap(stream, "shutdown")

    def _let_go(self, connection: Connection, condition_ids: Sequence[str], cause: GapCause | None) -> None:
        self._moves.cancel(condition_ids)
        markets = connection.protocol.books.markets
        feeds = [feed for one in condition_ids if (feed := markets.get(one)) is not None]
        connection.protocol.remove(condition_ids)
        connection.flush()
        for feed in feeds:
            feed.free()
        for condition_id in condition_ids:
            self._retire(condition_id, cause)

    def _retire(self, condition_id: str, cause: GapCause | None) -> None:
        stream = self.streams.pop(condition_id, None)
        if stream is not None:
            if cause is not None:
                self._gap(stream, cause)
            self._retired[condition_id] = stream
            self._retired_us[condition_id] = now_us()

    def _end(self, condition_id: str, note: str) -> None:
        stream = self.streams.get(condition_id)
        if stream is not None:
            stream.over = True
            self._publisher.offer(Update(stream, "resolved", None, recv_us=now_us(), note=note))
            self._retire(condition_id, None)

    def _gap(self, stream: MarketStream, cause: GapCause) -> None:
        at_us = now_us()
        note = gap_note(cause, at_us, self._worker_id)
        self._publisher.offer(Update(stream, "gap", None, recv_us=at_us, note=note))
        self._counters.gap(cause)

    async def _close_empty(self) -> None:
        await self._shards.close(
            [shard for shard, one in self._shards.connections.items() if not one.protocol.books.markets]
        )
