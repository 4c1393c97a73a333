"""The guard: a small process that runs one embedded server for as long as someone uses it.

    python -m marketdata.embedded.guard FOLDER PROGRAM LOCK_FD

Started by `EmbeddedServer`, which took `guard.lock` for it and passes the descriptor on: so there is never a
second guard on a folder, not even for a moment. It starts the server as its child, restarts it with backoff,
and tries for `users.lock` exclusively: when it gets it for two seconds running, nobody is left; it stops the
server and ends. SIGTERM ends it the same way. If it dies, its server is stopped by the kernel (see `child`),
and the next user, or a living one within seconds, starts a new guard. So whoever is killed, in whichever
order, nothing stays behind the last user.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from marketdata.embedded.child import ServerChild
from marketdata.embedded.folder import Folder
from marketdata.embedded.locks import FileLock
from marketdata.embedded.logfile import bound
from marketdata.embedded.watch import Watch

_TICK_S = 0.1
_log = logging.getLogger("guard")


class Guard:
    """One guard on one folder."""

    def __init__(self, folder: Folder, program: Path, own_lock: FileLock) -> None:
        self._folder = folder
        self._own_lock = own_lock
        self._users = FileLock(folder.users_lock)
        self._server = ServerChild(folder, program, _log.info)
        self._told_to_end = False

    def run(self) -> None:
        """Works until nobody uses the server any more, or SIGTERM. The server is stopped when it returns."""
        self._own_lock.write(f"{os.getpid()}\n")
        signal.signal(signal.SIGTERM, self._end)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        _log.info("guards %s", self._folder.path)
        watch = Watch()
        try:
            while self._step(watch):
                bound(self._folder.log)
                time.sleep(_TICK_S)
        finally:
            self._server.stop()
            _log.info("ends")

    def _step(self, watch: Watch) -> bool:
        if self._told_to_end:
            _log.info("was told to end")
            return False
        if not self._own_lock.is_in_place():
            _log.info("the data folder was removed")
            return False
        nobody = self._users.try_exclusive()
        action = watch.tick(time.monotonic(), server_up=self._server.is_up(), users=not nobody)
        if action == "finish":
            # The lock stays ours: who comes now waits for the end of this process and starts the next guard.
            _log.info("nobody uses the server any more")
            return False
        if nobody:
            self._users.unlock()
        if action == "start":
            self._start()
        return True

    def _start(self) -> None:
        try:
            self._server.start()
        except (OSError, subprocess.SubprocessError) as error:
            _log.error("the server cannot be started (%s); it is tried again", error)

    def _end(self, _signum: int, _frame: FrameType | None) -> None:
        self._told_to_end = True


def main(arguments: list[str]) -> None:
    """Entry point: FOLDER PROGRAM LOCK_FD."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)sZ guard %(process)d %(message)s"
    )
    path, program, lock_fd = arguments
    folder = Folder(Path(path), os.getuid())
    Guard(folder, Path(program), FileLock.inherited(int(lock_fd), folder.guard_lock)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
