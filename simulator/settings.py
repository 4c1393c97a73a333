"""The simulator's arguments; all belong to one run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator

from marketdata.settings import CommandSettings, argument

_LISTEN: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})")


def _split_listen(text: str) -> tuple[str, int]:
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError("not a host and a port")
    return match["v6"] or match["host"], int(match["port"])


def _checked_listen(text: str) -> str:
    _split_listen(text)
    return text


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("a directory" if path.is_dir() else "no such file")
    return path


CaptureFile = Annotated[Path, AfterValidator(_existing_file)]
"""A recording that is there."""


class SimulateSettings(CommandSettings):
    """Plays captured traffic as the venue would send it, on a port of this machine."""

    listen: Annotated[str, AfterValidator(_checked_listen)] = argument(
        "127.0.0.1:8787",
        "Where to listen; port 0 takes a free one and says which.",
        allowed="HOST:PORT, with a port from 0 to 65535",
        metavar="HOST:PORT",
    )
    capture: tuple[CaptureFile, ...] = argument(
        (),
        "Captures of the market channel to play, plain or .gz; at least one.",
        allowed="one or more files",
        metavar="FILE",
    )
    speed: float = argument(1, "1 plays at the pace of the recording, 2 twice as fast, 0 flat out.", ge=0)
    loop: bool = argument(False, "Begin again at the end.")

    @property
    def host(self) -> str:
        """The host of `listen`, without the brackets of IPv6."""
        return _split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        """The port of `listen`; 0 asks for a free one."""
        return _split_listen(self.listen)[1]
