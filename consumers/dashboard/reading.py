"""What the reader hands to the state, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from consumers.dashboard.found import Found
from consumers.dashboard.members import GroupLine
from consumers.dashboard.quotes import Seen
from consumers.dashboard.records import WorkerRecord


@dataclass(frozen=True, slots=True)
class Wish:
    """What is on the screen, and so what is worth reading.

    Attributes:
        follow: condition ids whose streams are read.
        opened: the one of them that has a page of its own; empty: none.
        opportunities, groups: whether these are read.
    """

    follow: tuple[str, ...] = ()
    opened: str = ""
    opportunities: bool = False
    groups: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """What Redis says of itself.

    Attributes:
        used_bytes, max_bytes: memory; 0: no limit.
        refuses_when_full: whether it refuses writes at the limit, in place of forgetting.
        trouble: what is wrong with it; empty: nothing.
        version: its own.
    """

    used_bytes: int
    max_bytes: int
    refuses_when_full: bool
    trouble: str
    version: str


@dataclass(frozen=True, slots=True)
class EngineWord:
    """The arbitrage engine's newest word.

    Attributes:
        group: that writes the opportunities; empty: none ever did.
        heard_ms: when a member of it last said something, Unix milliseconds of its clock; 0: it has none.
    """

    group: str = ""
    heard_ms: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of one market's stream.

    Attributes:
        condition_id: whose.
        entries: oldest first.
        first: whether they are the stream's end as it was found, not news.
    """

    condition_id: str
    entries: Sequence[Seen]
    first: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at Redis. None: not looked at this time, or as before.

    Attributes:
        at_ms: when, Unix milliseconds of this machine.
        workers: all records that can be read, oldest worker first.
        unreadable: ids of workers whose record cannot be read.
        clocks: by partition, Unix milliseconds of its newest clock entry.
        partitions: as the contract in Redis says.
        server: memory and state.
        catalog: how often the catalog was read anew; another number: it changed.
        pages: entries of markets on the screen.
        found: new entries of the opportunity streams.
        found_anew: whether they are all there are of the last hour, whatever was read before.
        engine: who writes them.
        groups: consumer groups.
    """

    at_ms: int
    workers: Sequence[WorkerRecord] | None = None
    unreadable: Sequence[str] = ()
    clocks: Mapping[int, int] | None = None
    partitions: int | None = None
    server: Server | None = None
    catalog: int = 0
    pages: Sequence[Page] = field(default_factory=tuple)
    found: Sequence[Found] = field(default_factory=tuple)
    found_anew: bool = False
    engine: EngineWord | None = None
    groups: Sequence[GroupLine] | None = None
