"""The dashboard's reader: from what Redis holds to readings, with few commands, and on after errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from redis.exceptions import RedisError

from consumers.dashboard.reader import DashboardReader
from consumers.dashboard.reading import EngineWord, Reading, Wish
from consumers.dashboard.state import State
from marketdata.entries import EntryId
from marketdata.errors import ContractError
from marketdata.groups.dead import DeadLetter
from marketdata.redis_url import RedisSession, redis_session
from tests.dashboard_world import record
from tests.redis_server import PrivateRedis
from tests.stream_writer import FIRST_MS, StreamWriter, demo_markets


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client, "demo:")


@pytest.fixture
async def session(server: PrivateRedis) -> AsyncIterator[RedisSession]:
    async with redis_session(server.url, client_name="test", log=print) as session:
        yield session


class Clock:
    """Unix milliseconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.ms = FIRST_MS + 60_000

    def __call__(self) -> int:
        return self.ms


class Watched:
    """A reader and the state it feeds."""

    def __init__(self, session: RedisSession, writer: StreamWriter) -> None:
        self.clock = Clock()
        self.state = State()
        self._writer = writer
        self.reader = DashboardReader(session.client, writer.keys, self.clock)

    def ids(self, *numbers: int) -> tuple[str, ...]:
        return tuple(self._writer.markets[number].condition_id for number in numbers)

    async def look(self, passed_ms: int = 1_000, **wish: Any) -> Reading:
        self.clock.ms += passed_ms
        wanted = Wish(**wish)
        reading = await self.reader.look(wanted)
        self.state.take(reading, self.reader.markets, wanted.opened)
        return reading

    def bid(self, number: int, outcome: int = 0) -> str:
        return self.state.views[self.ids(number)[0]].quotes[outcome].bid.price


@pytest.fixture
def watched(session: RedisSession, writer: StreamWriter) -> Watched:
    return Watched(session, writer)


def speak(writer: StreamWriter, at_ms: int, worker: str = "w1", **given: Any) -> None:
    word = record(worker, now_ms=at_ms, something_newer={"than": "this reader"}, **given)
    writer.client.set(writer.keys.worker(worker), json.dumps(word))
    writer.client.zadd(writer.keys.workers, {worker: at_ms})


async def test_workers_markets_clocks_and_the_server(watched: Watched, writer: StreamWriter) -> None:
    writer.client.set(writer.keys.contract_partitions, 64)
    writer.client.xadd(writer.keys.clock(7), {"worker": "w1"}, id=f"{FIRST_MS + 59_000}-0")
    speak(writer, watched.clock.ms + 900)
    reading = await watched.look()
    assert [word.worker for word in reading.workers or ()] == ["w1"]
    assert watched.reader.markets.keys() == {market.condition_id for market in writer.markets}
    assert reading.partitions == 64
    assert reading.clocks == {7: FIRST_MS + 59_000}
    assert reading.server is not None
    assert reading.server.used_bytes > 100_000
    assert (await watched.look()).workers is None, "nothing new was said"
    writer.client.xadd(writer.keys.clock(7), {"worker": "w1"}, id=f"{FIRST_MS + 61_000}-0")
    speak(writer, watched.clock.ms + 1_900)
    reading = await watched.look()
    assert reading.clocks == {7: FIRST_MS + 61_000}
    assert reading.workers is not None


async def test_a_record_that_expired_is_a_worker_that_is_gone(watched: Watched, writer: StreamWriter) -> None:
    speak(writer, watched.clock.ms)
    await watched.look()
    writer.client.delete(writer.keys.worker("w1"))
    await watched.look(2_000)
    assert watched.state.workers == () or watched.state.workers == []


async def test_a_record_that_cannot_be_read_is_told(watched: Watched, writer: StreamWriter) -> None:
    speak(writer, watched.clock.ms)
    writer.client.set(writer.keys.worker("w9"), "nonsense")
    writer.client.zadd(writer.keys.workers, {"w9": 5})
    reading = await watched.look()
    assert list(reading.unreadable) == ["w9"]
    assert [word.worker for word in reading.workers or ()] == ["w1"]


async def test_only_streams_on_the_screen_are_read(watched: Watched, writer: StreamWriter) -> None:
    first, second, _ = writer.markets
    for price in range(10, 40):
        writer.top(first, 0, bid=f"0.{price}")
    writer.top(second, 0, bid="0.2")
    await watched.look(follow=watched.ids(0))
    assert watched.bid(0) == "0.39"
    assert watched.state.views.keys() == set(watched.ids(0))
    writer.top(first, 1, bid="0.6")
    writer.top(first, 0, bid="0.38")
    await watched.look(follow=watched.ids(0, 1))
    assert (watched.bid(0), watched.bid(0, 1), watched.bid(1)) == ("0.38", "0.6", "0.2")
    assert watched.state.views[first.condition_id].quotes[0].bid.moved == -1


async def test_a_quiet_outcome_is_found_behind_a_busy_one(watched: Watched, writer: StreamWriter) -> None:
    market = writer.markets[0]
    writer.top(market, 1, bid="0.77")
    for price in range(200):
        writer.top(market, 0, bid=f"0.{price + 100}")
    await watched.look(follow=watched.ids(0))
    assert watched.bid(0, 1) == "0.77"
    assert watched.bid(0) == "0.299"


async def test_too_far_behind_begins_at_the_end(watched: Watched, writer: StreamWriter) -> None:
    market = writer.markets[0]
    writer.top(market, 0, bid="0.5")
    await watched.look(follow=watched.ids(0))
    for price in range(600):
        writer.top(market, 0, bid=f"0.{price + 100}")
    await watched.look(follow=watched.ids(0))
    await watched.look(follow=watched.ids(0))
    assert watched.bid(0) == "0.699"


async def test_an_opened_market_comes_with_its_past(watched: Watched, writer: StreamWriter) -> None:
    market = writer.markets[0]
    for price in range(100):
        writer.top(market, price % 2, bid=f"0.{price + 100}")
    await watched.look(follow=watched.ids(0))
    one = watched.ids(0)[0]
    await watched.look(100, follow=(one,), opened=one)
    assert len(watched.state.views[one].entries) == 100
    writer.top(market, 0, bid="0.9")
    await watched.look(follow=(one,), opened=one)
    assert len(watched.state.views[one].entries) == 101


async def test_new_markets_appear_and_dropped_ones_go(watched: Watched, writer: StreamWriter) -> None:
    await watched.look()
    late = demo_markets()[5]
    writer.list_market(late)
    before = watched.reader.markets[writer.markets[0].condition_id]
    await watched.look()
    assert late.condition_id in watched.reader.markets
    assert watched.reader.markets[writer.markets[0].condition_id] is before, "only what changed was read"
    writer.client.hdel(writer.keys.catalog, late.condition_id)
    writer.client.xadd(writer.keys.catalog_log, {"id": late.condition_id, "why": "dropped"})
    await watched.look()
    assert late.condition_id not in watched.reader.markets


async def test_a_catalog_that_was_forgotten_is_read_anew(watched: Watched, writer: StreamWriter) -> None:
    await watched.look()
    writer.client.flushall()
    await watched.look()
    assert not watched.reader.markets
    writer.list_market(writer.markets[0])
    await watched.look()
    assert len(watched.reader.markets) == 1


async def test_opportunities_and_groups_are_read_while_they_are_looked_at(
    watched: Watched, writer: StreamWriter
) -> None:
    keys, client = writer.keys, writer.client
    watched.clock.ms = FIRST_MS + 3_600_000
    fields = {"action": "open", "basket": "b1", "kind": "trio", "net": "4.2", "legs": "[]"}
    client.xadd(keys.opportunities(3), fields, id=f"{watched.clock.ms - 5000}-1")
    client.zadd("demo:groups", {"archive": 1})
    client.zadd("demo:group:archive", {"m1": 1, "m2": 1})
    client.set("demo:group:archive:m1", orjson.dumps({"partitions": [1, 2], "behind_ms": 5, "now_ms": 9}))
    letter = DeadLetter(writer.key(writer.markets[0]), EntryId(5, 1), "ValueError: x", 5, ())
    client.execute_command(*letter.command(keys.dead("archive")))
    client.xadd(keys.dead("archive"), {"not": "ours"})
    reading = await watched.look()
    assert (reading.found, reading.groups) == ((), None)
    reading = await watched.look(opportunities=True)
    assert [(one.basket, one.net, one.partition) for one in reading.found] == [("b1", "4.2", 3)]
    client.xadd(keys.opportunities(3), {**fields, "action": "close"}, id=f"{watched.clock.ms}-1")
    assert [one.action for one in (await watched.look(opportunities=True)).found] == ["close"]
    writer.top(writer.markets[0])
    writer.top(writer.markets[0])
    client.xgroup_create(writer.key(writer.markets[0]), "mine", id="0")
    client.xreadgroup("mine", "me", {writer.key(writer.markets[0]): ">"}, count=1)
    archive, mine = (await watched.look(groups=True)).groups or ()
    assert (archive.group, archive.partitions, archive.behind_ms, archive.dead) == ("archive", 2, 5, 2)
    strange, told = archive.letters
    assert (strange.condition_id, strange.reason) == ("", "")
    assert (told.condition_id, told.attempts, told.reason) == (
        writer.markets[0].condition_id,
        "5",
        "ValueError: x",
    )
    assert [one.member for one in archive.members] == ["m1"], "the record of m2 has expired"
    assert (mine.group, mine.members, mine.pending, mine.lag) == ("mine", (), 1, 1)
    assert (mine.looked, mine.streams) == (3, 3)


async def test_the_lag_is_counted_where_redis_does_not_know_it(
    watched: Watched, writer: StreamWriter
) -> None:
    market = writer.markets[0]
    key = writer.key(market)
    writer.list_market(market)
    writer.client.xgroup_create(key, "mine", id="0", mkstream=True)
    for _ in range(6):
        writer.top(market)
    writer.client.xreadgroup("mine", "me", {key: ">"}, count=2)
    ids = [one for one, _ in writer.client.xrange(key)]
    writer.client.xdel(key, ids[4])
    writer.client.xtrim(key, minid=ids[1], approximate=False)
    (mine,) = (await watched.look(groups=True)).groups or ()
    assert (mine.lag, mine.pending) == (3, 2)


async def test_whether_an_engine_runs_is_told(watched: Watched, writer: StreamWriter) -> None:
    keys, client = writer.keys, writer.client
    assert (await watched.look(opportunities=True)).engine == EngineWord()
    client.hset(keys.arbitrage(1), "group", "arb")
    assert (await watched.look(1_000, opportunities=True)).engine == EngineWord("arb", 0)
    client.zadd(keys.group("arb"), {"old": 7_000, "new": 9_000})
    assert (await watched.look(1_000, opportunities=True)).engine == EngineWord("arb", 9_000)
    client.hset(keys.arbitrage(5), "group", "other")
    found = {"action": "open", "basket": "b1", "legs": "[]"}
    client.xadd(keys.opportunities(5), found, id=f"{watched.clock.ms}-1")
    assert (await watched.look(1_000, opportunities=True)).engine == EngineWord("other", 0)


async def test_nothing_at_all_is_an_empty_picture(watched: Watched, writer: StreamWriter) -> None:
    writer.client.flushall()
    await watched.look(follow=("0xunknown",), opportunities=True, groups=True)
    assert watched.state.health(watched.clock.ms).why == "no worker is here"


async def test_another_contract_is_refused(watched: Watched, writer: StreamWriter) -> None:
    writer.client.set(writer.keys.contract_version, 99)
    with pytest.raises(ContractError, match="contract '99'"):
        await watched.look()


async def test_it_goes_on_after_redis_was_away(
    server: PrivateRedis, watched: Watched, writer: StreamWriter
) -> None:
    writer.top(writer.markets[0], bid="0.1")
    speak(writer, watched.clock.ms)
    for number, action in enumerate(("open", "close", "open")):
        fields = {"action": action, "basket": "b1", "legs": "[]"}
        writer.client.xadd(writer.keys.opportunities(3), fields, id=f"{watched.clock.ms + number}-1")
    await watched.look(follow=watched.ids(0), opportunities=True)
    server.kill9()
    with pytest.raises(RedisError):
        await watched.look(follow=watched.ids(0))
    server.start()
    watched.reader.forget()
    writer.top(writer.markets[0], bid="0.2")
    await watched.look(follow=watched.ids(0))
    assert watched.bid(0) == "0.2"
    await watched.look(2_500, opportunities=True)
    await watched.look(1_000, opportunities=True)
    known = watched.state.opportunities
    assert known.seen == 3, "it was read anew"
    assert (len(known.open), len(known.closed)) == (1, 1)


async def test_few_commands(watched: Watched, writer: StreamWriter) -> None:
    for market in writer.markets:
        writer.top(market)
    await watched.look(follow=watched.ids(0, 1, 2), opportunities=True)

    def processed() -> int:
        return int(writer.client.info("stats")["total_commands_processed"])

    before = processed()
    for second in range(10):
        speak(writer, watched.clock.ms + second)
        for _ in range(4):
            await watched.look(250, follow=watched.ids(0, 1, 2), opportunities=True)
    own = 10 * 2 + 1
    assert (processed() - before - own) / 10 < 15


async def test_few_commands_for_many_groups_and_streams(
    session: RedisSession, server: PrivateRedis, writer: StreamWriter
) -> None:
    writer.client.flushall()
    many = StreamWriter(writer.client, "demo:", count=1)
    for number in range(80):
        market = replace(many.markets[0], condition_id=f"0x{number:064x}")
        many.list_market(market)
        many.top(market)
        for name in ("one", "two", "three"):
            many.client.xgroup_create(many.key(market), name, id="0")
    watched = Watched(session, many)
    reading = await watched.look(groups=True)
    assert [one.looked for one in reading.groups or ()] == [15] * 3

    def processed() -> int:
        return int(many.client.info("stats")["total_commands_processed"])

    before = processed()
    for _ in range(6):
        for _ in range(4):
            reading = await watched.look(250, groups=True)
    assert (processed() - before - 1) / 6 < 50
    assert [(one.looked, one.lag, one.streams) for one in reading.groups or ()] == [(81, 80, 81)] * 3
