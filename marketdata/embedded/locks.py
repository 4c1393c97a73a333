"""Advisory locks on files: the kernel frees them when their process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """One lock on one file, tried without waiting. The descriptor is closed on exec.

    The file may hold a line of text for others to read; its holder writes it.
    """

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._path = path

    @classmethod
    def inherited(cls, fd: int, path: Path) -> FileLock:
        """A lock that the parent process took and passed on as descriptor `fd`."""
        lock = cls.__new__(cls)
        lock.fd, lock._path = fd, path
        os.set_inheritable(fd, False)
        return lock

    def try_shared(self) -> bool:
        """Takes the lock beside other shared holders; False if one holds it exclusively."""
        return self._try(fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Takes the lock alone; False if anyone else holds it."""
        return self._try(fcntl.LOCK_EX)

    def unlock(self) -> None:
        """Gives the lock back and keeps the file open."""
        fcntl.flock(self.fd, fcntl.LOCK_UN)

    def write(self, text: str) -> None:
        """Replaces the text of the file."""
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text.encode(), 0)

    def is_in_place(self) -> bool:
        """Whether the file is still there under its name; a removed folder takes its locks along."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self.fd))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Closes the file; the lock goes with the last descriptor of it."""
        os.close(self.fd)

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self.fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def numbers_in(path: Path) -> tuple[int, ...]:
    """The pids that the holder of a lock wrote into its file; empty where there is no such line."""
    try:
        return tuple(int(word) for word in path.read_text("ascii").split())
    except (FileNotFoundError, ValueError):
        return ()
