"""Markets change connections while both are open: to rescue silent tokens, and to replace connections of some age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from marketdata.clock import now_us
from marketdata.logs import get_logger
from marketdata.market import Market
from worker.connection import Connection
from worker.counters import Counters
from worker.doubts import right_until_us
from worker.feeds import MarketFeed, Step, TokenState
from worker.policy import SECOND_US
from worker.protocol import ConnectionState
from worker.sharding import markets_a_connection
from worker.shards import Shards
from worker.switching import Decision, Switch

LOOKED_AT_EVERY_S: Final = 0.02
RESCUE_PATIENCE_S: Final = 8.0
ROTATION_PATIENCE_S: Final = 30.0
AVOIDED_FOR_S: Final = 600.0
"""A connection that left a token silent gets no other's silent tokens for so long."""


_OPEN: Final = (ConnectionState.SUBSCRIBED, ConnectionState.LIVE)


class _Move(NamedTuple):
    switch: Switch
    source: Connection
    target: Connection


class Moves:
    """Carries markets from one connection to another, and closes what is left empty."""

    def __init__(
        self,
        *,
        shards: Shards,
        counters: Counters,
        tokens_per_connection: int,
        max_connections: int,
        max_age_s: float,
        market_of: Callable[[str], Market | None],
    ) -> None:
        self._shards = shards
        self._counters = counters
        self._room = markets_a_connection(tokens_per_connection)
        self._max_connections = max_connections
        self._max_age_us = int(max_age_s * SECOND_US)
        self._market_of = market_of
        self._moves: dict[str, _Move] = {}
        self._rotating: Connection | None = None
        self._spared_until_us: dict[Connection, int] = {}
        """Connections that could not be replaced are left alone for a while."""
        self._avoided_until_us: dict[Connection, int] = {}
        self._any = asyncio.Event()
        self._log = get_logger("moves")

    # -- what is wanted -------------------------------------------------------------------------------------

    def rescue(self, source: Connection, condition_id: str, token: str) -> None:
        """Another connection is to get this token's book."""
        under_way = self._moves.get(condition_id)
        if under_way is not None:
            under_way.switch.wanted.add(token)
            return
        at_us = now_us()
        self._avoided_until_us[source] = at_us + int(AVOIDED_FOR_S * SECOND_US)
        shard = self._place_for(source, at_us, 1)
        if shard is None or not self._begin(source, shard, [condition_id], RESCUE_PATIENCE_S):
            source.protocol.rescues.not_moved(token, at_us)
            source.flush()
            return
        self._moves[condition_id].switch.wanted.add(token)

    def rotate(self) -> None:
        """Begins to replace the oldest connection that is too old; called once a second. One at a time."""
        if not self._max_age_us or self._rotating is not None:
            return
        at_us = now_us()
        old = [
            one
            for one in self._shards.connections.values()
            if one.protocol.state is ConnectionState.LIVE
            and at_us - one.protocol.opened_us >= self._max_age_us
            and at_us >= self._spared_until_us.get(one, 0)
        ]
        if not old:
            return
        source = min(old, key=lambda one: one.protocol.opened_us)
        markets = [
            one
            for one, feed in source.protocol.books.markets.items()
            if not feed.muted and one not in self._moves
        ]
        shard = self._place_for(source, at_us, len(markets))
        if shard is None:
            self._spared_until_us[source] = at_us + self._max_age_us // 4
            self._log.warning("no connection is replaced because of its age: MAX_CONNECTIONS leaves no room")
        elif self._begin(source, shard, markets, ROTATION_PATIENCE_S):
            self._rotating = source
            self._log.info("replacing a connection because of its age", connection=source.name)

    def cancel(self, condition_ids: Iterable[str]) -> None:
        """These markets are let go, or end: they change nothing any more."""
        for condition_id in condition_ids:
            move = self._moves.pop(condition_id, None)
            if move is not None:
                self._abandon(move, condition_id)

    # -- what happens ---------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Looks at the markets that are under way, until cancelled."""
        while True:
            await self._any.wait()
            while self._moves:
                await asyncio.sleep(LOOKED_AT_EVERY_S)
                self._look_at_all()
            self._any.clear()
            await self._end_rotation()
            await self._close_empty()

    def _look_at_all(self) -> None:
        # No part of `run`, which would hold the last connection in its hand until the next move.
        for condition_id, move in list(self._moves.items()):
            self._look(condition_id, move)

    def _look(self, condition_id: str, move: _Move) -> None:
        if self._moves.get(condition_id) is not move:
            return
        at_us = now_us()
        decision = move.switch.decide(at_us)
        if decision is Decision.WAIT:
            return
        del self._moves[condition_id]
        if decision is Decision.SWITCH and move.target.protocol.state in _OPEN:
            self._switch(condition_id, move, at_us)
            return
        self._abandon(move, condition_id)
        for token in move.switch.wanted:
            move.source.protocol.rescues.not_moved(token, at_us)
        move.source.flush()

    def _switch(self, condition_id: str, move: _Move, at_us: int) -> None:
        switch, source, target = move
        old, new = switch.old, switch.new
        differing = switch.differing()
        silent = [feed.outcome for feed in old.tokens if feed.state is not TokenState.LIVE]
        told_anew = {*silent, *(feed.outcome for feed in differing)}
        for before, after in zip(old.tokens, new.tokens, strict=True):
            # Where both had the same, what the old connection could not show is still to be told; else a gap tells it.
            after.gate.unshown = 0 if before.outcome in told_anew else before.gate.unshown
        for feed in differing:
            # What was published until now is right; whether the new connection tells all that came since is not known.
            start_us = right_until_us(feed, feed.gate.changed_us)
            source.protocol.books.gap(feed, "disconnect", start_us, at_us)
        source.protocol.remove([condition_id])
        source.flush()
        new.muted, new.tape = False, None
        new.stream.gen += 1
        self._counters.moves += 1
        self._counters.move_gaps += len(differing)
        books = target.protocol.books
        for outcome in sorted(told_anew):
            feed = new.tokens[outcome]
            if feed.state is TokenState.LIVE:
                if feed.token in switch.wanted:
                    feed.rescued_by = Step.MOVE
                    books.rescued(feed)
                books.show(feed, at_us)
            else:
                target.protocol.rescues.await_book(feed, at_us)
        target.flush()
        old.free()

    def _abandon(self, move: _Move, condition_id: str) -> None:
        move.switch.old.tape = None
        move.target.protocol.remove([condition_id])
        move.target.flush()
        move.switch.new.free()
        self._any.set()

    # -- small steps ----------------------------------------------------------------------------------------

    def _begin(self, source: Connection, shard: int, condition_ids: Sequence[str], patience_s: float) -> bool:
        at_us = now_us()
        switches: dict[str, Switch] = {}
        for condition_id in condition_ids:
            old, market = source.protocol.books.markets.get(condition_id), self._market_of(condition_id)
            if old is not None and market is not None and not old.ended:
                new = MarketFeed(market, old.stream)
                switches[condition_id] = Switch(old, new, at_us, int(patience_s * SECOND_US))
        if not switches:
            return False
        target = self._shards.add(shard, [switch.new for switch in switches.values()])
        for condition_id, switch in switches.items():
            self._moves[condition_id] = _Move(switch, source, target)
        self._any.set()
        return True

    def _place_for(self, source: Connection, at_us: int, markets: int) -> int | None:
        """The shard with the least room that is enough; a new one if there is none; None: no room at all."""
        places = self._places(source, at_us, markets)
        if places:
            return min(places, key=lambda shard: (places[shard], shard))
        return self._shards.next_shard() if len(self._shards.connections) < self._max_connections else None

    def _places(self, source: Connection, at_us: int, markets: int) -> dict[int, int]:
        """How much room is left on the other shards that could take so many markets."""
        self._avoided_until_us = {one: us for one, us in self._avoided_until_us.items() if us > at_us}
        places = {
            shard: self._room - len(one.protocol.books.markets)
            for shard, one in self._shards.connections.items()
            if one is not source
            and one is not self._rotating
            and one not in self._avoided_until_us
            and (one.protocol.state is ConnectionState.LIVE or self._is_new(one))
        }
        return {shard: room for shard, room in places.items() if room >= markets}

    def _is_new(self, connection: Connection) -> bool:
        return any(move.target is connection for move in self._moves.values())

    async def _end_rotation(self) -> None:
        source, self._rotating = self._rotating, None
        if source is None or source not in self._shards.connections.values():
            # Closed meanwhile: its markets were let go.
            return
        if source.protocol.books.markets:
            self._spared_until_us[source] = now_us() + self._max_age_us // 4
            self._log.warning(
                "some markets could not leave a connection of some age, which stays",
                connection=source.name,
                markets=len(source.protocol.books.markets),
            )
            return
        self._counters.rotations += 1

    async def _close_empty(self) -> None:
        await self._shards.close(
            [shard for shard, one in self._shards.connections.items() if not one.protocol.books.markets]
        )
        there = set(self._shards.connections.values())
        self._spared_until_us = {one: us for one, us in self._spared_until_us.items() if one in there}
        self._avoided_until_us = {one: us for one, us in self._avoided_until_us.items() if one in there}
