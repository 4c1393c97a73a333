"""A simulated recording replayed by the program itself, and what came of it.

python -m tests.acceptance.replay_run --markets 500 --rate 500 --seconds 3600 --out docs/proofs/replay.txt
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
import redis

from tests.acceptance.simulated_recording import Recorded, record
from tests.redis_server import PrivateRedis

MEMORY_MB: Final = 150
CLOCK_MS: Final = 20
COPY: Final = "copy:"


@dataclass
class Replay:
    """One run of the program."""

    code: int
    said: str
    lines: int
    sha256: str
    seconds: float
    peak_mb: float


@dataclass
class Outcome:
    """What the runs showed."""

    seed: int
    rate: float
    simulated_s: int
    recorded: Recorded = field(default_factory=Recorded)
    recording_s: float = 0
    took_s: float = 0
    flat_out: dict[str, Replay] = field(default_factory=dict)
    in_order: bool = False
    late_ms: list[float] = field(default_factory=list)
    copy: Replay | None = None
    verify: str = ""
    resumed: str = ""
    bad_input: list[tuple[str, int, str]] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Why the runs do not show what they should; empty if they do."""
        found = [*self.mistakes]
        runs = [*self.flat_out.values(), *([self.copy] if self.copy else [])]
        found += [f"exit code {run.code}: {run.said}" for run in runs if run.code]
        found += [f"{run.peak_mb:.0f} MB" for run in runs if run.peak_mb >= MEMORY_MB]
        if len({run.sha256 for run in self.flat_out.values()}) != 1:
            found.append("other read sizes gave other bytes")
        if any(run.lines != self.recorded.entries for run in self.flat_out.values()):
            found.append("not as many lines as entries")
        if not self.in_order:
            found.append("the lines are not in the total order")
        if not self.late_ms or abs(statistics.median(self.late_ms)) > CLOCK_MS:
            found.append("at speed 10 the clock is not kept")
        if not self.verify.startswith("clean: "):
            found.append(f"verify of the copy: {self.verify}")
        return found

    def lines(self) -> list[str]:
        """For people."""
        told, faults = self.recorded, self.faults()
        late = sorted(self.late_ms) or [0.0]
        median, p99, worst = statistics.median(late), late[len(late) * 99 // 100], late[-1]
        flat_out = [
            f"flat out   read size {size}: {run.lines} lines in {run.seconds:.1f} s, peak {run.peak_mb:.0f} MB,"
            f" SHA-256 {run.sha256}"
            for size, run in self.flat_out.items()
        ]
        assert self.copy is not None, "it was run"
        return [
            f"date       {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; took {self.took_s:.0f} s",
            f"machine    {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            f"recording  seed {self.seed}, {self.simulated_s} simulated s, {self.rate:g} messages/s:"
            f" {told.streams} streams, {told.entries} entries, {told.clocks} clock entries;"
            f" made in {self.recording_s:.0f} s",
            *flat_out,
            f"speed 10   {len(self.late_ms)} lines against the clock of the first: median {median:.1f} ms,"
            f" p99 {p99:.1f} ms, worst {worst:.1f} ms late",
            f"copy       {self.copy.said} (peak {self.copy.peak_mb:.0f} MB)",
            f"           verify there: {self.verify}",
            f"group      {self.resumed}",
            *(f"bad input  exit {code}: {said}" for _, code, said in self.bad_input),
            f"result     {'as promised' if not faults else 'FAULTS'}",
            *faults[:20],
        ]


def run(*, markets: int, rate: float, seconds: int, seed: int, paced_s: int, gone: bool) -> Outcome:
    """Records, then replays in every way.

    Args:
        paced_s: so many simulated seconds are replayed at speed 10.
        gone: also kill Redis half way; the program gives up after half a minute.
    """
    outcome = Outcome(seed, rate, seconds)
    began_s = time.monotonic()
    start_ms = time.time_ns() // 1_000_000 - seconds * 1000 - 3_600_000
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        outcome.recorded = record(
            client, markets=markets, rate=rate, seconds=seconds, seed=seed, start_ms=start_ms
        )
        outcome.recording_s = time.monotonic() - began_s
        order = _Order()
        outcome.flat_out["default"] = replayed(server, order.look)
        outcome.in_order = order.is_kept
        for size in (3, 60):
            outcome.flat_out[str(size)] = replayed(server, _ignore, "--read-size", size)
        middle_ms = start_ms + seconds * 500
        clock = _Clock()
        bounds = "--from", middle_ms, "--to", middle_ms + paced_s * 1000
        paced = replayed(server, clock.look, *bounds, "--speed", 10)
        outcome.late_ms = clock.late_ms
        if paced.code or paced.seconds > paced_s / 10 + 10:
            outcome.mistakes.append(f"speed 10: exit {paced.code} after {paced.seconds:.1f} s: {paced.said}")
        outcome.copy = replayed(server, _ignore, "--into", COPY)
        verify = program(server, "verify", "--key-prefix", COPY)
        outcome.verify = verify.stdout.strip() if verify.returncode == 0 else f"exit {verify.returncode}"
        _resume(server, client, outcome)
        _bad_input(server, outcome)
        if gone:
            _redis_gone(server, outcome)
    outcome.took_s = time.monotonic() - began_s
    return outcome


class _Order:
    """Whether each line is above the one before in the total order."""

    def __init__(self) -> None:
        self.is_kept = True
        self._before = (0, 0, "")

    def look(self, line: bytes) -> None:
        row = orjson.loads(line)
        ms, _, n = row["id"].partition("-")
        place = int(ms), int(n), row["stream"]
        self.is_kept &= place > self._before
        self._before = place


class _Clock:
    """How late lines arrive, against the first one and the entries' own time ten times faster."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self._first: tuple[float, int] | None = None

    def look(self, line: bytes) -> None:
        at_ms = time.monotonic() * 1000
        ms = int(orjson.loads(line)["id"].partition("-")[0])
        if self._first is None:
            self._first = at_ms, ms
        first_at_ms, first_ms = self._first
        self.late_ms.append(at_ms - first_at_ms - (ms - first_ms) / 10)


def _ignore(_line: bytes) -> None:
    pass


def replayed(server: PrivateRedis, look: Callable[[bytes], None], *flags: object) -> Replay:
    """Runs `bookstream replay`, hands its lines on, and measures its memory."""
    began_s = time.monotonic()
    process = start(server, "replay", *flags)
    assert process.stdout is not None
    assert process.stderr is not None
    digest, lines, peak_kb = hashlib.sha256(), 0, 0
    with process:
        # A copy has no lines to wait for.
        while "--into" in flags and process.poll() is None:
            peak_kb = max(peak_kb, _peak_kb(process.pid))
            time.sleep(0.05)
        for line in process.stdout:
            lines += 1
            digest.update(line)
            look(line)
            if lines % 500 == 1:
                peak_kb = max(peak_kb, _peak_kb(process.pid))
        said = process.stderr.read().decode().strip()
    took_s = time.monotonic() - began_s
    return Replay(process.returncode, said, lines, digest.hexdigest(), took_s, peak_kb / 1024)


def _resume(server: PrivateRedis, client: redis.Redis, outcome: Outcome) -> None:
    """Kills a group's replay half way with SIGKILL and starts it again."""
    process = start(server, "replay", "--group", "again")
    assert process.stdout is not None
    seen: list[tuple[bytes, bytes]] = []
    with process:
        for line in process.stdout:
            seen.append(_place(line))
            if len(seen) == outcome.recorded.entries // 3:
                process.kill()
                break
        # Whole lines that were on their way arrive too; half a line may end it.
        rest = process.stdout.read().split(b"\n")[:-1]
    seen += [_place(line) for line in rest]
    first = len(seen)
    second = replayed(server, lambda line: seen.append(_place(line)), "--group", "again")
    twice = len(seen) - len(set(seen))
    outcome.resumed = (
        f"killed after {first} lines, then {second.lines} more: {len(set(seen))} of"
        f" {outcome.recorded.entries} entries, {twice} of them twice"
    )
    if second.code or len(set(seen)) != outcome.recorded.entries or twice > 1_000:
        outcome.mistakes.append(f"the group: {outcome.resumed}; {second.said}")
    key = next(iter(client.scan_iter("book:*", _type="stream")))
    pending: Any = client.xpending(key, "again")
    if pending["pending"]:
        outcome.mistakes.append(f"{pending['pending']} entries are not acknowledged")


def _bad_input(server: PrivateRedis, outcome: Outcome) -> None:
    for flags, code in (
        (("--to", "2020-01-01", "--into", "other:"), 1),
        (("--market", "no-such-market"), 2),
        (("--from", "2101-01-01T00:00Z"), 2),
        (("--from", "1h", "--to", "2h"), 2),
        (("--into", COPY), 1),
        (("--speed", "-1"), 2),
    ):
        done = program(server, "replay", *flags)
        said = done.stderr.strip()
        outcome.bad_input.append((" ".join(flags), done.returncode, said))
        if done.returncode != code or done.stdout or "\n" in said:
            outcome.mistakes.append(f"{flags}: exit {done.returncode}, {said!r}")


def _redis_gone(server: PrivateRedis, outcome: Outcome) -> None:
    process = start(server, "replay", "--speed", 1)
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        for _ in range(100):
            process.stdout.readline()
        server.kill9()
        process.stdout.read()
        said = process.stderr.read().decode().strip().splitlines()[-1]
    server.start()
    said = said.replace(str(server.socket_path), "its socket")
    outcome.bad_input.append(("Redis gone half way", process.returncode, said))
    if process.returncode != 1 or "Redis stayed away" not in said:
        outcome.mistakes.append(f"Redis gone: exit {process.returncode}, {said!r}")


def start(server: PrivateRedis, *words: object) -> subprocess.Popen[bytes]:
    """One command of the program."""
    return subprocess.Popen(
        [sys.executable, "-m", "bookstream", *map(str, words), "--redis-url", server.url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def program(server: PrivateRedis, *words: object) -> subprocess.CompletedProcess[str]:
    """One command of the program, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "bookstream", *map(str, words), "--redis-url", server.url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _place(line: bytes) -> tuple[bytes, bytes]:
    row = orjson.loads(line)
    return row["stream"], row["id"]


def _peak_kb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def main() -> int:
    """The proof at full size, as a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=500)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--paced-s", type=int, default=300)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    outcome = run(
        markets=given.markets,
        rate=given.rate,
        seconds=given.seconds,
        seed=seed,
        paced_s=given.paced_s,
        gone=True,
    )
    text = "\n".join(outcome.lines()) + "\n"
    print(text, end="")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")
    return 1 if outcome.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
