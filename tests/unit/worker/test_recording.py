"""Raw capture: what a line says, when a new file begins, what is deleted, what is lost and how that is told."""

from __future__ import annotations

import base64
import errno
import fcntl
import gzip
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from marketdata.backoff import Backoff
from marketdata.raw_files import Compression, RawFile, raw_file_name, raw_files
from marketdata.zstd import ZstdDecompressor
from simulator.captured.unpacking import read_content
from worker.counters import Counters
from worker.recording.folder import Folder
from worker.recording.hourly import FILE_SHARE, HourlyFiles
from worker.recording.lines import LineWriter, Taken, by_hour, lost
from worker.recording.packers import packer_of
from worker.recording.recorder import Recorder

HOUR = 497_203
HOUR_US = HOUR * 3_600_000_000
"""2026-09-20T19:00Z."""

BOUND_S = 10.0


def until(look: Callable[[], object], what: str) -> None:
    end_s = time.monotonic() + BOUND_S
    while not look():
        assert time.monotonic() < end_s, f"after {BOUND_S:g} s still not: {what}"
        time.sleep(0.002)


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return ZstdDecompressor().decompress(data) if path.suffix == ".zst" else gzip.decompress(data)


def rows(folder: Path) -> list[dict[str, Any]]:
    """All lines of all files, in order."""
    return [
        orjson.loads(line) for file in raw_files(folder) for line in unpacked(folder / file.name).splitlines()
    ]


# -- lines ------------------------------------------------------------------------------------------------------


def test_a_line_has_the_samples_wrapper_with_microseconds_and_connection() -> None:
    line = LineWriter("w1").line((HOUR_US + 1_000_007, "recv", "c0", b'{"a": "\\u00e9 \xc3\xa9"}\n'))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert orjson.loads(line) == {
        "t": "2026-09-20T19:00:01.000007Z",
        "dir": "recv",
        "conn": "w1/c0",
        "data": '{"a": "\\u00e9 é"}\n',
    }


@given(st.binary())
def test_any_payload_comes_back_byte_for_byte(data: bytes) -> None:
    row = orjson.loads(LineWriter("w1").line((HOUR_US, "recv", "c0", data)))
    assert ("data" in row) != ("data_base64" in row)
    back = row["data"].encode() if "data" in row else base64.b64decode(row["data_base64"])
    assert back == data


def test_a_loss_says_how_many_and_since_when() -> None:
    row = orjson.loads(LineWriter("w1").line(lost(HOUR_US + 5, 17, HOUR_US + 2)))
    assert (row["dir"], row["frames"], row["data"]) == ("lost", 17, "17 frames were not recorded")
    assert (row["since"], row["t"]) == ("2026-09-20T19:00:00.000002Z", "2026-09-20T19:00:00.000005Z")


def test_items_are_cut_at_full_hours_and_a_clock_set_back_does_not_reopen_one() -> None:
    def at(us: int) -> Taken:
        return us, "recv", "c0", b"x"

    before, after, back = at(HOUR_US - 1), at(HOUR_US), at(HOUR_US - 2)
    assert list(by_hour([before, after, back], 0)) == [(HOUR - 1, [before]), (HOUR, [after, back])]
    assert list(by_hour([back], HOUR)) == [(HOUR, [back])]
    assert list(by_hour([], HOUR)) == []


# -- names ------------------------------------------------------------------------------------------------------


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True), st.integers(0, 10**5))
def test_a_name_says_what_it_was_made_of(worker: str, part: int) -> None:
    name = raw_file_name(HOUR, worker, part, "gzip")
    assert RawFile.parse(name) == RawFile("20260920T19", worker, part, name)


def test_strangers_are_no_files_of_a_capture() -> None:
    for name in ("raw.jsonl.zst", "raw-20260920T19Z-w1-0000.jsonl", "raw-20260920T19Z-w1-0000.jsonl.zst.tmp"):
        assert RawFile.parse(name) is None


# -- files ------------------------------------------------------------------------------------------------------


def files_in(folder: Path, limit: int = 10**9, compression: Compression = "zstd", **more: Any) -> HourlyFiles:
    return HourlyFiles(Folder(folder, limit), more.pop("worker", "w1"), compression, limit, **more)


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_each_block_can_be_read_before_the_file_has_an_end(tmp_path: Path, compression: Compression) -> None:
    files = files_in(tmp_path, compression=compression)
    files.write(HOUR, [b"one\n"])
    files.write(HOUR, [b"two\n"])
    (file,) = raw_files(tmp_path)
    assert read_content(tmp_path / file.name, 100) == b"one\ntwo\n"
    files.close()
    assert unpacked(tmp_path / file.name) == b"one\ntwo\n"


def test_a_new_hour_begins_a_new_file(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write(HOUR, [b"one\n"])
    files.write(HOUR + 1, [b"two\n"])
    files.close()
    names = [file.name for file in raw_files(tmp_path)]
    assert names == ["raw-20260920T19Z-w1-0000.jsonl.zst", "raw-20260920T20Z-w1-0000.jsonl.zst"]
    assert [unpacked(tmp_path / name) for name in names] == [b"one\n", b"two\n"]


def test_a_file_that_is_large_unpacked_is_followed_by_another(tmp_path: Path) -> None:
    files = files_in(tmp_path, plain_bytes=1000)
    for _ in range(6):
        files.write(HOUR, [b"x" * 300, b"\n"])
    files.close()
    assert [len(unpacked(tmp_path / file.name)) for file in raw_files(tmp_path)] == [1204, 602]


def test_a_worker_that_comes_again_within_the_hour_takes_the_next_number(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        files = files_in(tmp_path)
        files.write(HOUR, [text])
        files.close()
    assert [file.part for file in raw_files(tmp_path)] == [0, 1]


def test_a_closed_recording_without_a_line_leaves_no_file(tmp_path: Path) -> None:
    files_in(tmp_path).close()
    assert list(tmp_path.iterdir()) == []


def total(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_the_bound_holds_and_the_oldest_goes_first(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    noise = random.Random(seed)
    limit = 40_000
    files = files_in(tmp_path, limit)
    deleted: list[str] = []
    for number in range(200):
        gone = files.write(HOUR + number // 50, [noise.randbytes(1000).hex().encode(), b"\n"])
        deleted += [path.name for path in gone]
        assert total(tmp_path) <= limit
        assert len(list(tmp_path.iterdir())) <= FILE_SHARE + 1
    files.close()
    assert files.deleted == len(deleted) > 5
    assert deleted == sorted(deleted)
    # What is left are the newest, and most of the room is used.
    assert min(file.name for file in raw_files(tmp_path)) > max(deleted)
    assert total(tmp_path) > limit // 2


def test_what_another_worker_writes_is_not_deleted_and_what_it_left_is(tmp_path: Path) -> None:
    limit = 10_000
    other = files_in(tmp_path, limit, worker="w0")
    other.write(HOUR - 9, [os.urandom(2000)])
    (theirs,) = tmp_path.iterdir()
    left = tmp_path / raw_file_name(HOUR - 5, "w9", 0, "zstd")
    left.write_bytes(b"x" * 7000)
    ours = files_in(tmp_path, limit)
    assert ours.write(HOUR, [os.urandom(2000)]) == [left]
    assert theirs.exists()
    other.close()
    with theirs.open("rb") as unlocked:
        fcntl.flock(unlocked, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_room_that_others_fill_is_refused(tmp_path: Path) -> None:
    other = files_in(tmp_path, 10**6, worker="w0")
    other.write(HOUR, [os.urandom(5000)])
    ours = files_in(tmp_path, 4000)
    with pytest.raises(OSError, match="RECORD_RAW_MAX_MB is full"):
        ours.write(HOUR, [b"one\n"])
    assert len(list(tmp_path.iterdir())) == 1
    other.close()


def test_a_full_disk_costs_nothing_of_what_came_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_in(tmp_path)
    files.write(HOUR, [b"one\n"])
    real, calls = os.write, 0

    def half_then_full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return real(descriptor, data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OSError, match="No space"):
        files.write(HOUR, [b"two\n"])
    monkeypatch.undo()
    files.write(HOUR, [b"two\n"])
    files.close()
    first, second = (tmp_path / file.name for file in raw_files(tmp_path))
    assert (read_content(first, 100), unpacked(second)) == (b"one\n", b"two\n")


def test_a_file_that_was_deleted_is_noticed(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    files.write(HOUR, [b"one\n"])
    next(tmp_path.iterdir()).unlink()
    with pytest.raises(OSError, match="deleted"):
        files.write(HOUR, [b"two\n"])
    files.write(HOUR, [b"two\n"])
    files.close()
    assert unpacked(next(tmp_path.iterdir())) == b"two\n"


def test_gzip_and_zstd_pack(tmp_path: Path) -> None:
    text = b'{"price":"0.5","size":"10"}\n' * 1000
    for compression in ("zstd", "gzip"):
        packer = packer_of(compression)
        assert len(packer.pack([text]) + packer.end()) < len(text) / 20


# -- the buffer -------------------------------------------------------------------------------------------------


@contextmanager
def slow_disk() -> Iterator[tuple[Callable[[int, str, Compression], tuple[Path, int]], int]]:
    """A pipe that nobody reads stands for a disk that hangs: how a file is made, and the end to read from."""
    reading, writing = os.pipe()
    try:
        yield lambda *_: (Path("/nowhere"), os.dup(writing)), reading
    finally:
        os.close(reading)
        os.close(writing)


def recorder_of(files: HourlyFiles, **more: Any) -> Recorder:
    return Recorder(files, "w1", Backoff(0.01, 0.02, random.Random(1)), **more)


async def test_what_is_put_in_stands_in_the_files_in_order(tmp_path: Path) -> None:
    recorder = recorder_of(files_in(tmp_path))
    recorder.start()
    recorder.opened("c0", "ws://x/ws", HOUR_US)
    recorder.sent("c0", "PING", HOUR_US + 1)
    for number in range(5000):
        recorder.received("c0", b"\xff%d" % number, HOUR_US + number)
    recorder.closed("c0", "1000", HOUR_US + 9000)
    await recorder.close()
    found = rows(tmp_path)
    assert [row["dir"] for row in found] == ["open", "send", *["recv"] * 5000, "close"]
    assert {row["conn"] for row in found} == {"w1/c0"}
    assert (recorder.recorded, recorder.lost) == (5003, 0)
    counters = Counters()
    recorder.count_into(counters)
    assert (counters.recorded, counters.recording_lost, counters.recording_deleted) == (5003, 0, 0)


async def test_a_disk_that_hangs_loses_the_recording_and_holds_nobody_up(tmp_path: Path) -> None:
    with slow_disk() as (create, _), capture_logs() as said:
        recorder = recorder_of(files_in(tmp_path, create=create), buffer_bytes=400_000)
        recorder.start()
        slowest_s = 0.0
        for number in range(3000):
            began_s = time.perf_counter()
            recorder.received("c0", os.urandom(500), HOUR_US + number)
            slowest_s = max(slowest_s, time.perf_counter() - began_s)
        assert slowest_s < 0.5
        assert 0 < recorder.lost < 3000
        assert recorder._put_bytes - recorder._taken_bytes <= 400_000
        began_s = time.perf_counter()
        await recorder.close()
        assert time.perf_counter() - began_s < 3
        # Nothing that is not on the disk is taken for recorded.
        assert recorder.lost + recorder.recorded == 3000
    until(lambda: not recorder._thread.is_alive(), "the thread ends once the disk answers")
    events = [line["event"] for line in said]
    assert sum("does not keep up" in event for event in events) == 1
    assert sum("did not take the end" in event for event in events) == 1


async def test_a_loss_is_marked_where_it_was(tmp_path: Path) -> None:
    broken = True

    def create(hour: int, worker: str, compression: Compression) -> tuple[Path, int]:
        if broken:
            raise PermissionError(errno.EACCES, "Permission denied")
        return Folder(tmp_path, 10**9).create(hour, worker, compression)

    recorder = recorder_of(files_in(tmp_path, create=create), buffer_bytes=3000)
    recorder.start()
    for number in range(20):
        recorder.received("c0", b"%d" % number, HOUR_US + number)
    kept = 20 - recorder.lost
    assert 0 < kept < 20
    broken = False
    until(lambda: recorder.recorded == kept, "what was kept is written after all")
    recorder.received("c0", b"last", HOUR_US + 100)
    await recorder.close()
    found = rows(tmp_path)
    assert [row["data"] for row in found if row["dir"] == "recv"] == [*map(str, range(kept)), "last"]
    (hole,) = (row for row in found if row["dir"] == "lost")
    assert found.index(hole) == kept
    assert hole["frames"] == 20 - kept == recorder.lost
    assert hole["since"].endswith(f"{kept:06d}Z")


async def test_a_loss_at_the_end_is_marked_as_well(tmp_path: Path) -> None:
    recorder = recorder_of(files_in(tmp_path), buffer_bytes=1000)
    for number in range(20):
        recorder.received("c0", b"%d" % number, HOUR_US + number)
    recorder.start()
    await recorder.close()
    assert rows(tmp_path)[-1]["frames"] == recorder.lost > 0
    before = recorder.lost
    recorder.received("c0", b"too late", HOUR_US)
    assert recorder.lost == before + 1


async def test_a_failure_that_nobody_thought_of_stops_the_recording_only(tmp_path: Path) -> None:
    def create(*_: object) -> tuple[Path, int]:
        raise ValueError("never thought of")

    recorder = recorder_of(files_in(tmp_path, create=create))
    recorder.start()
    recorder.received("c0", b"one", HOUR_US)
    until(lambda: recorder._stopped, "the thread has ended")
    recorder.received("c0", b"two", HOUR_US)
    await recorder.close()
    assert (recorder.lost, recorder.recorded) == (2, 0)


async def test_an_unwritable_folder_ends_with_all_told_as_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    recorder = recorder_of(files_in(tmp_path / "file" / "below"))
    recorder.start()
    recorder.received("c0", b"one", HOUR_US)
    await recorder.close()
    assert (recorder.lost, recorder.recorded) == (1, 0)
