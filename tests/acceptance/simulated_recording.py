"""Fills a Redis with what a worker would have recorded of a synthetic venue, without waiting for that time to pass.

The venue's floor and the worker's chain (protocol, ids, batches) are pure: both get a time that is made up. So
an hour is recorded in about a minute, entry for entry as if it had been lived through.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson
import redis

from marketdata.entries import gap_note
from marketdata.keys import CONTRACT_VERSION, Keys
from marketdata.market import Market, market_from_gamma
from simulator.synthetic.floor import Floor
from simulator.synthetic.listing import Edge
from simulator.synthetic.truth import Truth
from simulator.synthetic.world import SyntheticWorld
from worker.batches import build_batch
from worker.counters import Counters
from worker.feeds import MarketFeed
from worker.ids import IdClock
from worker.notices import Send
from worker.pending import CLOCK, Pending
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionProtocol
from worker.streams import MarketStream, Update

PARTITIONS = 64
_LIMITS = dict.fromkeys(range(PARTITIONS), 2**62)
EDGES_A_SECOND = 1_000
_WORKER = "w1"


@dataclass
class Recorded:
    """What was written.

    Attributes:
        edges: planted ones, by their number.
    """

    streams: int = 0
    entries: int = 0
    clocks: int = 0
    messages: int = 0
    edges: dict[int, Edge] = field(default_factory=dict)


class _Recorder:
    def __init__(self, client: redis.Redis, floor: Floor) -> None:
        self.client = client
        self.floor = floor
        self.keys = Keys()
        self.protocol = ConnectionProtocol(_WORKER, ProtocolPolicy(), Counters())
        self.pending = Pending(10**9)
        self.ids = IdClock()
        self.feeds: dict[str, MarketFeed] = {}
        self.clocks: dict[int, MarketStream] = {}
        self.told = Recorded()
        self.connection = client.connection_pool.get_connection()

    def follow_new(self, now_us: int) -> None:
        """Lists and follows markets that were opened."""
        fresh = self.floor.desks.keys() - self.feeds.keys()
        if not fresh:
            return
        events = self.floor.world.events(self.floor.shown)  # type: ignore[attr-defined]
        records = [market_from_gamma(row, event, PARTITIONS) for event in events for row in event["markets"]]
        added = [self.feed(record, now_us) for record in records if record.condition_id in fresh]
        self.protocol.add(added, now_us)

    def feed(self, market: Market, now_us: int) -> MarketFeed:
        self.client.hset(self.keys.catalog, market.condition_id, market.to_json())
        self.client.xadd(self.keys.catalog_log, {"id": market.condition_id, "why": "new"})
        key = self.keys.book(market.partition, market.condition_id)
        stream = MarketStream(market.condition_id, key, market.partition)
        clock = self.keys.clock(market.partition)
        self.clocks.setdefault(market.partition, MarketStream("", clock, market.partition))
        self.told.streams += 1
        note = gap_note("handover", now_us, _WORKER)
        self.pending.append(Update(stream, "gap", None, recv_us=now_us, note=note))
        feed = self.feeds[market.condition_id] = MarketFeed(market, stream)
        return feed

    def settle(self, now_us: int) -> None:
        """Answers what the protocol asked for, and queues what it has to say."""
        while self.protocol.commands:
            commands, self.protocol.commands[:] = self.protocol.commands[:], []
            for command in commands:
                assert isinstance(command, Send), command
                self.answer(command.text, now_us)
        for update in self.protocol.updates:
            self.pending.append(update)
        self.protocol.updates.clear()
        self.protocol.notices.clear()

    def answer(self, text: str, now_us: int) -> None:
        if text == "PING":
            self.protocol.frame(b"PONG", now_us)
            return
        asked = orjson.loads(text)
        if asked.get("operation") == "unsubscribe":
            return
        for token in asked["assets_ids"]:
            found = self.floor.find(token)
            if found is not None:
                self.protocol.frame(found[0].wire.socket_book(found[1]), now_us)

    def second(self, now_us: int) -> None:
        """What a worker does each second; then everything is written."""
        self.follow_new(now_us)
        self.protocol.tick(now_us)
        self.settle(now_us)
        for stream in self.clocks.values():
            self.pending.append(Update(stream, CLOCK, None, recv_us=now_us, note=f"{_WORKER} 1 2 0"))
        self.write()
        self.told.edges |= {edge.edge_id: edge for edge in self.floor.world.edges()[-EDGES_A_SECOND:]}

    def write(self) -> None:
        while len(self.pending):
            batch = build_batch(self.pending, self.ids, _LIMITS, self.keys.wake).batch
            self.connection.send_packed_command(batch.commands())
            for _ in range(batch.replies):
                self.connection.read_response()
            replies = self.connection.read_response()
            for item, reply in zip(batch.items, replies, strict=False):
                assert isinstance(reply, bytes), reply
                item.update.stream.exists = True
                self.told.clocks += item.update.kind == CLOCK
                self.told.entries += item.update.kind != CLOCK


def record(
    client: redis.Redis,
    *,
    markets: int,
    rate: float,
    seconds: int,
    seed: int,
    start_ms: int,
    edges_per_minute: float = 0.0,
) -> Recorded:
    """Records so many seconds from `start_ms` on (Unix milliseconds)."""
    world = SyntheticWorld(seed, start_ms, markets=markets, edges_per_minute=edges_per_minute)
    floor = Floor(world, rate=rate, seed=seed, start_ms=start_ms, truth=Truth(kept_s=1.0))
    recorder = _Recorder(client, floor)
    client.set(recorder.keys.contract_version, CONTRACT_VERSION)
    client.set(recorder.keys.contract_partitions, PARTITIONS)
    protocol = recorder.protocol
    recorder.follow_new(start_ms * 1000)
    protocol.opened(start_ms * 1000)
    recorder.settle(start_ms * 1000)
    for end_ms in range(start_ms + 1000, start_ms + seconds * 1000 + 1, 1000):
        while floor.due_ms < end_ms:
            now_us = int(floor.due_ms * 1000) + 300
            due_us = protocol.due_us
            if due_us is not None and due_us <= now_us:
                protocol.tick_steps(now_us)
            for frame in floor.act():
                recorder.told.messages += 1
                if frame.everywhere or not frame.markets.isdisjoint(recorder.feeds):
                    protocol.frame(frame.data, now_us)
            recorder.settle(now_us)
        recorder.second(end_ms * 1000)
    client.connection_pool.release(recorder.connection)
    return recorder.told
