"""Raw captures as recordings: folders in the order of receiving, ends that are missing, whom a frame is for."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from marketdata.errors import CaptureError
from marketdata.raw_files import Compression, raw_file_name
from marketdata.zstd import ZstdCompressor
from simulator.captured.capture import Capture, PlayedFrame, load_capture
from simulator.captured.reader import read_rows
from simulator.captured.unpacking import read_content
from simulator.feed import Frame

HOUR = 497_203


def line(us: int, data: bytes | str, conn: str = "w1/c0", direction: str = "recv") -> bytes:
    payload = data.encode() if isinstance(data, str) else data
    row: dict[str, Any] = {"t": f"2026-09-20T19:00:00.{us:06d}Z", "dir": direction, "conn": conn}
    try:
        row["data"] = payload.decode()
    except UnicodeDecodeError:
        row["data_base64"] = base64.b64encode(payload).decode()
    return orjson.dumps(row) + b"\n"


def book(market: str, token: str) -> bytes:
    return orjson.dumps(
        {
            "event_type": "book",
            "market": market,
            "asset_id": token,
            "timestamp": "1",
            "hash": "",
            "bids": [],
            "asks": [],
        }
    )


def asks_for(us: int, *tokens: str, conn: str = "w1/c0") -> bytes:
    return line(us, orjson.dumps({"assets_ids": tokens, "type": "market"}), conn, "send")


def put(folder: Path, worker: str, content: bytes, *, hour: int = HOUR, part: int = 0) -> Path:
    path = folder / raw_file_name(hour, worker, part, "zstd")
    compressor = ZstdCompressor()
    path.write_bytes(compressor.compress(content) + compressor.flush())
    return path


def frames(capture: Capture) -> list[Frame]:
    return [step.frame for step in capture.steps if isinstance(step, PlayedFrame)]


# -- files ------------------------------------------------------------------------------------------------------


def packed(content: bytes, compression: Compression) -> bytes:
    if compression == "gzip":
        return gzip.compress(content)
    compressor = ZstdCompressor()
    return compressor.compress(content) + compressor.flush()


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_several_members_are_one_file(tmp_path: Path, compression: Compression) -> None:
    path = tmp_path / "x"
    path.write_bytes(packed(b"one\n", compression) + packed(b"two\n", compression))
    assert read_content(path, 100) == b"one\ntwo\n"
    with pytest.raises(CaptureError, match="more than 7 bytes"):
        read_content(path, 7)


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_file_cut_anywhere_gives_its_whole_lines_or_says_that_there_are_none(
    tmp_path: Path, compression: Compression
) -> None:
    content = b"".join(b'{"number": %d}\n' % number for number in range(3000))
    whole = packed(content, compression)
    path = tmp_path / "x"
    given = 0
    for end in range(5, len(whole), max(1, len(whole) // 97)):
        path.write_bytes(whole[:end])
        with capture_logs() as said:
            try:
                found = read_content(path, 10**6)
            except CaptureError as error:
                found = b""
                said_so = str(error)
        if not found:
            assert "cut off within its first line" in said_so
            continue
        given += 1
        assert content.startswith(found)
        assert found.endswith(b"\n")
        assert [one["lines"] for one in said] == [found.count(b"\n")]
    # A short zstd file is one block, which can be read whole or not at all.
    assert given or compression == "zstd"


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_damaged_file_is_refused(tmp_path: Path, compression: Compression) -> None:
    path = tmp_path / "x"
    path.write_bytes(packed(b"one\n", compression) + b"no such thing")
    with pytest.raises(CaptureError, match="cannot be read"):
        read_content(path, 100)


# -- folders ----------------------------------------------------------------------------------------------------


def test_a_folder_is_played_hour_by_hour_and_workers_are_merged_by_time(tmp_path: Path) -> None:
    texts = [book("0xaa", "1").replace(b'"1"', b'"1"', 1) + b" " * n for n in range(5)]
    put(tmp_path, "w1", line(1, texts[0]) + line(5, texts[2]))
    put(tmp_path, "w1", line(7, texts[4]), part=1)
    put(tmp_path, "w2", line(2, texts[1], "w2/c0") + line(6, texts[3], "w2/c0"))
    (tmp_path / "notes.txt").write_text("no recording")
    capture = load_capture(tmp_path)
    assert [frame.data for frame in frames(capture)] == texts
    assert [round(step.gap_ms, 3) for step in capture.steps] == [0, 0.001, 0.003, 0.001, 0.001]


def test_an_hour_goes_before_the_next_even_where_numbers_say_otherwise(tmp_path: Path) -> None:
    one, two = book("0xaa", "1"), book("0xaa", "2")
    put(tmp_path, "w1", line(1, two), hour=HOUR + 1, part=0)
    put(tmp_path, "w1", line(1, one), hour=HOUR, part=12345)
    assert [frame.data for frame in frames(load_capture(tmp_path))] == [one, two]


def test_a_folder_without_hourly_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="holds no hourly files"):
        load_capture(tmp_path)


def test_all_files_together_have_one_bound(tmp_path: Path) -> None:
    for part in range(4):
        put(tmp_path, "w1", line(part, book("0xaa", "1")), part=part)
    with pytest.raises(CaptureError, match="more than"):
        load_capture(tmp_path, max_bytes=300)
    assert load_capture(tmp_path, max_bytes=2000).frames_total == 4


# -- frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"no JSON",
        b"7",
        b"[1]",
        b'[{"a":1},2]',
        b'{"event_type":{}}',
        b'{"event_type":"book","market":"0xaa","asset_id":"1"}',
        b'{"event_type":"book","market":"0xaa","asset_id":"1","bids":[{"price":"x","size":"1"}],"asks":[]}',
        b'{"event_type":"tick_size_change","market":"0xaa","asset_id":"3"}',
    ],
)
def test_a_frame_that_cannot_be_read_is_played_to_its_connection(tmp_path: Path, data: bytes) -> None:
    first = book("0xaa", "1")
    put(tmp_path, "w1", asks_for(0, "1", "2") + line(1, first) + line(2, book("0xaa", "2")) + line(3, data))
    capture = load_capture(tmp_path)
    last = frames(capture)[-1]
    assert (last.data, last.markets, last.everywhere) == (data, frozenset({"0xaa"}), False)
    assert not last.custom_only
    step = capture.steps[-1]
    assert isinstance(step, PlayedFrame)
    assert step.is_opaque
    assert step.messages() == []


def test_answers_and_what_was_sent_are_left_out(tmp_path: Path) -> None:
    first = book("0xaa", "1")
    answers = [line(n, text) for n, text in enumerate(("PONG", "[]", "NO NEW ASSETS", "INVALID OPERATION"))]
    marks = [
        line(8, "ws://x", direction="open"),
        line(9, "1000", direction="close"),
        b'{"t":"2026-09-20T19:00:00Z","dir":"lost","data":"2 frames were not recorded","frames":2}\n',
    ]
    put(tmp_path, "w1", b"".join([*answers, *marks, line(20, "PING", direction="send"), line(21, first)]))
    with capture_logs() as said:
        assert [frame.data for frame in frames(load_capture(tmp_path))] == [first]
    (hole,) = said
    assert (hole["event"], hole["frames"]) == ("the recording has a hole", 2)


def test_each_connection_s_copy_of_what_goes_to_all_goes_to_its_own_markets(tmp_path: Path) -> None:
    told = orjson.dumps({"event_type": "new_market", "market": "0xcc", "clob_token_ids": ["8", "9"]})
    content = [
        asks_for(0, "1"),
        asks_for(0, "3", conn="w1/c1"),
        line(1, book("0xaa", "1")),
        line(2, book("0xbb", "3"), "w1/c1"),
        line(3, told),
        line(4, told, "w1/c1"),
    ]
    put(tmp_path, "w1", b"".join(content))
    (*_, one, other) = frames(load_capture(tmp_path))
    assert (one.data, other.data) == (told, told)
    assert (one.markets, other.markets) == ({"0xaa"}, {"0xbb"})
    assert not one.everywhere
    assert one.custom_only


def test_a_frame_of_a_market_nobody_asked_for_goes_to_its_connection(tmp_path: Path) -> None:
    foreign = book("0xbb", "3")
    put(tmp_path, "w1", asks_for(0, "1") + line(1, book("0xaa", "1")) + line(2, foreign))
    assert frames(load_capture(tmp_path))[-1].markets == {"0xaa"}


def test_a_market_with_a_third_token_is_played_and_keeps_its_two(tmp_path: Path) -> None:
    put(tmp_path, "w1", b"".join(line(n, book("0xaa", str(n))) for n in (1, 2, 3)))
    capture = load_capture(tmp_path)
    assert capture.frames_total == 3
    assert capture.pairs == {"0xaa": ["1", "2"]}


@pytest.mark.parametrize("payload", [{}, {"data": 7}, {"data_base64": "*"}, {"data_base64": 7}])
def test_a_line_without_a_payload_is_named(tmp_path: Path, payload: dict[str, Any]) -> None:
    path = tmp_path / "x.jsonl"
    row = {"t": 1, "dir": "recv", "conn": "w1/c0", "data": "x"}
    path.write_bytes(line(1, "x") + orjson.dumps({k: v for k, v in row.items() if k != "data"} | payload))
    with pytest.raises(CaptureError, match=r"x\.jsonl:2: a raw frame without its payload"):
        list(read_rows(path))
