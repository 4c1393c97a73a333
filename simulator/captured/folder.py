"""What `--capture` may name: a file, or a folder with the hourly files of a raw capture."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from marketdata.errors import CaptureError
from marketdata.raw_files import RawFile, raw_files
from simulator.captured.reader import Row, read_rows


def rows_of(path: Path, *, max_bytes: int) -> Iterator[Row]:
    """The rows of a recording; those of a folder in the order of receiving.

    Each worker's files follow one another; those of several workers are merged by their times.

    Raises:
        CaptureError: as for `read_rows`; a folder without hourly files.
    """
    if not path.is_dir():
        yield from read_rows(path, max_bytes=max_bytes)
        return
    try:
        files = raw_files(path)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror}; nothing was played") from error
    if not files:
        raise CaptureError(f"{path}: holds no hourly files (raw-….jsonl.zst or .gz); nothing was played")
    by_worker = sorted(files, key=attrgetter("worker", "hour", "part"))
    budget = _Budget(max_bytes)
    parts = [_in_turn(path, list(of_one), budget) for _, of_one in groupby(by_worker, attrgetter("worker"))]
    yield from heapq.merge(*parts, key=lambda row: row.received_ms or 0.0)


class _Budget:
    """Bytes that may still be read; all files together are held in memory."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes


def _in_turn(folder: Path, files: list[RawFile], budget: _Budget) -> Iterator[Row]:
    for file in files:
        for row in read_rows(folder / file.name, max_bytes=budget.left):
            budget.left -= len(row.data)
            yield row
