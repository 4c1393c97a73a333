"""Where an embedded server lives: its data folder, the files in it, its socket."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from marketdata.errors import EmbeddedServerError

MAX_SOCKET_PATH_BYTES: Final = 100
"""The kernel's limit is 108 on Linux and 104 on macOS, with the closing zero."""


@dataclass(frozen=True, slots=True)
class Folder:
    """The data folder of one embedded server.

    Attributes:
        path: absolute; its last part is the name, the server's kind and its major version.
        uid: whose it is.
        socket_root: parent of the socket's folder where `path` is too long for a socket. It is a fixed
            place, not one from TMPDIR or XDG_RUNTIME_DIR: a command started from cron has others than one in
            a terminal, and both must find the same server.
    """

    path: Path
    uid: int
    socket_root: Path = Path("/tmp")

    @classmethod
    def of(cls, name: str, label: str, environ: Mapping[str, str] | None = None) -> Folder:
        """The folder of `embedded://NAME` for a server such as "valkey9". Creates nothing.

        It is in $BOOKSTREAM_DATA_DIR, else $XDG_DATA_HOME/bookstream, else ~/.local/share/bookstream.

        Raises:
            EmbeddedServerError: there is no home folder.
        """
        return cls(
            data_dir(os.environ if environ is None else environ) / "embedded" / f"{name}-{label}",
            os.getuid(),
        )

    @property
    def users_lock(self) -> Path:
        """Held shared by each command that uses the server, exclusively by a guard that shuts it down."""
        return self.path / "users.lock"

    @property
    def guard_lock(self) -> Path:
        """Held exclusively by the guard from before its start to its end; holds its pid."""
        return self.path / "guard.lock"

    @property
    def server_lock(self) -> Path:
        """Held exclusively by the server process; holds its pid and its guard's."""
        return self.path / "server.lock"

    @property
    def log(self) -> Path:
        """What the guard and the server say."""
        return self.path / "log"

    @property
    def socket(self) -> Path:
        """Where the server listens: in the folder, or under `socket_root` if that path is too long."""
        near = self.path / "server.sock"
        if len(os.fsencode(near)) <= MAX_SOCKET_PATH_BYTES:
            return near
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:24]
        return self.socket_root / f"bookstream-{self.uid}" / f"{digest}.sock"

    def create(self) -> None:
        """Makes the folder, and the socket's where it is another one, ours alone (mode 0700).

        Raises:
            EmbeddedServerError: it cannot be made, or belongs to someone else.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_private(self.path, self.uid)
            if self.socket.parent != self.path:
                self.socket.parent.mkdir(mode=0o700, exist_ok=True)
                _make_private(self.socket.parent, self.uid)
        except OSError as error:
            raise EmbeddedServerError(
                f"the data folder {self.path} cannot be made ({error.strerror}: {error.filename});"
                " nothing was started; set BOOKSTREAM_DATA_DIR to a folder of yours or REDIS_URL to a server"
            ) from None


def data_dir(environ: Mapping[str, str]) -> Path:
    """Where bookstream keeps data on this machine, absolute; see `Folder.of` for the places.

    Raises:
        EmbeddedServerError: there is no home folder.
    """
    own = environ.get("BOOKSTREAM_DATA_DIR")
    if own:
        return Path(os.path.abspath(os.path.expanduser(own)))
    shared = environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification: a relative path is invalid and to be ignored.
    if os.path.isabs(shared):
        return Path(shared) / "bookstream"
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise EmbeddedServerError("there is no home folder for the embedded server; set BOOKSTREAM_DATA_DIR")
    return Path(home) / ".local" / "share" / "bookstream"


def _make_private(path: Path, uid: int) -> None:
    # lstat: in a folder that everybody may write to, a link could lead anywhere.
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
        raise EmbeddedServerError(
            f"{path} is not a folder of user {uid}; nothing was started; remove it or set BOOKSTREAM_DATA_DIR"
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
