"""Files of recorded traffic to rows: the exact bytes of a frame, when it came, whether it came over REST.

Formats: an object or array a line; one JSON array of messages or wrapped records over many lines; one
pretty-printed object; any of them packed by gzip or zstd. Wrappers: {receivedAt, payloadUtf8}; {t, dir, data}, of
which `recv` is the venue's; {…, receivedAtMs, kind: "ws_message", data}; {kind: "ws" or "rest_book", message};
{t, dir, conn, data or data_base64} of raw captures (docs/raw-capture.md).

A payload that is a string is the frame byte for byte; a payload that is an object, and an element of an array
over many lines, are written again compactly. An object with bids and asks but no event_type is a REST answer.
Text frames and empty arrays are answers to the client that recorded them, so they are left out, as is what
that client sent. Frames of a raw capture that cannot be read are kept as they were: they came like that.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from marketdata.errors import CaptureError
from simulator.captured.unpacking import read_content

MAX_BYTES: Final = 2 * 1024 * 1024 * 1024
"""A recording is held in memory; one that is larger unpacked is refused."""

_TEXT_FRAMES: Final = frozenset({"PING", "PONG", "NO NEW ASSETS", "INVALID OPERATION"})
_ANSWERS: Final = frozenset({b"[]", b"[]\n", *(text.encode() for text in _TEXT_FRAMES)})
_SOCKET_KINDS: Final = frozenset({"ws", "ws_message"})

_log = structlog.stdlib.get_logger("simulator")

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing the venue said.

    Attributes:
        line: line of the file, from 1; the element's place for an array over many lines.
        received_ms: Unix milliseconds of its arrival; None where the file does not say.
        data: the frame, or the body of the REST answer.
        messages: what `data` holds, parsed; one for an object, any number for an array.
        is_rest: a REST answer.
        connection: of a raw capture, on which connection; empty in other recordings.
        requested: of a raw capture, token ids that the client subscribed to here; such a row is no frame.
        is_opaque: of a raw capture, a frame that cannot be read; played all the same.
    """

    line: int
    received_ms: float | None
    data: bytes
    messages: list[Message]
    is_rest: bool
    connection: str = ""
    requested: tuple[str, ...] = ()
    is_opaque: bool = False


def read_rows(path: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[Row]:
    """Reads a recording.

    Raises:
        CaptureError: the file cannot be read, is too large, or a line is malformed; names file and line.
    """
    data = read_content(path, max_bytes)
    lines = data.split(b"\n")
    first = next((place for place, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise CaptureError(f"{path}: the file is empty; nothing was played")
    if len(lines) > first + 1 and not _is_record(lines[first]):
        try:
            whole = orjson.loads(data)
        except orjson.JSONDecodeError:
            pass  # Not one document: the line that is wrong is named below.
        else:
            elements = whole if isinstance(whole, list) else [whole]
            for place, element in enumerate(elements, start=1):
                yield from _rows_of(path, place, orjson.dumps(element), element)
            return
    del data
    for number, line in enumerate(lines, start=1):
        if text := line.strip():
            yield from _rows_of_line(path, number, text)


def _is_record(line: bytes) -> bool:
    if line.strip().decode("utf-8", "replace") in _TEXT_FRAMES:
        return True
    try:
        return isinstance(orjson.loads(line), (dict, list))
    except orjson.JSONDecodeError:
        return False


def _rows_of_line(path: Path, number: int, text: bytes) -> Iterator[Row]:
    if text.decode("utf-8", "replace") in _TEXT_FRAMES:
        return
    record = _loads(path, number, text)
    if isinstance(record, list) and record and all(_is_wrapper(element) for element in record):
        for element in record:
            yield from _rows_of(path, number, b"", element)
    else:
        yield from _rows_of(path, number, text, record)


def _rows_of(path: Path, number: int, text: bytes, record: object) -> Iterator[Row]:
    if not isinstance(record, dict) or not _is_wrapper(record):
        yield from _frame(path, number, None, text, record, is_rest=_is_rest_answer(record))
        return
    if record.get("dir") == "lost":
        _log.warning("the recording has a hole", path=str(path), line=number, frames=record.get("frames"))
        return
    if "conn" in record:
        yield from _of_raw_capture(path, number, record)
        return
    kind = record.get("kind", "ws")
    is_rest = kind == "rest_book"
    if record.get("dir", "recv") != "recv" or not (is_rest or kind in _SOCKET_KINDS):
        return
    payload = next(record[key] for key in ("payloadUtf8", "data", "message") if key in record)
    received_ms = _received_ms(path, number, record)
    if not isinstance(payload, str):
        yield from _frame(path, number, received_ms, orjson.dumps(payload), payload, is_rest=is_rest)
    elif payload.lstrip()[:1] in ("{", "["):
        data = payload.encode()
        yield from _frame(path, number, received_ms, data, _loads(path, number, data), is_rest=is_rest)


def _of_raw_capture(path: Path, number: int, record: Message) -> Iterator[Row]:
    direction, connection = record.get("dir"), str(record["conn"])
    if direction not in ("recv", "send"):
        return
    try:
        data = (
            base64.b64decode(record["data_base64"], validate=True)
            if "data_base64" in record
            else record["data"].encode()
        )
    except (KeyError, ValueError, TypeError, AttributeError):
        raise CaptureError(f"{path}:{number}: a raw frame without its payload; nothing was played") from None
    received_ms = _received_ms(path, number, record)
    if direction == "send":
        if requested := _requested(data):
            yield Row(number, received_ms, data, [], False, connection, requested)
        return
    if data in _ANSWERS:
        return
    messages = _sound_messages(data)
    yield Row(number, received_ms, data, messages, False, connection, is_opaque=not messages)


def _requested(data: bytes) -> tuple[str, ...]:
    """Token ids that a client's frame subscribes to."""
    try:
        request = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ()
    if not isinstance(request, dict) or request.get("operation") == "unsubscribe":
        return ()
    ids = request.get("assets_ids")
    return tuple(token_id for token_id in ids if isinstance(token_id, str)) if isinstance(ids, list) else ()


def _sound_messages(data: bytes) -> list[Message]:
    """The messages of a frame; none where any of it is not what a message looks like."""
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError:
        return []
    listed = content if isinstance(content, list) else [content]
    sound = all(isinstance(one, dict) and isinstance(one.get("event_type", ""), str) for one in listed)
    return listed if sound else []


def _frame(
    path: Path, number: int, received_ms: float | None, data: bytes, content: object, *, is_rest: bool
) -> Iterator[Row]:
    listed = content if isinstance(content, list) else [content]
    messages: list[Message] = [message for message in listed if isinstance(message, dict)]
    if len(messages) < len(listed):
        raise CaptureError(f"{path}:{number}: neither a message nor a list of messages; nothing was played")
    if messages:
        yield Row(number, received_ms, data, messages, is_rest)


def _is_wrapper(record: object) -> bool:
    if not isinstance(record, dict) or "event_type" in record:
        return False
    return (
        "payloadUtf8" in record
        or ("dir" in record and ("data" in record or "conn" in record))
        or ("kind" in record and ("data" in record or "message" in record))
    )


def _is_rest_answer(record: object) -> bool:
    return isinstance(record, dict) and "event_type" not in record and "bids" in record and "asks" in record


def _received_ms(path: Path, number: int, record: Message) -> float | None:
    for key in ("receivedAtMs", "receivedAt", "t"):
        value = record.get(key)
        if isinstance(value, (int, float)):
            return float(value)
        if isinstance(value, str):
            try:
                return datetime.fromisoformat(value).timestamp() * 1000
            except ValueError:
                raise CaptureError(f"{path}:{number}: {key} is not a time: {value[:40]!r}") from None
    return None


def _loads(path: Path, number: int, text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise CaptureError(f"{path}:{number}: not JSON ({error}); nothing was played") from None
