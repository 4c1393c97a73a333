"""Names of the files of a raw capture: `raw-20261122T11Z-WORKER-0000.jsonl.zst`. Sorted they are in order of time.

The hour is UTC and that of receiving; the number counts the files of one worker in one hour.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self

Compression = Literal["zstd", "gzip"]

HOUR_US: Final = 3_600_000_000
_SUFFIXES: Final[dict[Compression, str]] = {"zstd": "zst", "gzip": "gz"}
_NAME: Final = re.compile(
    r"raw-(?P<hour>[0-9]{8}T[0-9]{2})Z-(?P<worker>[A-Za-z0-9._-]+)-(?P<part>[0-9]{4,})\.jsonl\.(?:zst|gz)"
)


class RawFile(NamedTuple):
    """What a name says; in this order it sorts."""

    hour: str
    """As `20261122T11`."""
    worker: str
    part: int
    name: str

    @classmethod
    def parse(cls, name: str) -> Self | None:
        """None for a file that is no raw capture's."""
        match = _NAME.fullmatch(name)
        return None if match is None else cls(match["hour"], match["worker"], int(match["part"]), name)


def hour_stamp(hour: int) -> str:
    """An hour as names have it; `hour` counts from 1970, UTC."""
    return datetime.fromtimestamp(hour * 3600, UTC).strftime("%Y%m%dT%H")


def raw_file_name(hour: int, worker: str, part: int, compression: Compression) -> str:
    """The name of a file.

    Args:
        hour: hours since 1970, UTC.
        worker: the worker's id.
        part: from 0, of this worker and hour.
        compression: of its content.
    """
    return f"raw-{hour_stamp(hour)}Z-{worker}-{part:04d}.jsonl.{_SUFFIXES[compression]}"


def raw_files(folder: Path) -> list[RawFile]:
    """The files of a folder, oldest first; whatever else lies there is left out.

    Raises:
        OSError: the folder cannot be read.
    """
    return sorted(file for path in folder.iterdir() if (file := RawFile.parse(path.name)) is not None)
