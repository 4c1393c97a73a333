"""Whether the data can be trusted now, in one word, with why and what to do (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from consumers.dashboard.reading import Server
from consumers.dashboard.records import WorkerRecord
from consumers.dashboard.silence import PONG_IS_LATE_MS, is_cut_off, usual_per_s

Word = Literal["LIVE", "DEGRADED", "DOWN", "WAIT"]

SILENT_AFTER_MS: Final = 1_700
"""Workers speak once a second and are looked at four times a second; one that was not heard for longer is told of
within two seconds."""

CLOCK_SILENT_AFTER_MS: Final = 5_000
MEMORY_NEARLY_FULL: Final = 0.9
PENDING_IS_MUCH: Final = 10_000


@dataclass(frozen=True, slots=True)
class Health:
    """The word of the header.

    Attributes:
        word: LIVE, DEGRADED, DOWN; WAIT before the first look.
        why: in a few words; empty if all is well.
        todo: what a person can do; empty where it mends itself.
        more: how many other reasons there are.
        old: how old the picture is, in words, where it gets no newer; else empty.
    """

    word: Word
    why: str = ""
    todo: str = ""
    more: int = 0
    old: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the word is made of.

    Attributes:
        looked: whether Redis was read at all.
        read_age_ms: since it was read.
        away: why it is not read now, in words; empty if it is.
        workers: newest records.
        ages_ms: by worker, how long ago it was heard.
        unreadable: workers whose record cannot be read.
        partitions: in all, as the contract says; None: no worker has ever written.
        clock_ages_ms: by partition, how long ago its owner vouched for it.
        server: memory and state; None: not known.
    """

    looked: bool
    read_age_ms: int
    away: str
    workers: Sequence[WorkerRecord]
    ages_ms: Mapping[str, int]
    unreadable: Sequence[str]
    partitions: int | None
    clock_ages_ms: Mapping[int, int]
    server: Server | None


def is_silent(word: WorkerRecord, age_ms: int) -> bool:
    """Whether a worker should have spoken, and did not."""
    return word.state != "stopped" and age_ms > SILENT_AFTER_MS


def health_of(facts: Facts) -> Health:
    """The word, for the worst reason there is."""
    if facts.away:
        if facts.looked:
            return Health("DOWN", facts.away, old=f"what is shown is {_seconds(facts.read_age_ms)} old")
        return Health("DOWN", facts.away, "it is tried again")
    if not facts.looked:
        return Health("WAIT", "looking at Redis")
    down = next(_down(facts), None)
    if down is not None:
        return Health("DOWN", *down)
    reasons = list(_degraded(facts))
    if reasons:
        return Health("DEGRADED", *reasons[0], more=len(reasons) - 1)
    return Health("LIVE")


def _down(facts: Facts) -> Iterator[tuple[str, str]]:
    heard = [word for word in facts.workers if word.state != "stopped" and not _silent(facts, word)]
    running = [word for word in heard if word.state == "running" and word.partitions]
    if not facts.workers:
        if facts.unreadable:
            yield f"the record of worker {facts.unreadable[0]} cannot be read", "is it of another version?"
        yield "no worker is here", "start one: bookstream worker"
    elif not heard:
        last = min(facts.workers, key=lambda word: facts.ages_ms.get(word.worker, 0))
        if last.state == "stopped":
            yield f"worker {last.worker} stopped", "start one: bookstream worker"
        yield (
            f"no word of worker {last.worker} for {_seconds(facts.ages_ms.get(last.worker, 0))}",
            "look at its log",
        )
    elif not running:
        state = "starting" if any(word.state == "starting" for word in heard) else "standing by"
        yield f"no worker writes; {heard[-1].worker} is {state}", ""
    elif not any(word.tokens_live for word in running):
        if all(word.tokens == 0 for word in running):
            if any(word.loading for word in running):
                yield "no token is followed yet, the markets are being loaded", ""
            yield "no token is followed yet", "is the catalog empty?"
        yield "no token is live", "is the venue reachable? 2 shows the connections"


def _degraded(facts: Facts) -> Iterator[tuple[str, str]]:
    heard = [word for word in facts.workers if word.state != "stopped" and not _silent(facts, word)]
    running = [word for word in heard if word.state == "running"]
    total = _partitions(running, facts.partitions)
    missing = unwritten(running, facts.partitions)
    # One whose partitions others hold is history.
    for word in facts.workers if missing else ():
        age_ms = facts.ages_ms.get(word.worker, 0)
        if is_silent(word, age_ms):
            yield f"no word of worker {word.worker} for {_seconds(age_ms)}", "look at its log"
    for name in facts.unreadable:
        yield f"the record of worker {name} cannot be read", "is it of another version?"
    for word in running:
        if word.redis == "away":
            yield f"worker {word.worker} does not reach Redis; {word.pending:,} updates wait", ""
    if missing:
        yield (
            f"{missing} of {total} partitions have no writer",
            "start a worker, or wait for a take-over",
        )
    yield from _cut_off(running)
    yield from _tokens(running)
    open_states = ("live", "subscribed")
    closed = [one for word in running for one in word.connections if one.state not in open_states]
    if closed:
        yield (
            f"{len(closed)} of {sum(len(word.connections) for word in running)} connections are not open",
            "",
        )
    yield from _late_pongs(running)
    old = [age for age in facts.clock_ages_ms.values() if age > CLOCK_SILENT_AFTER_MS]
    if old and not missing:
        yield (
            f"{len(old)} partitions are not vouched for since {_seconds(max(old))}",
            "the worker may be overloaded",
        )
    for word in running:
        if word.pending > PENDING_IS_MUCH:
            yield f"{word.pending:,} updates wait for Redis", "Redis may be overloaded"
    yield from _server(facts.server)


def unwritten(heard: Sequence[WorkerRecord], partitions: int | None) -> int:
    """How many partitions none of these workers writes.

    Args:
        heard: workers that are heard.
        partitions: in all; None: as many as the workers say.
    """
    running = [word for word in heard if word.state == "running"]
    return max(_partitions(running, partitions) - sum(word.partitions for word in running), 0)


def _partitions(running: Sequence[WorkerRecord], partitions: int | None) -> int:
    return partitions or max((word.partitions_total for word in running), default=0)


def _cut_off(running: Sequence[WorkerRecord]) -> Iterator[tuple[str, str]]:
    for word in running:
        if word.received is not None and is_cut_off(word):
            whose = f" by {word.worker}" if len(running) > 1 else ""
            usual = f"{usual_per_s(word.received):,.0f} messages/s came"
            yield f"nothing received{whose} for {word.received['silent_s']} s, where {usual}", ""


def _late_pongs(running: Sequence[WorkerRecord]) -> Iterator[tuple[str, str]]:
    late = [
        (word.now_ms - one.pong_awaited_ms, one.name)
        for word in running
        for one in word.connections
        if one.pong_awaited_ms and word.now_ms - one.pong_awaited_ms > PONG_IS_LATE_MS
    ]
    if late:
        age_ms, name = max(late)
        others = f" and {len(late) - 1} more" if len(late) > 1 else ""
        yield f"the PING of {name}{others} is unanswered for {_seconds(age_ms)}", ""


def _tokens(running: Sequence[WorkerRecord]) -> Iterator[tuple[str, str]]:
    total = sum(word.tokens for word in running)
    stale = sum(word.stale or 0 for word in running)
    quarantined = sum(word.quarantined or 0 for word in running)
    # Stale ones are among those that wait.
    waiting = sum(word.tokens_waiting for word in running) - stale
    if quarantined:
        yield f"{quarantined} of {total} tokens are quarantined", "they are tried again by themselves"
    if stale:
        yield f"{stale} of {total} tokens are stale", "they are being rescued"
    if waiting:
        yield f"{waiting} of {total} tokens wait for a book", ""


def _server(server: Server | None) -> Iterator[tuple[str, str]]:
    if server is None:
        return
    if server.trouble:
        yield f"Redis: {server.trouble}", "look at its log"
    if server.max_bytes and server.used_bytes > MEMORY_NEARLY_FULL * server.max_bytes:
        end = "it will refuse writes" if server.refuses_when_full else "it will forget streams"
        yield (
            f"Redis' memory is {100 * server.used_bytes // server.max_bytes} % full",
            f"{end}; see STREAM_MAXLEN",
        )


def _silent(facts: Facts, word: WorkerRecord) -> bool:
    return is_silent(word, facts.ages_ms.get(word.worker, 0))


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.0f} s"
