"""Files of recorded traffic to rows: the exact bytes of a frame, when it came, whether it came over REST.

Formats: an object or array a line; one JSON array of messages or wrapped records over many lines; one
pretty-printed object; any of them gzipped. Wrappers: {receivedAt, payloadUtf8}; {t, dir, data}, of which
`recv` is the venue's; {…, receivedAtMs, kind: "ws_message", data}; {kind: "ws" or "rest_book", message}.

A payload that is a string is the frame byte for byte; a payload that is an object, and an element of an array
over many lines, are written again compactly. An object with bids and asks but no event_type is a REST answer.
Text frames and empty arrays are answers to the client that recorded them, so they are left out, as is what
that client sent.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from marketdata.errors import CaptureError

MAX_BYTES: Final = 2 * 1024 * 1024 * 1024
"""A recording is held in memory; one that is larger unpacked is refused."""

_TEXT_FRAMES: Final = frozenset({"PING", "PONG", "NO NEW ASSETS", "INVALID OPERATION"})
_SOCKET_KINDS: Final = frozenset({"ws", "ws_message"})
_GZIP_MAGIC: Final = b"\x1f\x8b"

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
    """

    line: int
    received_ms: float | None
    data: bytes
    messages: list[Message]
    is_rest: bool


def read_rows(path: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[Row]:
    """Reads a recording.

    Raises:
        CaptureError: the file cannot be read, is too large, or a line is malformed; names file and line.
    """
    data = _content(path, max_bytes)
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


def _content(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            data: bytes = stream.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CaptureError(f"{path}: cannot be read: {reason}; nothing was played") from error
    if len(data) > max_bytes:
        raise CaptureError(f"{path}: more than {max_bytes} bytes unpacked; split it, nothing was played")
    return data


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
        or ("dir" in record and "data" in record)
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
