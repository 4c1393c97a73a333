"""Planted edges recorded, found by the program itself, and held against brute force; the same bytes in every way.

python -m tests.acceptance.arbitrage_run --out docs/proofs/arbitrage.txt
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis

from marketdata.keys import Keys
from tests.acceptance.arbitrage_judge import Verdict, judge
from tests.acceptance.simulated_recording import PARTITIONS, Recorded, record
from tests.redis_server import PrivateRedis

START_MS = 1_795_000_000_000
MEMBERS = 4
RUN_S = 1_800


@dataclass
class Outcome:
    """What the runs showed.

    Attributes:
        digests: SHA-256 of all `opportunities:{P}`, by how they were made.
        kills: how often a member was killed in the run that is named so.
    """

    seed: int
    recorded: Recorded = field(default_factory=Recorded)
    recording_s: float = 0
    engine_s: float = 0
    judging_s: float = 0
    verdict: Verdict = field(default_factory=Verdict)
    digests: dict[str, str] = field(default_factory=dict)
    kills: int = 0
    took_s: float = 0

    def faults(self) -> list[str]:
        """Why the runs do not show what they should; empty if they do."""
        found = [*self.verdict.mistakes]
        if len(set(self.digests.values())) != 1:
            found.append("not the same bytes in every way")
        if not self.verdict.found or self.verdict.found + self.verdict.cooling < 0.9 * len(
            self.recorded.edges
        ):
            found.append(f"only {self.verdict.found} planted edges were looked at")
        if not self.verdict.compared or self.verdict.halfway > self.verdict.compared / 10:
            found.append(f"{self.verdict.halfway} moments could not be compared")
        return found

    def lines(self) -> list[str]:
        """For people."""
        told, verdict, faults = self.recorded, self.verdict, self.faults()
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(verdict.opened.items()))
        planted = Counter(edge.kind for edge in told.edges.values())
        return [
            f"date       {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; took {self.took_s:.0f} s",
            f"machine    {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
            f"recording  seed {self.seed}: {told.streams} streams, {told.entries} entries, {told.clocks} clock"
            f" entries; made in {self.recording_s:.0f} s",
            f"planted    {len(told.edges)} edges: {', '.join(f'{k} {n}' for k, n in sorted(planted.items()))}",
            f"engine     all of it in {self.engine_s:.1f} s; opened {verdict.opened.total()} ({kinds});"
            f" {verdict.actions['update']} updates, {verdict.actions['close']} closes",
            f"edges      {verdict.found} told with exactly the planted net profit; {verdict.cooling} lay within the"
            f" cooldown of the same basket",
            f"brute      {verdict.compared} moments compared basket by basket, {verdict.halfway} not (one order seen"
            f" from one token only), over {verdict.entries} entries; in {self.judging_s:.0f} s",
            f"money      {verdict.priced} opportunities worked out again in Decimal",
            *(f"bytes      {digest}  {name}" for name, digest in self.digests.items()),
            f"result     {'all found, none invented, the same bytes' if not faults else 'FAULTS'}",
            *faults[:20],
        ]


def run(
    *, markets: int, rate: float, seconds: int, edges_per_minute: float, seed: int, every: int, kills: int
) -> Outcome:
    """Records, finds in every way, and compares.

    Args:
        every: brute force at each such moment at which something was told.
        kills: how often the member of the broken run is killed.
    """
    outcome = Outcome(seed, kills=kills)
    began_s = time.monotonic()
    with PrivateRedis(appendonly=False) as server, server.client() as client:
        outcome.recorded = record(
            client,
            markets=markets,
            rate=rate,
            seconds=seconds,
            seed=seed,
            start_ms=START_MS,
            edges_per_minute=edges_per_minute,
        )
        outcome.recording_s = time.monotonic() - began_s
        for prefix in ("killed:", "four:"):
            _copy(client, prefix)
        at_s = time.monotonic()
        _program(server.url, "arbitrage", "--once")
        outcome.engine_s = time.monotonic() - at_s
        outcome.digests["one member"] = digest(client, "")
        _killed(server.url, client, "killed:", kills)
        outcome.digests[f"killed {kills} times on the way, on a copy"] = digest(client, "killed:")
        members = [_start(server.url, "four:", f"member-{number}", "--once") for number in range(MEMBERS)]
        _ended(members)
        outcome.digests[f"{MEMBERS} members, on a copy"] = digest(client, "four:")
        _program(server.url, "replay", "--into", "again:")
        _program(server.url, "arbitrage", "--once", "--key-prefix", "again:")
        outcome.digests["replayed after the fact"] = digest(client, "again:")
        for prefix in ("killed:", "four:", "again:"):
            _remove(client, prefix)
        at_s = time.monotonic()
        outcome.verdict = judge(client, outcome.recorded.edges.values(), every=every)
        outcome.judging_s = time.monotonic() - at_s
    outcome.took_s = time.monotonic() - began_s
    return outcome


def digest(client: redis.Redis, prefix: str) -> str:
    """SHA-256 over all partitions: ids, names and values as they are."""
    told = hashlib.sha256()
    keys = Keys(prefix)
    for partition in range(PARTITIONS):
        rows: Any = client.execute_command("XRANGE", keys.opportunities(partition), "-", "+")
        for at, fields in rows:
            told.update(b"%d %s %r\n" % (partition, at, dict(fields)))
    return told.hexdigest()


def handled(client: redis.Redis, prefix: str) -> int:
    """A number that rises with each commit of the group's members."""
    keys = Keys(prefix)
    with client.pipeline(transaction=False) as pipe:
        for partition in range(PARTITIONS):
            pipe.hget(keys.arbitrage(partition), "handled")
        return sum(int(one.split(b"-")[0]) for one in pipe.execute() if one)


def _killed(url: str, client: redis.Redis, prefix: str, kills: int) -> None:
    """A member that is killed again and again, each time after it committed something, and comes back."""
    for _ in range(kills):
        before = handled(client, prefix)
        process = _start(url, prefix, "phoenix", "--once")
        _until(
            lambda start=before, child=process: handled(client, prefix) > start or child.poll() is not None
        )
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=RUN_S)
    _ended([_start(url, prefix, "phoenix", "--once")])


def _until(reached: Callable[[], bool], bound_s: float = RUN_S) -> None:
    deadline_s = time.monotonic() + bound_s
    while not reached():
        assert time.monotonic() < deadline_s, "nothing was committed"
        time.sleep(0.001)


def _start(url: str, prefix: str, member: str, *more: str) -> subprocess.Popen[str]:
    words = ("arbitrage", "--key-prefix", prefix, "--member", member, *more, "--redis-url", url)
    return subprocess.Popen(
        [sys.executable, "-m", "bookstream", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ended(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, said = process.communicate(timeout=RUN_S)
        assert process.returncode == 0, said


def _program(url: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bookstream", *words, "--redis-url", url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _copy(client: redis.Redis, prefix: str) -> None:
    """The streams as they are, before anybody has read them."""
    for key in [
        one
        for pattern in ("book:*", "clock:*", "catalog*", "contract:*")
        for one in client.scan_iter(pattern, count=1000)
    ]:
        client.copy(key.decode(), prefix + key.decode())


def _remove(client: redis.Redis, prefix: str) -> None:
    for key in client.scan_iter(match=f"{prefix}*", count=1000):
        client.unlink(key)


def main() -> int:
    """The proof at full size, as a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=400)
    parser.add_argument("--rate", type=float, default=3000)
    parser.add_argument("--seconds", type=int, default=1200)
    parser.add_argument("--edges", type=float, default=600)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    outcome = run(
        markets=given.markets,
        rate=given.rate,
        seconds=given.seconds,
        edges_per_minute=given.edges,
        seed=seed,
        every=given.every,
        kills=given.kills,
    )
    text = "\n".join(outcome.lines()) + "\n"
    print(text, end="")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")
    return 1 if outcome.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
