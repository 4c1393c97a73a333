"""Faults from a flag's text, from JSON and from a schedule file. Pure but for the one read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from marketdata.errors import FaultError
from simulator.faults.fault import Fault, fault_of

MAX_SCHEDULE_BYTES: Final = 16 * 1024 * 1024


def read_flag(text: str) -> Fault:
    """A fault as a flag says it: `KIND` or `KIND:key=value,key=value`.

    Raises:
        FaultError: what is wrong with it.
    """
    kind, colon, rest = text.partition(":")
    given: dict[str, str] = {"kind": kind.strip()}
    for word in rest.split(",") if colon else ():
        key, equals, value = word.partition("=")
        key = key.strip()
        if not (key and equals):
            raise FaultError(f"{word.strip()[:60]!r} is not key=value, as in stall:for_s=60,rescue=reconnect")
        if key in given:
            raise FaultError(f"{key} is given twice")
        given[key] = value.strip()
    return fault_of(given)


def read_many(body: bytes) -> tuple[Fault, ...]:
    """One JSON object or an array of them.

    Raises:
        FaultError: what is wrong, and with which one.
    """
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise FaultError(f"not JSON: {error}") from None
    if not isinstance(given, list):
        return (fault_of(given),)
    found = []
    for number, one in enumerate(given, 1):
        try:
            found.append(fault_of(one))
        except FaultError as error:
            raise FaultError(f"fault {number}: {error}") from None
    return tuple(found)


def read_schedule(path: Path) -> tuple[Fault, ...]:
    """The faults of a file: JSON lines, or one JSON array; sorted by `at_s`. Blank lines are passed over.

    Raises:
        FaultError: the file cannot be read, or the line (of an array: the number of the element) that is wrong.
    """
    try:
        if path.stat().st_size > MAX_SCHEDULE_BYTES:
            raise FaultError(f"{path}: larger than {MAX_SCHEDULE_BYTES} bytes; nothing was started")
        body = path.read_bytes()
    except OSError as error:
        raise FaultError(f"{path}: {error.strerror or error}; nothing was started") from None
    try:
        found = read_many(body) if body.lstrip()[:1] == b"[" else _lines(body)
    except FaultError as error:
        raise FaultError(f"{path}, {error}; nothing was started") from None
    if not found:
        raise FaultError(f"{path}: no fault in it; nothing was started")
    return by_time(found)


def by_time(faults: Sequence[Fault]) -> tuple[Fault, ...]:
    """In the order in which they begin."""
    return tuple(sorted(faults, key=lambda one: one.at_s))


def _lines(body: bytes) -> tuple[Fault, ...]:
    found = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(fault_of(orjson.loads(line)))
        except orjson.JSONDecodeError as error:
            raise FaultError(f"line {number}: not JSON: {error}") from None
        except FaultError as error:
            raise FaultError(f"line {number}: {error}") from None
    return tuple(found)
