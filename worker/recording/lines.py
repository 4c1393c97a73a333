"""One line of JSON a frame, in the wrapper {t, dir, data} of recordings, with the connection's name added (pure).

`t` is UTC to the microsecond; `dir` is open, send, recv, close or lost. What is not UTF-8 stands in `data_base64`
in place of `data`. docs/raw-capture.md is the description for readers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from marketdata.raw_files import HOUR_US

Direction = Literal["open", "send", "recv", "close", "lost"]


Taken = tuple[int, Direction, str, bytes]
"""One thing to be recorded: Unix microseconds of receiving or sending, direction, name of the connection, payload.

A plain tuple, as one is made a frame while the frame waits.
"""


def lost(us: int, frames: int, since_us: int) -> Taken:
    """The mark of a hole that ends at `us`: so many frames are not recorded, the first came at `since_us`."""
    return us, "lost", "", b"%d %d" % (frames, since_us)


class LineWriter:
    """Spells lines; keeps the last second's spelling, which a thousand lines share.

    Args:
        worker: its id, in front of the names of its connections.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._second = -1
        self._stamp = ""

    def line(self, taken: Taken) -> bytes:
        """The line, with its line feed."""
        us, direction, connection, data = taken
        record: dict[str, Any] = {"t": self._time(us), "dir": direction}
        if direction == "lost":
            frames, since_us = map(int, data.split())
            record["data"] = f"{frames} frames were not recorded"
            record["frames"] = frames
            record["since"] = self._time(since_us)
        else:
            record["conn"] = f"{self._worker}/{connection}"
            try:
                record["data"] = data.decode()
            except UnicodeDecodeError:
                record["data_base64"] = base64.b64encode(data).decode()
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
        its_hour = max(hour, item[0] // HOUR_US)
        if its_hour != hour and group:
            yield hour, group
            group = []
        hour = its_hour
        group.append(item)
    if group:
        yield hour, group
