"""A venue that accepts and closes, and one that cuts every connection at once: how a worker comes back."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

import orjson

from tests.acceptance.fault_received import raw_lines, read, unix_us
from tests.acceptance.fault_stage import Stage, forget, staged, weigh
from tests.acceptance.fault_truth import Findings
from tests.integration.worker.rig import until

MOST_OPENS: Final = 12
"""Of one connection in a storm of a minute."""

SECOND_MS: Final = 1_000


@dataclass(frozen=True)
class Size:
    """How much.

    Attributes:
        storm_s: how long the venue closes whatever it has accepted; None: all connections are cut once.
        back_s: within so many seconds afterwards all must be live again.
    """

    connections: int
    rate: float
    opens_per_s: float
    storm_s: float | None
    back_s: float
    reconnect_max_s: float = 30.0


CI_STORM: Final = Size(connections=12, rate=60, opens_per_s=10, storm_s=9, back_s=25, reconnect_max_s=4)
FULL_STORM: Final = Size(connections=12, rate=60, opens_per_s=5, storm_s=60, back_s=45)
CI_KILLED: Final = Size(connections=50, rate=100, opens_per_s=12, storm_s=None, back_s=25)
FULL_KILLED: Final = Size(connections=50, rate=100, opens_per_s=5, storm_s=None, back_s=30)


@dataclass
class Outcome:
    """What a run showed.

    Attributes:
        opens: of each connection from the first cut until all was live again.
        busiest: most opens within any second.
        gaps: how many tokens had so many gaps.
    """

    socket_mode: str
    seed: int
    size: Size
    connections: int = 0
    opens: Counter[str] = field(default_factory=Counter)
    in_storm: Counter[str] = field(default_factory=Counter)
    busiest: int = 0
    back_s: float = 0.0
    gaps: Counter[int] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    wrong: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Why the run does not keep the promise; empty if it does."""
        found = [*self.wrong, *self.findings.wrong]
        storm_s = self.size.storm_s
        most = 1 if storm_s is None else most_opens(storm_s, self.size.reconnect_max_s)
        if (worst := max(self.in_storm.values(), default=0)) > most:
            found.append(f"a connection was opened {worst} times, at most {most} are right")
        if storm_s is not None and worst < 2:
            found.append("no connection was opened twice: there was no storm")
        # A busy machine may take in a second what was sent in a little more.
        if self.busiest > self.size.opens_per_s * 1.3 + 2:
            found.append(f"{self.busiest} opens in one second, OPENS_PER_S is {self.size.opens_per_s:g}")
        if set(self.gaps) != {1}:
            found.append(f"not one gap a token: {dict(self.gaps)}")
        return found

    def lines(self) -> list[str]:
        """For people."""
        size, found = self.size, self.findings
        faults = self.faults()
        what = "all cut at once" if size.storm_s is None else f"accepted and closed for {size.storm_s:g} s"
        return [
            f"{'killed' if size.storm_s is None else 'storm'}     {self.socket_mode}, seed {self.seed}: "
            f"{self.connections} connections {what}, OPENS_PER_S {size.opens_per_s:g}",
            f"opens      at most {max(self.in_storm.values(), default=0)} of a connection meanwhile, "
            f"{max(self.opens.values(), default=0)} until it was live; at most {self.busiest} in any second",
            f"back       all live {self.back_s:.1f} s afterwards; tokens by their number of gaps {dict(self.gaps)}",
            f"compared   {found.tokens} tokens: {found.tops} tops, {found.trades} trades; "
            f"{found.never_sent} steps and trades were never sent, and no gap covers them",
            f"result     {'as it should be' if not faults else 'FAULTS'}",
            *faults[:20],
        ]


def most_opens(seconds: float, longest_s: float) -> int:
    """How many opens the shortest delays of the backoff leave room for: 1, 1, 2, 4 … s, half of the longest at most.

    MOST_OPENS holds for a minute of the defaults in any case.
    """
    count, at_s, d = 1, 0.0, 1.0
    while at_s <= seconds:
        at_s += max(1.0, d / 2)
        d = min(longest_s, 2 * d)
        count += 1
    return min(count, MOST_OPENS)


async def run(size: Size, socket_mode: str, seed: int) -> Outcome:
    """Runs it."""
    outcome = Outcome(socket_mode, seed, size)
    async with staged(
        # Two tokens a connection; short markets of the venue bring a few connections more.
        markets=size.connections,
        rate=size.rate,
        seed=seed,
        socket_mode=socket_mode,
        TOKENS_PER_CONNECTION="2",
        OPENS_PER_S=f"{size.opens_per_s:g}",
        RECONNECT_MAX_S=f"{size.reconnect_max_s:g}",
    ) as stage:
        outcome.connections = len(stage.status()["connections"])
        began_us = time.time_ns() // 1000
        storm = {"kind": "accept-close", "for_s": size.storm_s}
        await stage.inject(*([storm] if size.storm_s else []), {"kind": "drop"})
        await until(lambda: stage.status()["tokens_live"] == 0, "every connection was cut", 15)
        if size.storm_s:
            await asyncio.sleep(began_us / 1e6 + size.storm_s - time.time())
        ended_us = time.time_ns() // 1000
        bound_s = size.back_s + outcome.connections / size.opens_per_s
        await until(stage.all_live, "all is live again", bound_s)
        back_us = time.time_ns() // 1000
        outcome.back_s = (back_us - ended_us) / 1e6
        # The first opens of a run are spread by the same limiter: all of them count.
        times = [one["ms"] for one in await stage.opens()]
        outcome.busiest = max(bisect_left(times, ms + SECOND_MS) - place for place, ms in enumerate(times))
        await stage.call("POST", "/control/pause")
    told = stage.told
    for line in raw_lines(told.raw):
        record = orjson.loads(line)
        us = unix_us(record["t"])
        if record["dir"] == "open" and began_us <= us <= back_us:
            outcome.opens[record["conn"]] += 1
            outcome.in_storm[record["conn"]] += size.storm_s is None or us <= ended_us
    outcome.gaps = _gaps(stage, began_us, back_us)
    outcome.findings = weigh(told, read(told.raw))
    forget(stage, outcome.faults())
    return outcome


def _gaps(stage: Stage, began_us: int, back_us: int) -> Counter[int]:
    """How many tokens, of those that were there before, had so many gaps by faults."""
    found: dict[str, int] = defaultdict(int)
    for condition_id, rows in stage.told.streams.items():
        if rows[0].entry.recv_us >= began_us or any(row.entry.kind == "resolved" for row in rows):
            continue
        for index, token in enumerate(stage.told.markets[condition_id].tokens):
            found[token] = sum(
                row.entry.kind == "gap"
                and row.entry.outcome in (None, index)
                and began_us <= row.entry.recv_us <= back_us
                for row in rows
            )
    return Counter(found.values())
