"""A throw-away server for tests: the same program as the embedded one, in a folder of its own.

with PrivateRedis() as server:
    server.client().ping()
    server.kill9()
    server.start()      # same folder: the append-only file brings the data back
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from marketdata.embedded.binary import server_binary


class PrivateRedis:
    """One server on a unix socket (and on a loopback port with `tcp=True`), with an append-only file.

    Methods block until the server answers or is gone, a few ten milliseconds.

    Attributes:
        folder: its data folder, removed by `close()`.
        socket_path: where it listens.
        port: its TCP port on 127.0.0.1, kept over restarts; None without `tcp`.
    """

    def __init__(self, *options: str, tcp: bool = False, appendonly: bool = True) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bs-"))
        self.socket_path = self.folder / "s.sock"
        self.port = _free_port() if tcp else None
        self.process: subprocess.Popen[bytes] | None = None
        self._options = [
            *("--port", str(self.port or 0), "--bind", "127.0.0.1", "--unixsocket", str(self.socket_path)),
            *("--dir", str(self.folder), "--save", "", "--appendonly", "yes" if appendonly else "no"),
            *options,
        ]

    @property
    def url(self) -> str:
        """REDIS_URL of the unix socket."""
        return f"unix://{self.socket_path}"

    @property
    def tcp_url(self) -> str:
        """REDIS_URL of the loopback port."""
        assert self.port is not None, "start it with tcp=True"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self.process is not None, "the server is not running"
        return self.process.pid

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, timeout_s: float = 20.0) -> Self:
        """Starts the server and waits until it answers and has loaded its data."""
        assert self.process is None, f"the server runs already as {self.pid}"
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [server_binary().path, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C meant for the test run must not stop a server whose test still cleans up.
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return self
                except redis.RedisError as error:
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        self.kill9()
                        raise AssertionError(
                            f"the server did not start: {error}\n{self.log[-2000:]}"
                        ) from None
                time.sleep(0.005)

    def stop(self, timeout_s: float = 20.0) -> None:
        """Ends the server in good order (SIGTERM) and waits until it is gone."""
        self._end(signal.SIGTERM, timeout_s)

    def kill9(self) -> None:
        """Kills the server and waits until it is gone."""
        self._end(signal.SIGKILL, 20.0)

    def restart(self) -> None:
        """Kills the server and starts it on the same folder, socket and port."""
        self.kill9()
        self.start()

    def pause(self) -> None:
        """Freezes the server: connections stay open and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a frozen server go on."""
        os.kill(self.pid, signal.SIGCONT)

    def client(self, *, decode_responses: bool = False) -> redis.Redis:
        """A new blocking client without retries; the caller closes it."""
        return redis.Redis(
            unix_socket_path=str(self.socket_path),
            decode_responses=decode_responses,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )

    def close(self) -> None:
        """Kills the server if it runs and removes its folder."""
        if self.process is not None:
            self.kill9()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        assert self.process is not None, "the server is not running"
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(how)
        self.process.wait(timeout_s)
        self.process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
