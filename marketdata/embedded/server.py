"""A command's hold on an embedded server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import marketdata
from marketdata.embedded.binary import ServerBinary, server_binary
from marketdata.embedded.folder import Folder
from marketdata.embedded.locks import FileLock, numbers_in
from marketdata.embedded.logfile import last_lines
from marketdata.errors import EmbeddedServerError

START_TIMEOUT_S: Final = 10.0
EARLIER_END_TIMEOUT_S: Final = 20.0
"""A guard gives its server 10 s to stop before it kills it."""
_POLL_S: Final = 0.05
_GUARD_PAUSE_S: Final = 1.0
"""A guard that dies at once is not started more often than this."""


class EmbeddedServer:
    """A shared hold on `embedded://NAME`: while any process has one, guard and server are kept running.

    The hold ends with `release()` or with the process, however that ends. A process that lives longer than a
    moment calls `ensure_guard()` every few seconds. Not for use in several threads at a time.
    """

    def __init__(
        self, folder: Folder, binary: ServerBinary, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder = folder
        self._binary = binary
        self._clock = clock
        self._hold: FileLock | None = None
        self._is_user = False
        self._next_guard_s = clock()
        self._give_up_s = clock() + EARLIER_END_TIMEOUT_S

    @classmethod
    def acquire(cls, name: str) -> Self:
        """Takes a hold and waits until the server answers, be it that it is still loading its data.

        Raises:
            EmbeddedServerError: it does not within 10 s; the message ends with the last lines of its log.
        """
        server = cls.named(name)
        try:
            while not server.try_ready():
                time.sleep(_POLL_S)
        except BaseException:
            server.release()
            raise
        return server

    @classmethod
    async def acquire_async(cls, name: str) -> Self:
        """`acquire` that leaves the event loop free while it waits."""
        server = cls.named(name)
        try:
            while not server.try_ready():  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(_POLL_S)
        except BaseException:
            server.release()
            raise
        return server

    @classmethod
    def named(cls, name: str) -> Self:
        """The server of `embedded://NAME`, without a hold; nothing is created."""
        binary = server_binary()
        return cls(Folder.of(name, binary.label), binary)

    @property
    def socket_path(self) -> Path:
        """Where it listens, or will."""
        return self.folder.socket

    @property
    def url(self) -> str:
        """The `unix://` URL of its socket."""
        return f"unix://{quote(str(self.folder.socket))}"

    def try_ready(self) -> bool:
        """One step towards a server that answers, without waiting: hold, guard, server. True: all are there.

        Raises:
            EmbeddedServerError: the time is over, or a file cannot be used.
        """
        try:
            if self._hold is None:
                self.folder.create()
                self._hold = FileLock(self.folder.users_lock)
            if not self._is_user and self._hold.try_shared():
                self._is_user = True
                self._give_up_s = self._clock() + START_TIMEOUT_S
        except OSError as error:
            raise self._unusable(error) from None
        if self._is_user:
            self.ensure_guard()
            if self.is_up():
                return True
        if self._clock() > self._give_up_s:
            raise self._late()
        return False

    def ensure_guard(self) -> None:
        """Starts a guard where there is none. Takes microseconds where there is one.

        Raises:
            EmbeddedServerError: it cannot be started; try again later.
        """
        if not self._is_user or self._clock() < self._next_guard_s:
            return
        try:
            lock = FileLock(self.folder.guard_lock)
            try:
                if lock.try_exclusive():
                    self._next_guard_s = self._clock() + _GUARD_PAUSE_S
                    lock.write("")
                    self._start_guard(lock)
            finally:
                lock.close()
        except (OSError, subprocess.SubprocessError) as error:
            raise self._unusable(error) from None

    def is_up(self) -> bool:
        """Whether the server of the present guard answers."""
        server = numbers_in(self.folder.server_lock)
        guard = numbers_in(self.folder.guard_lock)
        # One that a dead guard left behind may still answer, but not for long.
        return len(server) == 2 and server[1:] == guard and _pid_that_answers(self.folder.socket) == server[0]

    def release(self) -> None:
        """Ends the hold. The guard stops the server about two seconds after the last one."""
        if self._hold is not None:
            self._hold.close()
        self._hold, self._is_user = None, False

    def _start_guard(self, lock: FileLock) -> None:
        package_root = str(Path(marketdata.__file__).parent.parent)
        known = os.environ.get("PYTHONPATH")
        guard = [sys.executable, "-P", "-m", "marketdata.embedded.guard"]
        arguments = [str(self.folder.path), str(self._binary.path), str(lock.fd)]
        with self.folder.log.open("ab") as log:
            # The shell ends at once, so the guard is nobody's child and leaves no zombie to a living user.
            subprocess.run(
                ["/bin/sh", "-c", '"$@" &', "sh", *guard, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder.path,
                env={**os.environ, "PYTHONPATH": package_root if not known else f"{package_root}:{known}"},
                start_new_session=True,
                pass_fds=(lock.fd,),
                timeout=START_TIMEOUT_S,
                check=True,
            )

    def _unusable(self, error: OSError | subprocess.SubprocessError) -> EmbeddedServerError:
        return EmbeddedServerError(
            f"the embedded server's folder {self.folder.path} cannot be used ({error}); its data is kept;"
            " mend that, or set BOOKSTREAM_DATA_DIR or REDIS_URL"
        )

    def _late(self) -> EmbeddedServerError:
        what = "does not answer" if self._is_user else "is still being shut down"
        said = " | ".join(last_lines(self.folder.log)) or "nothing"
        return EmbeddedServerError(
            f"the embedded server in {self.folder.path} {what}; its data is kept; see {self.folder.log},"
            f" or move the folder away to begin anew; its log ends: {said}"
        )


def _pid_that_answers(socket_path: Path) -> int | None:
    """The pid of the server behind a socket, also while it loads its data; None if none answers in 0.5 s."""
    if not socket_path.exists():
        return None
    with redis.Redis(
        unix_socket_path=str(socket_path), protocol=2, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)
    ) as client:
        try:
            return int(client.info("server")["process_id"])
        except redis.RedisError:
            return None
