"""Recordings: every format is read, exact bytes are kept, a malformed line is named."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from marketdata.errors import CaptureError
from simulator.captured.capture import Capture, PlayedAnswer, PlayedFrame, load_capture

CAPTURES = Path(__file__).parents[1] / "data" / "captures"

COUNTS = {
    "ws_captured/ask_cancel_batch_20260911.jsonl": (8, 0),
    "ws_captured/book_20260813_ltp_of_complement.json": (1, 0),
    "ws_captured/dec2024_legacy_changes_stream.jsonl": (10, 0),
    "ws_captured/dec2024_legacy_changes_two_markets.jsonl": (12, 0),
    "ws_captured/dec2024_legacy_changes_with_rest_books.jsonl": (3, 2),
    "ws_captured/frames_20260930.jsonl": (26, 0),
    "ws_captured/may2026_mixed_trimmed.jsonl": (14, 0),
    "ws_captured/oct2025_price_change_with_rest_books.jsonl": (3, 2),
    "ws_captured/protocol_v2_session_20261005.jsonl": (2, 0),
    "ws_captured/updown_20260508_array_book_then_price_change.jsonl": (2, 0),
    "ws_captured/y2024_flat_schema.jsonl": (4, 0),
    "ws_documented/client_payloads.json": (1, 0),
    "ws_documented/control_frames.json": (6, 0),
    "ws_documented/docs_style_decimals.jsonl": (1, 0),
    "ws_documented/one_of_each.jsonl": (7, 0),
    "ws_documented/price_change_multi_level.json": (1, 0),
}

CHANGE = {
    "event_type": "price_change",
    "market": "0xaa",
    "asset_id": "1",
    "changes": [{"price": "0.5", "side": "BUY", "size": "1"}],
}
BOOK = {
    "event_type": "book",
    "market": "0xaa",
    "asset_id": "1",
    "timestamp": "1000",
    "hash": "",
    "bids": [],
    "asks": [],
}


def frames(capture: Capture) -> list[bytes]:
    return [step.frame.data for step in capture.steps if isinstance(step, PlayedFrame)]


def write(folder: Path, content: str | bytes, name: str = "capture.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_every_sample_file_is_known_here() -> None:
    there = {f"{path.parent.name}/{path.name}" for path in CAPTURES.glob("*/*")}
    assert there == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_sample_yields_its_frames_and_rest_answers(name: str) -> None:
    capture = load_capture(CAPTURES / name)
    answers = sum(isinstance(step, PlayedAnswer) for step in capture.steps)
    assert (capture.frames_total, answers) == COUNTS[name]
    assert all(len(pair) <= 2 for pair in capture.pairs.values())


def test_raw_lines_are_the_frames_without_their_line_ends() -> None:
    path = CAPTURES / "ws_captured/updown_20260508_array_book_then_price_change.jsonl"
    assert frames(load_capture(path)) == path.read_bytes().splitlines()


def test_string_payloads_are_the_frames_with_their_line_feeds() -> None:
    path = CAPTURES / "ws_captured/frames_20260930.jsonl"
    payloads = [orjson.loads(line)["payloadUtf8"] for line in path.read_bytes().splitlines()]
    assert frames(load_capture(path)) == [text.encode() for text in payloads if text != "PONG"]
    assert frames(load_capture(path))[0].endswith(b"}]\n")


def test_object_payloads_are_written_again_compactly(tmp_path: Path) -> None:
    path = write(tmp_path, '{ "kind": "ws", "message": { "b": 1, "a": "x" } }\n')
    assert frames(load_capture(path)) == [b'{"b":1,"a":"x"}']


def test_one_pretty_printed_object_is_one_frame() -> None:
    path = CAPTURES / "ws_captured/book_20260813_ltp_of_complement.json"
    (frame,) = frames(load_capture(path))
    assert orjson.loads(frame) == orjson.loads(path.read_bytes())
    assert b"\n" not in frame


def test_array_over_many_lines_is_a_frame_an_element(tmp_path: Path) -> None:
    path = write(tmp_path, orjson.dumps([BOOK, CHANGE], option=orjson.OPT_INDENT_2), "array.json")
    assert frames(load_capture(path)) == [orjson.dumps(BOOK), orjson.dumps(CHANGE)]


def test_array_of_wrappers_on_one_line_is_taken_apart(tmp_path: Path) -> None:
    wrapped = [{"t": 1, "dir": "send", "data": "PING"}, {"t": 2, "dir": "recv", "data": '{"a": 1}'}]
    assert frames(load_capture(write(tmp_path, orjson.dumps(wrapped)))) == [b'{"a": 1}']


def test_gzipped_recording_is_the_same(tmp_path: Path) -> None:
    plain = CAPTURES / "ws_captured/frames_20260930.jsonl"
    packed = write(tmp_path, gzip.compress(plain.read_bytes()), "frames.jsonl.gz")
    assert load_capture(packed).steps == load_capture(plain).steps


def test_what_the_client_sent_and_texts_are_left_out() -> None:
    capture = load_capture(CAPTURES / "ws_captured/protocol_v2_session_20261005.jsonl")
    kinds = [orjson.loads(frame) for frame in frames(capture)]
    assert kinds[0][0]["event_type"] == "book"
    assert kinds[1]["event_type"] == "new_market"


def test_raw_texts_and_empty_arrays_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, f"PONG\n[]\nNO NEW ASSETS\r\n{orjson.dumps(BOOK).decode()}\r\n\n")
    assert frames(load_capture(path)) == [orjson.dumps(BOOK)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('{"event_type":"x"}\n{"cut', 2),
        ('{"event_type":"x"}\nhello\n', 2),
        ('{"event_type":"x"}\n[1, 2]\n', 2),
        ('{"dir":"recv","t":"noon","data":"{}"}\n', 1),
        ('\n{"dir":"recv","t":1,"data":"{cut"}\n', 2),
        ('{"event_type":"book","market":"m","asset_id":"1","bids":[{"price":"x","size":"1"}],"asks":[]}', 1),
        ('{"event_type":"book","market":"m","asset_id":"1","bids":[]}', 1),
        ('{"event_type":"price_change","market":"m","price_changes":3}', 1),
        ('{"event_type":"price_change","market":"m","asset_id":"1","price":"0","size":"1","side":"?"}', 1),
        ('{"event_type":"x","market":"m","assets_ids":["1","2"]}\n{"market":"m","asset_id":"3"}', 2),
        ('{"kind":"rest_book","message":{"market":"m"}}', 1),
    ],
)
def test_malformed_line_is_named(tmp_path: Path, content: str, line: int) -> None:
    path = write(tmp_path, content)
    with pytest.raises(CaptureError) as caught:
        load_capture(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"PONG\n", "no frame that can be sent"),
        (gzip.compress(b'{"event_type":"x"}', mtime=0)[:-9], "cannot be read"),
        (b"\x1f\x8bno gzip", "cannot be read"),
    ],
)
def test_file_without_anything_to_play_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(CaptureError, match=reason):
        load_capture(write(tmp_path, content))


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(CaptureError, match=str(path)):
            load_capture(path)


def test_size_is_bounded_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(orjson.dumps(BOOK) + b"\n" * 5000))
    with pytest.raises(CaptureError, match="more than 4000 bytes"):
        load_capture(path, max_bytes=4000)


def test_tokens_that_play_waits_for_are_those_with_data() -> None:
    capture = load_capture(CAPTURES / "ws_captured/protocol_v2_session_20261005.jsonl")
    assert capture.tokens == {"663574927012476832975694178961957910328055987427402067619466963999000625152"}
    assert len(capture.pairs) == 2


def test_outcomes_come_in_the_announced_order(tmp_path: Path) -> None:
    told = {
        "event_type": "new_market",
        "market": "0xaa",
        "assets_ids": ["2", "1"],
        "outcomes": ["Up", "Down"],
    }
    path = write(tmp_path, orjson.dumps(BOOK) + b"\n" + orjson.dumps(told))
    assert load_capture(path).pairs == {"0xaa": ["2", "1"]}


def test_frames_are_addressed_by_market_and_feature() -> None:
    capture = load_capture(CAPTURES / "ws_documented/one_of_each.jsonl")
    reach = {
        orjson.loads(step.frame.data)["event_type"]: (step.frame.custom_only, step.frame.everywhere)
        for step in capture.steps
        if isinstance(step, PlayedFrame)
    }
    assert reach == {
        "book": (False, False),
        "price_change": (False, False),
        "last_trade_price": (False, False),
        "tick_size_change": (False, False),
        "best_bid_ask": (True, False),
        "new_market": (True, True),
        "market_resolved": (True, True),
    }
