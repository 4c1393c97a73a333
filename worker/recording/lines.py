"""One line of JSON a frame, in the wrapper {t, dir, data} of recordings, with the connection's name added (pure).

`t` is UTC to the microsecond; `dir` is open, send, recv, close or lost. What is not UTF-8 stands in `data_base64`
in place of `data`. docs/raw-capture.md is the description for readers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import orjson

from marketdata.raw_files import HOUR_US

Direction = Literal["open", "send", "recv", "close", "lost"]


class Taken(NamedTuple):
    """One thing to be recorded.

    Attributes:
        us: when it was received or sent, Unix microseconds.
        direction: as on the line.
        connection: WORKER/NAME.
        data: the payload, byte for byte.
        frames: of a `lost` line, how many frames are not recorded.
        since_us: of a `lost` line, when the first of them came.
    """

    us: int
    direction: Direction
    connection: str
    data: bytes
    frames: int = 0
    since_us: int = 0


class LineWriter:
    """Spells lines; keeps the last second's spelling, which a thousand lines share."""

    def __init__(self) -> None:
        self._second = -1
        self._stamp = ""

    def line(self, taken: Taken) -> bytes:
        """The line, with its line feed."""
        record: dict[str, Any] = {"t": self._time(taken.us), "dir": taken.direction}
        if taken.direction == "lost":
            record["data"] = f"{taken.frames} frames were not recorded"
            record["frames"] = taken.frames
            record["since"] = self._time(taken.since_us)
        else:
            record["conn"] = taken.connection
            try:
                record["data"] = taken.data.decode()
            except UnicodeDecodeError:
                record["data_base64"] = base64.b64encode(taken.data).decode()
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)

    def _time(self, us: int) -> str:
        second, micros = divmod(us, 1_000_000)
        if second != self._second:
            self._second = second
            self._stamp = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._stamp}.{micros:06d}Z"


def by_hour(items: Iterable[Taken], hour: int) -> Iterator[tuple[int, list[Taken]]]:
    """Cuts items at full hours (hours since 1970). Times before `hour`, the file's, belong to it all the same."""
    group: list[Taken] = []
    for item in items:
        its_hour = max(hour, item.us // HOUR_US)
        if its_hour != hour and group:
            yield hour, group
            group = []
        hour = its_hour
        group.append(item)
    if group:
        yield hour, group
