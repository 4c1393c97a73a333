"""RECORD_RAW in a running worker: everything is kept as it was, and whatever the disk does, quotes go on."""

from __future__ import annotations

import asyncio
import functools
import os
import resource
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from marketdata.raw_files import raw_files
from simulator import service as simulator
from simulator.captured.reader import read_rows
from simulator.captured.unpacking import read_content
from tests.acceptance.raw_run import Outcome, Spoken, read_folder
from tests.integration.worker.fake_venue import FakeVenue, open_venue
from tests.integration.worker.processes import WorkerProcess
from tests.integration.worker.rig import NOWHERE, Streams, until, verified, worker_settings, working
from tests.redis_server import PrivateRedis
from worker.recording import choice
from worker.recording.folder import Folder
from worker.recording.recorder import Recorder
from worker.settings import WorkerSettings

MARKETS = 2
STRANGE = (
    b"\xff\xfe not UTF-8",
    b'{"event_type":"price_change","market":',
    b'[{"a":1}, 7]',
    b"\x00\x01",
    '{"event_type":"new_thing","text":"é\\u2028\\n"}'.encode(),
    b'  {"event_type": "sport_result" , "x": 1.50}\n',
)


@pytest.fixture
async def venue() -> AsyncIterator[FakeVenue]:
    async with open_venue(MARKETS) as venue:
        yield venue


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw"


def settings_of(
    server: PrivateRedis, venue: FakeVenue, folder: Path, raw: Path, **given: Any
) -> WorkerSettings:
    catalog = venue.write_catalog(folder / "catalog.json")
    places = {"venue_ws_url": venue.ws_url, "clob_url": venue.url, "catalog": catalog}
    return worker_settings(server.url, worker_id="w1", record_raw=str(raw), **{**places, **given})


def process_of(
    server: PrivateRedis, venue: FakeVenue, folder: Path, raw: Path, **given: Any
) -> WorkerProcess:
    settings = {
        "redis_url": server.url,
        "venue_ws_url": venue.ws_url,
        "gamma_url": NOWHERE,
        "clob_url": venue.url,
        "catalog": venue.write_catalog(folder / "catalog.json"),
        "record_raw": raw,
    }
    return WorkerProcess(folder, "w1", **{**settings, **given})


def counter(streams: Streams, name: str) -> int:
    return int(streams.status("w1").get("counters", {}).get(name, 0))


async def live(streams: Streams) -> None:
    await until(lambda: streams.status("w1").get("tokens_live") == 2 * MARKETS, "all tokens are live")


async def shown(venue: FakeVenue, streams: Streams, cents: int) -> None:
    """Quotes a market, and waits until the quote stands in its stream."""
    one = venue.markets[0]
    await venue.quote(one, cents)
    bid = f"0.{cents:02d}"

    def there() -> bool:
        return any(row.entry.bid == bid for row in streams.by_market()[one.condition_id])

    await until(there, f"{bid} is in the stream")


def spoken(raw: Path) -> Spoken:
    """What the one connection's recording holds."""
    (one,) = read_folder(raw, Outcome(0, "")).values()
    return one


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
@pytest.mark.parametrize("socket_mode", ["python", "native"])
async def test_all_that_was_sent_is_kept_as_it_was(
    server: PrivateRedis,
    streams: Streams,
    venue: FakeVenue,
    tmp_path: Path,
    raw: Path,
    socket_mode: str,
    compression: str,
) -> None:
    given = {"socket_mode": socket_mode, "record_raw_compression": compression, "ping_interval_s": 0.5}
    async with working(settings_of(server, venue, tmp_path, raw, **given)):
        await live(streams)
        for number, frame in enumerate(STRANGE):
            await venue.send(frame, WSMsgType.BINARY if number % 2 else WSMsgType.TEXT)
        await shown(venue, streams, 77)
        await until(lambda: "PING" in venue.received, "a PING went out")
        await until(lambda: counter(streams, "recorded") > len(STRANGE), "it is told")
    one = spoken(raw)
    place = one.frames.index(STRANGE[0])
    assert tuple(one.frames[place : place + len(STRANGE)]) == STRANGE
    assert one.requests == venue.received
    assert len(one.frames) == counter(streams, "frames")
    assert counter(streams, "recording_lost") == 0
    lines = [orjson.loads(line) for line in _lines(raw)]
    assert (lines[0]["dir"], lines[0]["data"]) == ("open", venue.ws_url)
    assert (lines[-1]["dir"], lines[-1]["data"]) == ("close", "1000 closed by us")
    received_us = {row.entry.recv_us for row in streams.all_rows() if row.entry.bid == "0.77"}
    stamps = {row["t"] for row in lines if '"0.77"' in row.get("data", "")}
    assert received_us
    assert {f"{stamp[-7:-1]}" for stamp in stamps} >= {f"{us % 10**6:06d}" for us in received_us}


def _replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_bytes(b"")


def _lines(raw: Path) -> list[bytes]:
    return [line for file in raw_files(raw) for line in read_content(raw / file.name, 10**9).splitlines()]


async def test_frames_that_cannot_be_read_are_played_as_they_came(
    server: PrivateRedis, streams: Streams, venue: FakeVenue, tmp_path: Path, raw: Path
) -> None:
    async with working(settings_of(server, venue, tmp_path, raw)):
        await live(streams)
        for frame in STRANGE:
            await venue.send(frame)
        await shown(venue, streams, 78)
    one = spoken(raw)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    playing = asyncio.create_task(
        simulator.run(
            host="127.0.0.1",
            port=0,
            captures=[raw],
            speed=0,
            loop=False,
            stop=stop,
            on_ready=ready.set_result,
        )
    )
    heard: list[bytes] = []
    wanted = [frame for frame in one.frames if frame not in (b"PONG", b"[]")]
    async with aiohttp.ClientSession() as http, asyncio.timeout(20):
        url = await ready
        async with http.ws_connect(f"{url}/ws/market", decode_text=False) as socket:
            for text in one.subscriptions:
                await socket.send_str(text)
            while len(heard) < len(wanted):
                message = await socket.receive()
                assert message.type is WSMsgType.TEXT, message
                heard += [] if message.data in (b"PONG", b"[]") else [message.data]
    stop.set()
    await playing
    assert heard == wanted
    assert set(STRANGE) <= set(heard)


async def test_a_disk_that_hangs_loses_recording_and_no_quote(
    server: PrivateRedis,
    streams: Streams,
    venue: FakeVenue,
    tmp_path: Path,
    raw: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    # A pipe that nobody reads: the first 64 kB fit, then the thread hangs in write().
    monkeypatch.setattr(Folder, "create", lambda *_: (tmp_path / "pipe", os.dup(writing)))
    monkeypatch.setattr(choice, "Recorder", functools.partial(Recorder, buffer_bytes=100_000))
    os.mkdir(raw)
    async with working(settings_of(server, venue, tmp_path, raw)):
        await live(streams)
        while not counter(streams, "recording_lost"):
            await venue.send(orjson.dumps({"event_type": "noise", "x": os.urandom(5000).hex()}))
            await asyncio.sleep(0.001)
        for cents in range(60, 70):
            await shown(venue, streams, cents)
        assert counter(streams, "disconnects") == 0
    os.close(reading)
    os.close(writing)
    await verified(server.url)


async def test_a_disk_that_fails_is_told_and_tried_again(
    server: PrivateRedis, streams: Streams, venue: FakeVenue, tmp_path: Path, raw: Path
) -> None:
    with process_of(server, venue, tmp_path, raw) as worker:
        await live(streams)
        await until(lambda: counter(streams, "recorded"), "something is recorded")
        # The folder goes, and a file stands where it was.
        _replace_by_a_file(raw)
        for cents in range(60, 65):
            await shown(venue, streams, cents)
        await until(lambda: "the recording pauses" in worker.log, "it is told")
        os.unlink(raw)
        await until(lambda: "the recording goes on" in worker.log, "it is tried again")
        await shown(venue, streams, 70)
        worker.send(signal.SIGTERM)
        assert await worker.end(10) == 0
    assert "Traceback" not in worker.log
    assert counter(streams, "recording_lost") == 0
    bids = {f'"0.{cents}"' for cents in (*range(61, 65), 70)}
    assert all(any(bid.encode() in frame for frame in spoken(raw).frames) for bid in bids)
    await verified(server.url)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
async def test_a_full_disk_is_no_end_of_anything(
    server: PrivateRedis, streams: Streams, venue: FakeVenue, tmp_path: Path, raw: Path
) -> None:
    with process_of(server, venue, tmp_path, raw) as worker:
        await live(streams)
        await until(lambda: counter(streams, "recorded"), "something is recorded")
        # From here on no file of that process may grow beyond this.
        resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (60_000, 60_000))
        while "the recording pauses" not in worker.log:
            await venue.send(orjson.dumps({"event_type": "noise", "x": os.urandom(20_000).hex()}))
            await asyncio.sleep(0.01)
        for cents in range(60, 65):
            await shown(venue, streams, cents)
        worker.send(signal.SIGTERM)
        assert await worker.end(10) == 0
    assert "Traceback" not in worker.log
    assert max(entry.stat().st_size for entry in os.scandir(raw)) <= 60_000
    # What is there can be read to its last whole block.
    assert [row for file in raw_files(raw) for row in read_rows(raw / file.name)]
    await verified(server.url)


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
async def test_kill_9_leaves_a_file_that_can_be_read(
    server: PrivateRedis, streams: Streams, venue: FakeVenue, tmp_path: Path, raw: Path, compression: str
) -> None:
    with process_of(server, venue, tmp_path, raw, record_raw_compression=compression) as worker:
        await live(streams)
        quoting = asyncio.create_task(venue.quote_for_ever(0.002))
        await until(lambda: counter(streams, "recorded") > 500, "much is recorded", 40)
        recorded = counter(streams, "recorded")
        worker.send(signal.SIGKILL)
        await worker.end(10)
        quoting.cancel()
        await asyncio.wait({quoting})
    lines = _lines(raw)
    assert len(lines) >= recorded
    assert all(orjson.loads(line) for line in lines)
    (file,) = raw_files(raw)
    assert [row.data for row in read_rows(raw / file.name) if not row.requested]
