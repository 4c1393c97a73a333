"""`bookstream groups` and `bookstream tail --group`, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from bookstream.cli import main
from marketdata.entries import EntryId
from marketdata.groups import Group, Message, attempts
from marketdata.keys import NAME_ALLOWED
from tests.integration.group_members import Book, member
from tests.integration.worker.rig import until
from tests.redis_server import PrivateRedis
from tests.stream_writer import StreamWriter


@pytest.fixture
def server() -> Iterator[PrivateRedis]:
    with PrivateRedis(appendonly=False) as server:
        yield server


@pytest.fixture
def writer(server: PrivateRedis) -> Iterator[StreamWriter]:
    with server.client() as client:
        yield StreamWriter(client, count=6)


def bookstream(server: PrivateRedis, *words: str, columns: str = "160") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bookstream", *words, "--redis-url", server.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": columns},
    )


def facts(server: PrivateRedis, group: str) -> dict[str, Any]:
    done = bookstream(server, "groups", group, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def test_members_lag_pending_and_dead_letters(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_DELAY_S", 0.01)
    market = writer.markets[0]
    ids = [writer.top(market) for _ in range(10)]
    healed: list[EntryId] = []
    ill = True

    def handle(item: Any) -> None:
        if isinstance(item, Message):
            if item.id == ids[4] and ill:
                raise ValueError("no")
            healed.append(item.id)

    async with member(server, handle, "first"):
        await until(lambda: len(healed) == 9, "all but one are handled")
        await until(lambda: writer.client.xlen(writer.keys.dead("g")) == 1, "that one is a dead letter")

        def told() -> bool:
            record: Any = writer.client.get(writer.keys.group_member("g", "first"))
            return bool(record and json.loads(record)["handled"] == 9)

        await until(told, "the member said so")
        found = facts(server, "g")
        assert (found["streams"], found["lag"], found["pending"], found["dead"]) == (1, 0, 0, 1)
        (one,) = found["members"]
        assert one["member"] == "first"
        assert one["partitions"] == list(range(64))
        assert one["last_id"] == str(ids[9])
        shown = bookstream(server, "groups", "g").stdout
        assert "first" in shown
        assert "ValueError: no" in shown
        ill = False
        done = bookstream(server, "groups", "requeue", "g", "--id", str(ids[4]))
        assert (done.returncode, done.stdout) == (0, "1 dead letter handed back to group g\n")
        await until(lambda: healed[-1] == ids[4], "it is handled once more")
        assert bookstream(server, "groups", "drop", "g", "--id", str(ids[4])).returncode == 1
    later = [writer.top(market) for _ in range(7)]
    assert facts(server, "g")["lag"] == 7
    # Redis's own figure is wrong from here on.
    writer.client.xtrim(writer.key(market), minid=str(later[3]), approximate=False)
    assert facts(server, "g")["lag"] == 4
    book = Book()
    async with member(server, book, "second"):
        await until(lambda: len(book.messages) == 4, "the rest is read")
    writer.client.xdel(writer.key(market), str(later[3]))
    for _ in range(1_500):
        writer.top(market)
    writer.client.xgroup_setid(writer.key(market), "g", str(later[4]))
    assert facts(server, "g")["lag"] == 1_502, "counted where nothing else helps"


def test_the_whole_reason_of_a_dead_letter_is_on_one_line_of_a_pipe(
    server: PrivateRedis, writer: StreamWriter
) -> None:
    known, unknown = writer.markets[0], "book:{07}:0xnowhere"
    reason = "ValueError: a line\nand\x1b[31m another, " + "which is long " * 15 + "and ends"
    for stream in (writer.key(known), unknown):
        writer.client.xadd(
            writer.keys.dead("g"),
            {"stream": stream, "id": "17-3", "reason": reason, "attempts": 5, "kind": "top"},
        )
    done = bookstream(server, "groups", "g", columns="80")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    whole = "  " + reason.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert lines.count(whole) == 2
    first, second = (line for line in lines if line.startswith("dead letter "))
    assert first.endswith(f": entry 17-3, 5 failed calls, {known.question}")
    assert second.endswith(f": entry 17-3, 5 failed calls, {unknown}")
    header, figures = lines[:2]
    assert header.split() == [
        "group",
        "members",
        "partitions",
        "streams",
        "lag",
        "pending",
        "dead",
        "letters",
        "handed",
        "back",
    ]
    assert figures.split() == ["g", "0", "0", "0", "0", "0", "2", "0"]


async def test_a_group_that_nobody_reads_can_be_taken_away(
    server: PrivateRedis, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_DELAY_S", 0.001)
    ids = [writer.top(market) for _ in range(3) for market in writer.markets]

    def handle(item: Any) -> None:
        if isinstance(item, Message) and item.id in (ids[1], ids[2]):
            raise ValueError("no")

    async with member(server, handle, "first"):
        await until(lambda: writer.client.xlen(writer.keys.dead("g")) == 2, "two are dead letters")
        refused = bookstream(server, "groups", "remove", "g")
        assert refused.returncode == 1
        assert "group g is read by first; nothing was removed: stop it first" in refused.stderr
    writer.client.xgroup_create(writer.key(writer.markets[0]), "other", "0")
    assert bookstream(server, "groups", "requeue", "g", "--id", str(ids[1])).returncode == 0
    told = facts(server, "g")
    assert (told["dead"], told["handed_back"]) == (1, 1)
    done = bookstream(server, "groups", "remove", "g")
    assert (done.returncode, done.stdout) == (
        0,
        "group g is removed from 6 streams and 0 clocks; 2 dead letters stay until bookstream groups drop g\n",
    )
    assert {key.decode() for key in writer.client.scan_iter(match="*:g*")} == {writer.keys.dead("g")}
    assert writer.client.zscore(writer.keys.groups, "g") is None
    for market in writer.markets:
        names = [one["name"] for one in writer.client.xinfo_groups(writer.key(market))]
        assert names == ([b"other"] if market is writer.markets[0] else [])
    assert bookstream(server, "groups", "drop", "g").stdout == "2 dead letters removed from group g\n"
    gone = bookstream(server, "groups", "remove", "g")
    assert (gone.returncode, gone.stderr) == (
        1,
        "bookstream groups: no group named 'g' reads these streams\n",
    )
    async with member(server, handle, "second"):
        await until(lambda: writer.client.xlen(writer.keys.dead("g")) == 2, "all is read anew")
    done = bookstream(server, "groups", "remove", "g", "--dead-letters")
    assert done.stdout == "group g is removed from 6 streams and 0 clocks, with 2 dead letters\n"
    assert not list(writer.client.scan_iter(match="*:g*"))
    # A replay is on no list of members, and holds leases.
    writer.client.hset("lease:{07}:g", mapping={"owner": "replay-1", "expires_ms": 2**42})
    assert "group g is read by replay-1" in bookstream(server, "groups", "remove", "g").stderr


def test_what_cannot_be_meant_is_one_line(server: PrivateRedis) -> None:
    for words, said, code in (
        (("groups", "nosuch"), "no group named 'nosuch' reads these streams", 1),
        (("groups", "requeue"), "whose dead letters? say bookstream groups requeue GROUP", 2),
        (("groups", "remove"), "which group? say bookstream groups remove GROUP", 2),
        (("groups", "remove", "nosuch"), "no group named 'nosuch' reads these streams", 1),
        (("groups", "drop", "g", "--id", "x"), "--id", 2),
        (("tail", "--group", "g", "--market", "0x1"), "a member reads all markets", 2),
        (("tail", "--group", "a:b"), "--group", 2),
        (("tail", "--group", "g", "--from", "2h"), "from where its group stands; leave out --from", 2),
        (("groups", "requeue", "nosuch"), "no group named 'nosuch' reads these streams", 1),
        (("groups", "drop", "nosuch"), "no group named 'nosuch' reads these streams", 1),
        (("groups", "requeue", "a b"), f"allowed: {NAME_ALLOWED}", 2),
        (("arbitrage", "--report", "--once"), "handles nothing; leave out --once", 2),
    ):
        done = bookstream(server, *words)
        assert done.returncode == code, done
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert bookstream(server, "groups").returncode == 0


def test_tail_as_a_member_prints_each_entry_once(server: PrivateRedis, writer: StreamWriter) -> None:
    ids = [writer.top(market) for _ in range(20) for market in writer.markets]
    first = bookstream(server, "tail", "--group", "t", "--count", "7", "--json")
    second = bookstream(server, "tail", "--group", "t", "--no-follow", "--json")
    third = bookstream(server, "tail", "--group", "t", "--no-follow")
    assert (first.returncode, second.returncode, third.returncode) == (0, 0, 0)
    lines = [json.loads(line) for line in (*first.stdout.splitlines(), *second.stdout.splitlines())]
    assert len(first.stdout.splitlines()) == 7
    assert sorted(EntryId.parse(one["id"]) for one in lines) == ids
    assert {one["question"] for one in lines} == {market.question for market in writer.markets}
    assert third.stdout == ""


def test_help_names_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["groups", "--help"]) == 0
    assert "requeue GROUP" in capsys.readouterr().out


async def test_words_of_strangers_are_shown_as_they_are(
    server: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "FIRST_DELAY_S", 0.001)
    with server.client() as client:
        writer = StreamWriter(client, count=1, prefix="two:")
        at = writer.top(writer.markets[0])
        log: list[str] = []

        def handle(_: Any) -> None:
            raise RuntimeError("bad [/x] [bold]:smile: \x1b[31mred")

        async with Group("g", redis_url=server.url, key_prefix="two:", log=log.append) as group:
            await group.run(handle, once=True)
    (line,) = [one for one in log if "dead letter" in one]
    assert line.isprintable()
    done = bookstream(server, "groups", "g", "--key-prefix", "two:")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  RuntimeError: bad [/x] [bold]:smile: [31mred\n" in done.stdout
    assert writer.markets[0].question in done.stdout
    assert str(at) in done.stdout
    assert "\x1b" not in done.stdout


def test_a_member_that_found_nothing_to_read_leaves_no_group(server: PrivateRedis) -> None:
    assert bookstream(server, "arbitrage", "--once", "--key-prefix", "new:").returncode == 0
    done = bookstream(server, "groups", "--key-prefix", "new:")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no group reads these streams" in done.stderr


def test_a_program_of_ones_own_ends_in_one_line(server: PrivateRedis) -> None:
    for given, said, code in (
        ("'a b', print", "'a b' is no name of a group", 2),
        ("None, print", "None is no name of a group", 2),
        ("'ab', print, redis_url='http://x'", "group ab: REDIS_URL=http://x cannot be used", 2),
        (f"'g', print, redis_url={server.url!r}, member='*'", "'*' is no name of a member", 2),
        ("'g', print, redis_url='nowhere'", "redis_url", 2),
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"from bookstream import run_group; run_group({given})"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done
        assert said.lower() in done.stderr.lower()
        assert len(done.stderr.splitlines()) == 1
