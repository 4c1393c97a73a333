"""Blocks of lines into hourly files. Blocking: only the recording's own thread calls it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from marketdata.raw_files import Compression
from worker.recording.folder import Folder
from worker.recording.packers import Packer, packer_of

FILE_SHARE: Final = 4
"""A file that holds this part of the bound is followed by another one: the current one is never deleted."""

PLAIN_BYTES: Final = 500_000_000
"""A file that holds so much, unpacked, is followed by another one: whoever plays it holds it in memory."""


class _Open:
    """The file that is being written."""

    def __init__(self, hour: int, path: Path, descriptor: int, packer: Packer) -> None:
        self.hour = hour
        self.path = path
        self.descriptor = descriptor
        self.packer = packer
        self.size = 0
        self.plain_bytes = 0

    def pack(self, pieces: Iterable[bytes]) -> bytes:
        return self.packer.pack(self._counted(pieces))

    def _counted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.plain_bytes += len(piece)
            yield piece

    def write(self, data: bytes) -> None:
        """Writes all of it or nothing: what a full disk took of it is cut off again."""
        rest = memoryview(data)
        try:
            if os.fstat(self.descriptor).st_nlink == 0:
                raise OSError(errno.ENOENT, "the file was deleted while it was written")
            while rest:
                rest = rest[os.write(self.descriptor, rest) :]
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(data)


class HourlyFiles:
    """The files of one worker.

    Args:
        folder: where.
        worker: its id, part of the names.
        compression: of new files.
        limit_bytes: bound of the folder, for the size of one file.
        create: as `Folder.create`, unless a test says otherwise.
        plain_bytes: bound of one file, unpacked.
    """

    def __init__(
        self,
        folder: Folder,
        worker: str,
        compression: Compression,
        limit_bytes: int,
        create: Callable[[int, str, Compression], tuple[Path, int]] | None = None,
        plain_bytes: int = PLAIN_BYTES,
    ) -> None:
        self.deleted = 0
        """Files deleted to keep the bound."""
        self.hour = 0
        """Of the file that is written, hours since 1970."""
        self._folder = folder
        self._worker = worker
        self._compression = compression
        self._file_bytes = max(1, limit_bytes // FILE_SHARE)
        self._plain_bytes = plain_bytes
        self._create = create or folder.create
        self._open: _Open | None = None

    def write(self, hour: int, pieces: Iterable[bytes]) -> list[Path]:
        """Writes a block of whole lines (in pieces of any size) into the file of `hour`; returns what was deleted.

        Raises:
            OSError: nothing of the block is on the disk; the next call begins a new file.
        """
        current = self._open
        if current is not None and (
            current.hour != hour
            or current.size >= self._file_bytes
            or current.plain_bytes >= self._plain_bytes
        ):
            self.close()
            current = None
        try:
            if current is None:
                path, descriptor = self._create(hour, self._worker, self._compression)
                current = self._open = _Open(hour, path, descriptor, packer_of(self._compression))
                self.hour = hour
            packed = current.pack(pieces)
            deleted = self._folder.make_room(len(packed), current.path)
            self.deleted += len(deleted)
            current.write(packed)
        except OSError:
            self._abandon()
            raise
        return deleted

    def close(self) -> None:
        """Ends the current file in good order; without a current one nothing happens.

        Raises:
            OSError: its end could not be written; what came before can be read.
        """
        if self._open is None:
            return
        try:
            self._open.write(self._open.packer.end())
        finally:
            self._abandon()

    def _abandon(self) -> None:
        current, self._open = self._open, None
        if current is None:
            return
        with suppress(OSError):
            os.close(current.descriptor)
        if current.size == 0:
            with suppress(OSError):
                current.path.unlink()
