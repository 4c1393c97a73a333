"""The simulator's arguments; all belong to one run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, model_validator

from marketdata.errors import FaultError
from marketdata.settings import CommandSettings, CrossedError, argument
from simulator.faults.reading import read_flag

_LISTEN: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>[0-9]{1,5})")


def _split_listen(text: str) -> tuple[str, int]:
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError("not a host and a port")
    return match["v6"] or match["host"], int(match["port"])


def _checked_listen(text: str) -> str:
    _split_listen(text)
    return text


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ValueError("no such file")
    return path


def _readable_fault(text: str) -> str:
    try:
        read_flag(text)
    except FaultError as error:
        raise ValueError(str(error)) from None
    return text


FaultText = Annotated[str, AfterValidator(_readable_fault)]
"""A fault as a flag says it."""

CapturePath = Annotated[Path, AfterValidator(_existing)]
"""A recording that is there: a file, or a folder of hourly files."""


class SyntheticArguments(CommandSettings):
    """What a synthetic venue is made of."""

    markets: int = argument(60, "Open markets of the synthetic venue.", ge=4, le=20_000)
    rate: float = argument(
        500, "Messages a second of the synthetic venue, over all markets; 0 flat out.", ge=0, le=1_000_000
    )
    seed: int | None = argument(
        None,
        "Decides all that is random in the synthetic venue; without it: another one each time, which is told.",
        ge=0,
        le=2**63 - 1,
    )
    edges: float = argument(
        0, "Arbitrage edges planted a minute; 0: the synthetic venue has none.", ge=0, le=6_000
    )


SYNTHETIC_ONLY: Final = tuple(SyntheticArguments.__annotations__)
"""Arguments that mean nothing to recordings."""


class SimulateSettings(SyntheticArguments):
    """Stands in for the venue on a port of this machine: a synthetic market, or captured traffic."""

    listen: Annotated[str, AfterValidator(_checked_listen)] = argument(
        "127.0.0.1:8787",
        "Where to listen; port 0 takes a free one and says which.",
        allowed="HOST:PORT, with a port from 0 to 65535",
        metavar="HOST:PORT",
    )
    synthetic: bool = argument(False, "Make up markets, orders and trades.")
    capture: tuple[CapturePath, ...] = argument(
        (),
        "Captures of the market channel to play, plain, .gz or .zst; a folder of RECORD_RAW as a whole.",
        allowed="one or more files, or folders of hourly files",
        metavar="FILE",
    )
    speed: float = argument(1, "1 plays at the pace of the recording, 2 twice as fast, 0 flat out.", ge=0)
    loop: bool = argument(False, "Begin again at the end.")
    start_ms: int | None = argument(
        None,
        "When the synthetic venue began, Unix milliseconds; with its seed it names the same markets again. "
        "A time ahead is waited for, and then the same seed and sizes give the same bytes.",
        ge=1_000_000_000_000,
        le=4_000_000_000_000,
    )
    truth_s: float = argument(
        900, "How long the synthetic venue remembers what was true, in seconds.", gt=0, le=86_400
    )
    fault: tuple[FaultText, ...] = argument(
        (),
        "Faults of the venue from its opening on, as drop or stall:token=any,for_s=60.",
        allowed="KIND or KIND:key=value,key=value; docs/simulator.md lists them",
        metavar="FAULT",
    )
    faults: Annotated[Path, AfterValidator(_existing)] | None = argument(
        None,
        "A schedule of faults: JSON lines or one JSON array, each fault with its at_s.",
        allowed="a file",
        metavar="FILE",
    )
    fault_rate: float = argument(0, "Faults by chance a minute, of all kinds.", ge=0, le=6_000)
    fault_seed: int | None = argument(
        None,
        "Decides what faults do by chance; without it: --seed, or another one each time, which is told.",
        ge=0,
        le=2**63 - 1,
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.capture and self.synthetic:
            raise CrossedError("capture", "play one or the other", "synthetic")
        return self

    @model_validator(mode="after")
    def _each_its_own(self) -> Self:
        for field in (*SYNTHETIC_ONLY, "start_ms", "truth_s"):
            if self.capture and field in self.model_fields_set:
                raise CrossedError(field, "means nothing to recordings", "capture")
        for field in ("speed", "loop"):
            if self.synthetic and field in self.model_fields_set:
                raise CrossedError(field, "belongs to recordings", "synthetic")
        return self

    @property
    def host(self) -> str:
        """The host of `listen`, without the brackets of IPv6."""
        return _split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        """The port of `listen`; 0 asks for a free one."""
        return _split_listen(self.listen)[1]
