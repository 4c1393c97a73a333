"""The folder of hourly files: new names, locks on what is being written, the oldest deleted when it is full."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from marketdata.raw_files import Compression, hour_stamp, raw_file_name, raw_files

_TRIES: Final = 1000


class Folder:
    """Several workers may share one. Whoever writes a file holds a lock on it, so that nobody deletes it.

    Args:
        path: made if it is missing.
        limit_bytes: bound of all hourly files in it, whoever wrote them.
    """

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self.path = path
        self._limit_bytes = limit_bytes

    def create(self, hour: int, worker: str, compression: Compression) -> tuple[Path, int]:
        """A new file of this hour, locked: its path and a descriptor to write to.

        Raises:
            OSError: it cannot be made.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        stamp = hour_stamp(hour)
        parts = [file.part for file in raw_files(self.path) if (file.hour, file.worker) == (stamp, worker)]
        first = max(parts, default=-1) + 1
        for part in range(first, first + _TRIES):
            path = self.path / raw_file_name(hour, worker, part, compression)
            with suppress(FileExistsError):
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
                # Where a file system knows no locks, the worst is that another worker deletes an old file early.
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return path, descriptor
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path))

    def make_room(self, need_bytes: int, current: Path) -> list[Path]:
        """Deletes the oldest files until so much more fits; returns what was deleted.

        Raises:
            OSError: the folder cannot be read; ENOSPC: all that is left is being written.
        """
        sizes: dict[Path, int] = {}
        for file in raw_files(self.path):
            with suppress(FileNotFoundError):
                sizes[self.path / file.name] = (self.path / file.name).stat().st_size
        surplus = sum(sizes.values()) + need_bytes - self._limit_bytes
        deleted: list[Path] = []
        for path, size in sizes.items():
            if surplus <= 0:
                break
            if path != current and _delete_unless_written(path):
                deleted.append(path)
                surplus -= size
        if surplus > 0:
            raise OSError(errno.ENOSPC, "RECORD_RAW_MAX_MB is full of files that are being written")
        return deleted


def _delete_unless_written(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
