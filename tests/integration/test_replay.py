"""`replay` gives back what was recorded, and says so where it cannot."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from pydantic import ValidationError

from consumers.replay import command, hold, patience
from consumers.replay.command import run
from consumers.replay.into import OtherStreams
from consumers.replay.settings import ReplaySettings
from consumers.replay.sinks import JsonLines
from consumers.tail.command import run as run_tail
from consumers.tail.settings import TailSettings
from marketdata.entries import EntryId
from marketdata.errors import RedisAwayError, RedisRefusedError, ReplayError, SettingsError
from marketdata.groups import Group
from marketdata.keys import Keys
from marketdata.tasks import end_tasks
from tests.integration.group_members import Book, member
from tests.integration.worker.rig import Streams, raw, until, verified
from tests.redis_server import PrivateRedis
from tests.stream_writer import FIRST_MS, StreamWriter

COPY = "copy:"
ENDS_WITHIN_S = 10.0


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis() as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        yield recorded(client)


def recorded(client: redis.Redis, rounds: int = 40) -> StreamWriter:
    """Twelve markets, a clock entry each round."""
    writer = StreamWriter(client, count=12)
    client.set(writer.keys.contract_version, 1)
    client.set(writer.keys.contract_partitions, 64)
    for _ in range(rounds):
        for market in writer.markets:
            writer.top(market, 0)
            writer.top(market, 1)
        writer.ms += 1
        for partition in {one.partition for one in writer.markets}:
            fields = {"worker": "w1", "epoch": "1", "live": "2", "stale": "0"}
            client.xadd(writer.keys.clock(partition), fields, id=f"{writer.ms}-0")  # type: ignore[arg-type]
    return writer


def replay_settings(server: PrivateRedis, **given: Any) -> ReplaySettings:
    return ReplaySettings(redis_url=server.url, **given)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def recorded_ids(writer: StreamWriter) -> list[tuple[EntryId, str]]:
    """All ids of market streams in the total order."""
    streams = Streams(writer.client)
    return sorted((row.id, key) for key in streams.names() for row in streams.rows(key))


def marker(writer: StreamWriter) -> dict[str, str]:
    found: Any = writer.client.hgetall(f"{COPY}replay")
    return {name.decode(): value.decode() for name, value in found.items()}


async def test_lines_are_those_of_tail_in_the_total_order(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(replay_settings(server)) == 0
    said = capsys.readouterr()
    assert "960 entries of 12 streams in" in said.err
    for size in (2, 3, 500):
        assert await run(replay_settings(server, read_size=size)) == 0
        assert capsys.readouterr().out == said.out
    await run_tail(TailSettings(redis_url=server.url, from_="0", follow=False, json_=True))
    assert capsys.readouterr().out == said.out
    told = [json.loads(line) for line in said.out.splitlines()]
    assert [(EntryId.parse(one["id"]), one["stream"]) for one in told] == recorded_ids(writer)


async def test_equal_ids_of_two_partitions_are_ordered_by_key(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = EntryId(writer.ms + 5, 0)
    others = {market.partition: market for market in writer.markets}
    assert len(others) > 1
    for market in others.values():
        writer.add(market, writer.entry("gap", None, 40, note="redis 1 w1"), shared)
    assert await run(replay_settings(server, from_=str(shared))) == 0
    assert [one["stream"] for one in lines(capsys)] == sorted(map(writer.key, others.values()))


async def test_a_range_includes_both_ends(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [one for one, _ in recorded_ids(writer)]
    assert await run(replay_settings(server, from_=str(ids[100]), to=str(ids[300]))) == 0
    assert [EntryId.parse(one["id"]) for one in lines(capsys)] == ids[100:301]
    assert await run(replay_settings(server, to="2023-11-14T22:13:20.004Z")) == 0
    assert len(lines(capsys)) == 4


async def test_markets_events_and_families_add_up(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    by_event: dict[str, set[str]] = {}
    by_family: dict[str, set[str]] = {}
    for market in writer.markets:
        by_event.setdefault(market.event_slug, set()).add(market.condition_id)
        by_family.setdefault(market.family, set()).add(market.condition_id)
    event, family = next(iter(by_event)), list(by_family)[-1]
    one = writer.markets[0]
    for given, wanted in (
        ({"market": (one.slug,)}, {one.condition_id}),
        ({"event": (event,)}, by_event[event]),
        ({"event": (one.event_id,)}, by_event[one.event_slug]),
        ({"family": (family,)}, by_family[family]),
        ({"family": (family,), "market": (one.slug,)}, by_family[family] | {one.condition_id}),
    ):
        assert await run(replay_settings(server, **given)) == 0
        assert {row["market"] for row in lines(capsys)} == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"market": ("no-such",)}, "--market 'no-such' names no market"),
        ({"event": ("no-such",)}, "--event 'no-such' names no event of the 12 markets"),
        ({"family": ("no-such",)}, "--family 'no-such' names no family"),
        ({"from_": "2101-01-01"}, "in the future; nothing was replayed"),
        ({"to": "2101-01-01"}, "in the future; nothing was replayed"),
        ({"from_": "1h", "to": "2h"}, "lies before --from"),
    ],
)
async def test_what_cannot_be_meant_is_a_clear_line(
    server: PrivateRedis, writer: StreamWriter, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        await run(replay_settings(server, **given, into=COPY))
    assert not list(writer.client.scan_iter(f"{COPY}*")), "nothing was written"


async def test_an_empty_range_writes_nothing(server: PrivateRedis, writer: StreamWriter) -> None:
    with pytest.raises(ReplayError, match=r"no entry lies between .* in 12 streams; nothing was replayed"):
        await run(replay_settings(server, to="2023-01-01", into=COPY, group="g"))
    assert not list(writer.client.scan_iter(f"{COPY}*"))
    assert writer.client.xinfo_groups(writer.key(writer.markets[0])) == []


def test_a_copy_goes_elsewhere(server: PrivateRedis) -> None:
    for given in ({"into": "a:", "key_prefix": "a:"}, {"into": ""}, {"into": "a{b}"}):
        with pytest.raises(ValidationError):
            replay_settings(server, **given)


async def test_a_copy_is_what_any_consumer_expects(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(replay_settings(server, into=COPY)) == 0
    source, copy = Streams(writer.client), Streams(writer.client, COPY)
    assert copy.names() == [COPY + key for key in source.names()]
    clocks = {source.keys.clock(one.partition) for one in writer.markets}
    for key in [*source.names(), *clocks]:
        assert raw(copy, COPY + key) == raw(source, key)
        assert list(raw(copy, COPY + key)[0][1]) == list(raw(source, key)[0][1]), "fields keep their order"
    client = writer.client
    for name in ("catalog", "catalog_log", "contract_version", "contract_partitions"):
        assert held(client, getattr(copy.keys, name)) == held(client, getattr(source.keys, name)), name
    assert marker(writer).items() >= {"state": "done", "entries": "1360", "source": "", "why": ""}.items()
    assert (await verified(server.url, COPY)).entries == 960
    capsys.readouterr()
    await run_tail(TailSettings(redis_url=server.url, from_="0", follow=False, json_=True, key_prefix=COPY))
    copied = lines(capsys)
    await run(replay_settings(server))
    assert copied == [{**one, "stream": COPY + one["stream"]} for one in lines(capsys)]


async def test_a_copy_of_one_market_keeps_the_revision(server: PrivateRedis, writer: StreamWriter) -> None:
    one = writer.markets[3]
    assert await run(replay_settings(server, into=COPY, market=(one.slug,))) == 0
    keys = Keys(COPY)
    assert writer.client.hkeys(keys.catalog) == [one.condition_id.encode()]
    newest: Any = writer.client.xrevrange(keys.catalog_log, count=1)
    assert newest == writer.client.xrevrange(writer.keys.catalog_log, count=1)


async def test_a_copy_goes_on_above_and_never_between(server: PrivateRedis, writer: StreamWriter) -> None:
    half = recorded_ids(writer)[500][0]
    assert await run(replay_settings(server, into=COPY, to=str(half))) == 0
    before = marker(writer)
    with pytest.raises(
        ReplayError, match=r"already holds ids up to .*copy:replay says done.*nothing was written"
    ):
        await run(replay_settings(server, into=COPY, from_=str(half)))
    assert marker(writer) == before
    assert await run(replay_settings(server, into=COPY, from_=str(EntryId(half.ms, half.n + 1)))) == 0
    assert (await verified(server.url, COPY)).entries == 960


async def test_a_copy_is_replaced_with_all_that_was_read_there_and_nothing_else(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    client = writer.client
    client.set(f"{COPY}mine", "1")
    # Of other prefixes that begin alike.
    client.xadd(f"{COPY}2:{writer.key(writer.markets[0])}", {"a": "b"})
    client.set(f"{COPY[:-1]}2:catalog", "1")
    assert await run(replay_settings(server, into=COPY)) == 0
    copied = set(client.keys(f"{COPY}*"))  # type: ignore[union-attr]
    async with Group("g", redis_url=server.url, key_prefix=COPY, member="reader") as group:
        reading = asyncio.create_task(group.run(lambda _: None))
        await until(lambda: client.exists(Keys(COPY).group_member("g", "reader")) == 1, "it reads")
        with pytest.raises(ReplayError, match="reader of group g reads the copy"):
            await run(replay_settings(server, into=COPY, replace=True))
        group.stop()
        await reading
    client.xadd(Keys(COPY).dead("g"), {"a": "b"})
    last = writer.top(writer.markets[0])
    with pytest.raises(ReplayError, match="say --replace"):
        await run(replay_settings(server, into=COPY))
    assert await run(replay_settings(server, into=COPY, replace=True)) == 0
    assert set(client.keys(f"{COPY}*")) == copied  # type: ignore[union-attr]
    assert client.exists(f"{COPY[:-1]}2:catalog") == 1
    newest: Any = client.xrevrange(COPY + writer.key(writer.markets[0]), count=1)
    assert newest[0][0].decode() == str(last)
    client.zadd(Keys(COPY).workers, {"w1": 1})
    with pytest.raises(ReplayError, match="it is no copy; nothing was removed"):
        await run(replay_settings(server, into=COPY, replace=True))


def test_only_a_copy_is_replaced(server: PrivateRedis) -> None:
    for given in ({"replace": True}, {"replace": True, "into": COPY, "group": "g"}):
        with pytest.raises(ValidationError, match="REPLACE"):
            replay_settings(server, **given)


async def test_another_contract_is_not_written_into(server: PrivateRedis, writer: StreamWriter) -> None:
    writer.client.set(Keys(COPY).contract_partitions, 8)
    with pytest.raises(ReplayError, match="follow another contract; nothing was written"):
        await run(replay_settings(server, into=COPY))
    assert not list(writer.client.scan_iter(f"{COPY}book*"))


async def test_ids_from_elsewhere_break_a_copy_and_the_marker_says_so(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = COPY + writer.key(writer.markets[2])

    async def interfere(_: object) -> None:
        writer.client.xadd(strange, {"x": "y"}, id=f"{FIRST_MS + 500}-0")

    at_write(monkeypatch, OtherStreams, 1, interfere)
    with pytest.raises(ReplayError, match="from somebody else; it is not whole"):
        await run(replay_settings(server, into=COPY))
    assert marker(writer)["state"] == "broken"
    assert "from somebody else" in marker(writer)["why"]


def at_write(
    monkeypatch: pytest.MonkeyPatch, sink: type, number: int, do: Callable[[Any], Any], *, after: bool = False
) -> None:
    """Calls `do` before (or right after) the sink's write of this number."""
    original = sink.write  # type: ignore[attr-defined]
    calls = [0]

    async def write(self: Any, reads: Any) -> None:
        calls[0] += 1
        if calls[0] == number and not after:
            await do(reads)
        await original(self, reads)
        if calls[0] == number and after:
            await do(reads)

    monkeypatch.setattr(sink, "write", write)


async def crash(_: object) -> None:
    raise RuntimeError("killed")


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "before the acknowledgement"])
@pytest.mark.parametrize("into", [None, COPY])
async def test_a_group_goes_on_where_it_was(
    server: PrivateRedis,
    writer: StreamWriter,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    into: str | None,
    after: bool,
) -> None:
    monkeypatch.setattr(command, "BATCH", 50)
    with monkeypatch.context() as patch:
        at_write(patch, OtherStreams if into else JsonLines, 5, crash, after=after)
        with pytest.raises(RuntimeError):
            await run(replay_settings(server, group="g", into=into, read_size=7))
    if into:
        assert marker(writer)["state"] == "broken"
    first = lines(capsys)
    # The relative range of a second call is another one; the group's position counts.
    assert await run(replay_settings(server, group="g", into=into, read_size=5)) == 0
    second = lines(capsys)
    if into:
        source, copy = Streams(writer.client), Streams(writer.client, COPY)
        assert all(raw(copy, COPY + key) == raw(source, key) for key in source.names())
        assert marker(writer)["state"] == "done"
    else:
        ids = [(EntryId.parse(one["id"]), one["stream"]) for one in (*first, *second)]
        twice = 50 if after else 0
        assert len(first) == 200 + twice
        assert ids[: len(first)] == recorded_ids(writer)[: len(first)]
        assert ids[len(first) :] == recorded_ids(writer)[200:]
    for market in writer.markets:
        pending: Any = writer.client.xpending(writer.key(market), "g")
        assert pending["pending"] == 0


async def test_a_group_stands_where_its_range_ended(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = recorded_ids(writer)
    assert await run(replay_settings(server, group="g", to=str(ids[400][0]))) == 0
    assert len(lines(capsys)) == 401
    pending: Any = writer.client.xpending(writer.key(writer.markets[0]), "g")
    assert pending["pending"] == 0, "what was read beyond the range is given back"
    assert await run(replay_settings(server, group="g")) == 0
    assert [(EntryId.parse(one["id"]), one["stream"]) for one in lines(capsys)] == ids[401:]
    assert await run(replay_settings(server, group="g")) == 0
    assert lines(capsys) == []


async def test_a_group_that_read_before_makes_no_copy_that_looks_whole(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    half = str(recorded_ids(writer)[400][0])
    assert await run(replay_settings(server, group="g", to=half, into="first:")) == 0
    with pytest.raises(
        ReplayError, match=r"group 'g' has read before, and not into 'copy:'.*nothing was written"
    ):
        await run(replay_settings(server, group="g", into=COPY))
    assert not list(writer.client.scan_iter(f"{COPY}*"))
    assert await run(replay_settings(server, group="g", into="first:")) == 0
    assert (await verified(server.url, "first:")).entries == 960


async def test_a_group_has_one_reader_whether_loop_or_replay(
    server: PrivateRedis,
    writer: StreamWriter,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hold, "TTL_MS", 1_500)
    book = Book()
    async with member(server, book, "alive", lease_ttl_s=1.5):
        await until(lambda: len(book.messages) == 960, "the loop reads all")
        with pytest.raises(SettingsError, match=r"group 'g' is read by alive, .*nothing was read"):
            await run(replay_settings(server, group="g"))
    writer.top(writer.markets[0])
    # Who stopped in good order is not waited for.
    assert await run(replay_settings(server, group="g")) == 0
    assert len(lines(capsys)) == 1
    task = asyncio.create_task(run(replay_settings(server, group="slow", speed=0.01)))
    await until(
        lambda: writer.client.hget(writer.keys.lease(writer.markets[0].partition, "slow"), "owner"), "one"
    )
    with pytest.raises(SettingsError, match=r"group 'slow' is read by .*nothing was read"):
        await run(replay_settings(server, group="slow"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    late = Book()
    async with member(server, late, "next", group="slow"):
        await until(lambda: len(late.messages) > 900, "the loop goes on where the replay was")


async def test_a_replay_takes_nobody_elses_entries(server: PrivateRedis, writer: StreamWriter) -> None:
    key = writer.key(writer.markets[0])
    writer.client.xgroup_create(key, "arbitrage", "0")
    writer.client.xreadgroup("arbitrage", "engine", {key: ">"}, count=1)
    with pytest.raises(SettingsError, match=r"other members \(engine\).*nothing was read"):
        await run(replay_settings(server, group="arbitrage", into=COPY))
    assert not list(writer.client.scan_iter(f"{COPY}*"))


async def test_entries_trimmed_under_the_reader_are_told(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def trim(_: object) -> None:
        writer.client.xtrim(writer.key(writer.markets[0]), maxlen=5, approximate=False)

    monkeypatch.setattr(command, "BATCH", 50)
    at_write(monkeypatch, OtherStreams, 3, trim)
    with pytest.raises(ReplayError, match="1 times; all others were replayed"):
        await run(replay_settings(server, into=COPY, read_size=4))
    assert marker(writer)["state"] == "broken"


@pytest.mark.parametrize("group", [None, "g"])
async def test_redis_killed_half_way_and_back_costs_nothing(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch, group: str | None
) -> None:
    async def restart(_: object) -> None:
        await asyncio.to_thread(server.restart)

    monkeypatch.setattr(command, "BATCH", 50)
    at_write(monkeypatch, OtherStreams, 4, restart)
    assert await run(replay_settings(server, into=COPY, group=group, read_size=6)) == 0
    with server.client() as client:
        source, copy = Streams(client), Streams(client, COPY)
        assert all(raw(copy, COPY + key) == raw(source, key) for key in source.names())


async def test_redis_gone_for_good_is_a_clear_line_and_stays_marked(
    server: PrivateRedis,
    writer: StreamWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def kill(_: object) -> None:
        server.kill9()

    monkeypatch.setattr(command, "BATCH", 50)
    monkeypatch.setattr(patience, "GIVE_UP_S", 0.5)
    monkeypatch.setattr(command, "_MARK_WITHIN_S", 0.2)
    at_write(monkeypatch, OtherStreams, 4, kill)
    with pytest.raises(RedisAwayError, match=r"Redis stayed away for 0.5 s .*the replay is unfinished"):
        await run(replay_settings(server, into=COPY, read_size=6))
    server.start()
    with server.client() as client:
        assert client.hget(f"{COPY}replay", "state") == b"running"


async def test_redis_that_forgot_what_it_acknowledged_breaks_a_copy(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = COPY + writer.key(writer.markets[0])

    async def forget(_: object) -> None:
        writer.client.delete(key)

    monkeypatch.setattr(command, "BATCH", 50)
    at_write(monkeypatch, OtherStreams, 4, forget)
    with pytest.raises(ReplayError, match=r"lacks .* entries that Redis had acknowledged"):
        await run(replay_settings(server, into=COPY))
    with server.client() as client:
        assert client.hget(f"{COPY}replay", "state") == b"broken"


async def test_a_full_redis_is_a_clear_line(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill(_: object) -> None:
        writer.client.config_set("maxmemory-policy", "noeviction")
        writer.client.config_set("maxmemory", "1mb")

    monkeypatch.setattr(command, "BATCH", 50)
    at_write(monkeypatch, OtherStreams, 4, fill)
    with pytest.raises(RedisRefusedError, match="the replay is unfinished"):
        await run(replay_settings(server, into=COPY))
    assert marker(writer)["state"] == "running", "there was no room to say more"


async def test_interrupted_is_marked(server: PrivateRedis, writer: StreamWriter) -> None:
    task = asyncio.create_task(run(replay_settings(server, into=COPY, speed=0.01)))
    await until(lambda: writer.client.exists(COPY + writer.key(writer.markets[0])), "the first entry")
    await end_tasks([task])
    assert task.cancelled()
    assert marker(writer).items() >= {"state": "broken", "why": "interrupted"}.items()


def held(client: redis.Redis, key: str) -> Any:
    """What a key holds; a hash has no order."""
    return client.hgetall(key) if client.type(key) == b"hash" else client.dump(key)


async def test_one_ctrl_c_ends_a_replay_that_writes_flat_out(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    """Every second cancellation of such a one gets lost inside of the client of Redis."""
    with server.client() as client:
        client.flushall()
        recorded(client, 1500)
        ended: list[int] = []
        for number in range(6):
            into = f"copy{number}:"
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bookstream", "replay", "--redis-url", server.url, "--into", into),
                *("--read-size", "5"),
                stderr=asyncio.subprocess.PIPE,
            )
            await until(lambda into=into: client.exists(f"{into}replay"), "it writes")
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(ENDS_WITHIN_S):
                _, said = await process.communicate()
            assert b"Traceback" not in said
            ended.append(
                client.xlen(Keys(into).book(writer.markets[0].partition, writer.markets[0].condition_id))
            )
            assert process.returncode == 130, said.decode()
        assert max(ended) < 3000, "each ended before it was through"
