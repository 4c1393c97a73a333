"""`verify` reads whole partitions and finds what breaks the promise, and only that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from consumers import merged as merging
from consumers.merged import RangeReader, fetch_ranges, merged
from consumers.streams import MarketStream, scan_streams
from consumers.verify.check import verify
from consumers.verify.command import run
from consumers.verify.settings import VerifySettings
from marketdata.entries import EntryId
from marketdata.errors import ContractError, SettingsError
from marketdata.redis_url import redis_session
from tests.redis_server import PrivateRedis
from tests.stream_writer import FIRST_MS, StreamWriter


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        client.flushall()
        yield StreamWriter(client)


def verify_settings(server: PrivateRedis, **given: object) -> VerifySettings:
    return VerifySettings(redis_url=server.url, **given)


def tops(writer: StreamWriter, rounds: int) -> None:
    for _ in range(rounds):
        for market in writer.markets:
            for outcome in (0, 1):
                writer.top(market, outcome)


async def test_clean_streams_are_clean(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    tops(writer, 20)
    writer.gap(writer.markets[0], None, "handover")
    writer.gap(writer.markets[1], 1)
    writer.top(writer.markets[1], 1, lost=3)
    assert await run(verify_settings(server)) == 0
    assert capsys.readouterr().out == (
        "clean: 3 streams, 123 entries, 2 gaps (disconnect 1, handover 1), no unmarked holes\n"
    )


async def test_an_unmarked_hole_is_told_with_its_place(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    market = writer.markets[1]
    tops(writer, 3)
    before = writer.top(market, 1)
    writer.top(market, 0)
    after = writer.top(market, 1, lost=2)
    assert await run(verify_settings(server)) == 1
    summary, hole = capsys.readouterr().out.splitlines()
    assert summary == "NOT CLEAN: 3 streams, 21 entries, no gaps, 1 unmarked holes"
    assert hole == (
        f"{writer.key(market)} {after} after {before} outcome 1: seq: expected seq 5, found seq 7"
    )


async def test_json_says_the_same(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    tops(writer, 2)
    at = writer.top(writer.markets[0], 0, lost=1)
    assert await run(verify_settings(server, json_=True)) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["entries"], told["unmarked_holes"], told["violations"]) == (False, 13, 1, 0)
    assert told["holes"][0]["at"] == str(at)


async def test_streams_of_forgotten_markets_are_checked_too(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    tops(writer, 2)
    writer.top(writer.markets[2], lost=1)
    writer.client.hdel(writer.keys.catalog, writer.markets[2].condition_id)
    assert await run(verify_settings(server)) == 1


async def test_two_streams_of_a_partition_may_not_share_an_id(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = writer.markets
    assert first.partition == second.partition
    other = third if third.partition != first.partition else None
    shared = writer.top(first)
    writer.add(second, writer.entry("top", 0, 1), shared)
    if other is not None:
        writer.add(other, writer.entry("top", 0, 1), shared)
    assert await run(verify_settings(server)) == 1
    out = capsys.readouterr().out
    assert "1 violations of the contract" in out
    assert f"{shared} after {shared}: id: expected an id of its own in the partition" in out


async def test_entries_of_strangers_are_violations_not_crashes(
    server: PrivateRedis, writer: StreamWriter, capsys: pytest.CaptureFixture[str]
) -> None:
    writer.top(writer.markets[0])
    writer.client.xadd(writer.key(writer.markets[0]), {"hello": "world"}, id=f"{FIRST_MS + 50}-0")
    assert await run(verify_settings(server)) == 1
    assert "form: expected twelve readable fields" in capsys.readouterr().out


async def test_a_range_in_the_middle_needs_no_predecessor(server: PrivateRedis, writer: StreamWriter) -> None:
    market = writer.markets[0]
    writer.top(market, lost=0)
    hole = writer.top(market, lost=4)
    last = writer.top(market)
    assert await run(verify_settings(server)) == 1
    assert await run(verify_settings(server, from_=str(hole))) == 0
    assert await run(verify_settings(server, to=str(EntryId(hole.ms - 1, 0)))) == 0
    assert await run(verify_settings(server, from_=str(hole), to=str(last))) == 0


async def test_only_the_markets_that_are_meant(server: PrivateRedis, writer: StreamWriter) -> None:
    tops(writer, 1)
    writer.top(writer.markets[0], lost=1)
    clean, broken = writer.markets[1], writer.markets[0]
    assert await run(verify_settings(server, market=(clean.condition_id,))) == 0
    assert await run(verify_settings(server, market=(clean.slug,))) == 0
    assert await run(verify_settings(server, market=(broken.condition_id[:12],))) == 1
    assert await run(verify_settings(server, market=(clean.slug, broken.slug))) == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [("no-such-market", "names no market"), ("0xzz", "names no market"), ("0x", "names no market")],
)
async def test_an_unknown_market_is_a_clear_line(
    server: PrivateRedis, writer: StreamWriter, word: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        await run(verify_settings(server, market=(word,)))


async def test_an_ambiguous_beginning_is_a_clear_line(server: PrivateRedis, writer: StreamWriter) -> None:
    for digit in "ab":
        writer.client.xadd(writer.keys.book(5, "0x1234" + digit * 60), {"x": "y"})
    with pytest.raises(SettingsError, match="fits 2 markets"):
        await run(verify_settings(server, market=("0x1234",)))


async def test_another_contract_is_refused(server: PrivateRedis, writer: StreamWriter) -> None:
    writer.client.set(writer.keys.contract_version, "99")
    with pytest.raises(ContractError, match="contract '99'"):
        await run(verify_settings(server))


async def test_a_prefix_keeps_streams_apart(server: PrivateRedis, writer: StreamWriter) -> None:
    tops(writer, 1)
    writer.top(writer.markets[0], lost=1)
    StreamWriter(writer.client, "a*[b]:", 1).top(writer.markets[0])
    assert await run(verify_settings(server, key_prefix="a*[b]:")) == 0
    async with redis_session(server.url, client_name="test", log=print) as session:
        streams = await scan_streams(session.client, StreamWriter(writer.client, "a*[b]:", 0).keys)
        assert [stream.condition_id for stream in streams] == [writer.markets[0].condition_id]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"key_prefix": "typo:"},
            "nothing is there, neither catalog nor streams, under KEY_PREFIX 'typo:' of ",
        ),
        ({}, "no entries of the 3 markets listed yet, so nothing is proven, under KEY_PREFIX '' of "),
        ({"from_": "2h"}, "no entries of the 3 markets listed in this range yet"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
async def test_where_nothing_is_nothing_is_proven(
    server: PrivateRedis,
    writer: StreamWriter,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, str],
    said: str,
    as_json: bool,
) -> None:
    assert await run(verify_settings(server, json_=as_json, **given)) == 1
    told = capsys.readouterr()
    assert said in told.err
    assert told.err.count("\n") == 1
    assert "clean" not in told.out
    if as_json:
        assert json.loads(told.out)["ok"] is False
    else:
        assert told.out == ""


async def test_chunks_and_trimming_under_the_reader(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_CHUNK", (4, 4))
    tops(writer, 10)
    stream = MarketStream.of(writer.keys, writer.markets[0].partition, writer.markets[0].condition_id)
    others = [MarketStream.of(writer.keys, one.partition, one.condition_id) for one in writer.markets[1:]]
    async with redis_session(server.url, client_name="test", log=print) as session:
        whole = await verify(session.client, [stream, *others])
        assert (whole.ok, whole.entries, whole.trimmed) == (True, 60, 0)

        seen = []
        reader = RangeReader(stream.key, "-", "+", 4)
        async for read in merged([reader], fetch_ranges(session.client)):
            seen.append(read.trimmed)
            if len(seen) == 2:
                writer.client.xtrim(stream.key, maxlen=5, approximate=False)
        assert seen == [False] * 4 + [True] + [False] * 4
        assert reader.trims == 1
