"""The server as a child process of its guard."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from marketdata.embedded.folder import Folder
from marketdata.embedded.locks import FileLock, numbers_in

MAX_MEMORY: Final = "1gb"
STOP_TIMEOUT_S: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


class ServerChild:
    """A server on one folder, started by this process.

    The server process itself holds `server.lock` (it inherits the descriptor), so that a later guard can
    tell whether one is alive without trusting a pid. On Linux the kernel sends it SIGTERM when its guard
    dies: a server without a guard would have nobody to stop it after the last user. SIGTERM and not SIGKILL,
    because the server then writes its append-only file to the end. macOS has no such signal: there a server
    whose guard was killed stays until the folder's next guard, started within seconds by any living user,
    stops it and starts its own.
    """

    def __init__(self, folder: Folder, program: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._program = program
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = FileLock(folder.server_lock)

    def is_up(self) -> bool:
        """Whether the server process lives. Tells of its end once."""
        if self._process is None:
            return False
        status = self._process.poll()
        if status is None:
            return True
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        self._say(f"the server, pid {self._process.pid}, ended by itself ({how}); its data is kept")
        self._forget()
        return False

    def start(self) -> None:
        """Starts the server on the folder. One that an earlier guard left behind is stopped first.

        Raises:
            OSError: the program cannot be run.
            subprocess.SubprocessError: the new process could not be prepared.
        """
        self._stop_leftover()
        self._lock.write("")
        self._process = subprocess.Popen(
            [self._program, *_options(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            stderr=sys.stderr,
            cwd=self._folder.path,
            start_new_session=True,
            pass_fds=(self._lock.fd,),
            preexec_fn=_before_exec(self._lock),  # noqa: PLW1509 - the guard has one thread
        )
        # Only the server holds the lock from here on: it must be free as soon as the server is gone.
        self._lock.close()
        self._lock = FileLock(self._folder.server_lock)
        self._say(f"started the server, pid {self._process.pid}, on {self._folder.socket}")

    def stop(self) -> None:
        """Stops the server in good order and waits; after 10 s it is killed."""
        if self._process is None:
            return
        pid = self._process.pid
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
            self._say(f"stopped the server, pid {pid}")
        except subprocess.TimeoutExpired:
            self._say(f"the server, pid {pid}, did not stop within {STOP_TIMEOUT_S:.0f} s; it is killed")
            self._process.kill()
            self._process.wait()
        self._forget()
        self._folder.socket.unlink(missing_ok=True)

    def _forget(self) -> None:
        assert self._process is not None
        if self._lock.try_exclusive():
            self._lock.unlock()
        else:
            # A child of the server (a rewrite of the append-only file) inherited the lock and would go on
            # writing. As long as it lives, the number of its process group cannot be anyone else's.
            _signal_group(self._process.pid, signal.SIGKILL)
        self._process = None

    def _stop_leftover(self) -> None:
        how = signal.SIGTERM
        give_up_s = time.monotonic()
        while not self._lock.try_exclusive():
            now_s = time.monotonic()
            # The line is written by the server process before it becomes the server; the lock is held, so the
            # pid cannot have gone to another process.
            pids = numbers_in(self._folder.server_lock)
            if now_s >= give_up_s and len(pids) == 2:
                self._say(
                    f"a server of an earlier guard, pid {pids[0]}, holds the folder; it gets {how.name}"
                )
                _signal_group(pids[0], how)
                how, give_up_s = signal.SIGKILL, now_s + STOP_TIMEOUT_S
            time.sleep(0.02)


def _options(folder: Folder) -> list[str]:
    return [
        *("--port", "0", "--unixsocket", str(folder.socket), "--unixsocketperm", "700"),
        *("--dir", str(folder.path), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        *(
            "--maxmemory",
            MAX_MEMORY,
            "--maxmemory-policy",
            "noeviction",
            "--daemonize",
            "no",
            "--logfile",
            "",
        ),
    ]


def _before_exec(lock: FileLock) -> Callable[[], None]:
    """What the forked child does before it becomes the server."""
    guard = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None

    def prepare() -> None:
        if prctl is not None and prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != guard:
            os._exit(1)  # the guard died before the line above: no signal would come
        lock.write(f"{os.getpid()} {guard}\n")

    return prepare


def _signal_group(pid: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, how)
