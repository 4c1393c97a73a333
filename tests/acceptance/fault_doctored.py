"""Messages lost, doubled, reordered and doctored, one at a time: found by the next steps, or without any effect."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from marketdata.entries import Entry
from tests.acceptance.fault_received import read
from tests.acceptance.fault_stage import Stage, forget, staged, weigh
from tests.acceptance.fault_truth import Findings
from tests.integration.worker.rig import until

KINDS: Final[dict[str, dict[str, Any]]] = {
    "lose": {"event": "price_change"},
    "double": {"event": "price_change"},
    "reorder": {"event": "price_change"},
    "wrong-best": {},
    "wrong-hash": {},
}
PATIENCE_US: Final = 250_000
"""Of both rules, BOOK_HASH_CHECK's and that of best prices: worker/verification.py and DESYNC_AFTER_MS say why."""

HEARTBEAT_US: Final = 1_100_000
"""A step that no message follows is checked once a second."""

SLACK_US: Final = 100_000
"""What one turn of the event loop of a busy machine may take."""

ACTS_WITHIN_S: Final = 20.0
MANY: Final = 20


@dataclass(frozen=True)
class Size:
    """How much: in each round one fault of each kind, each on a market of its own."""

    rounds: int
    markets: int
    rate: float
    apart_s: float = 3.0


CI: Final = Size(rounds=5, markets=20, rate=250, apart_s=2)
FULL: Final = Size(rounds=60, markets=20, rate=250)


@dataclass
class Case:
    """One fault that acted on the step of `venue_ms`; `steps` and `delay_s` say when the gap came, if one did."""

    kind: str
    token: str
    venue_ms: int
    gap: bool = False
    steps: int = 0
    delay_s: float = 0.0


@dataclass
class Outcome:
    """What a run showed."""

    socket_mode: str
    seed: int
    size: Size
    cases: list[Case] = field(default_factory=list)
    gaps: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    wrong: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Why the run does not keep the promise; empty if it does."""
        found = [*self.wrong, *self.findings.wrong]
        kinds = Counter(case.kind for case in self.cases)
        found += [f"{kind} never acted" for kind in KINDS if not kinds[kind]]
        # One in four lost messages is made up for by the next: a handful of them may all be.
        telling = ("lose",) if kinds["lose"] >= MANY else ("lose", "reorder", "wrong-best")
        if not any(case.gap for case in self.cases if case.kind in telling):
            found.append(f"not one of {' and '.join(telling)} was found")
        return found

    def lines(self) -> list[str]:
        """For people."""
        faults, found = self.faults(), self.findings
        return [
            f"doctored   {self.socket_mode}, seed {self.seed}: {len(self.cases)} faults, one at a time on a token, "
            f"{self.size.rate:g} messages/s; gaps {dict(self.gaps)}",
            *(f"           {kind}: {self._told(kind)}" for kind in KINDS),
            f"compared   {found.tokens} tokens: {found.tops} tops, {found.trades} trades; {found.marked} marked as "
            f"doubtful; {found.never_sent} steps and trades were never sent, and no gap covers them; "
            f"{found.contradictory} contradicted themselves; {found.late} sent late, {found.doubled} trades sent twice",
            f"           {found.skipped} steps that could not be shown are told in `skipped`; {found.healed} left a "
            f"wrong top, for {found.healed_most_s:.1f} s at most, until later ones put right what had never been sent "
            "before them",
            f"result     {'no wrong top outside a gap' if not faults else 'FAULTS'}",
            *faults[:20],
        ]

    def _told(self, kind: str) -> str:
        cases = [case for case in self.cases if case.kind == kind]
        gaps = [case for case in cases if case.gap]
        if not gaps:
            return f"{len(cases)}, none left a wrong book behind"
        steps, delays = [case.steps for case in gaps], [case.delay_s for case in gaps]
        return (
            f"{len(cases)}, {len(cases) - len(gaps)} left no wrong book behind; {len(gaps)} were found after "
            f"{median(steps):g} steps and {median(delays):.2f} s (median), {max(steps)} and {max(delays):.2f} s (most)"
        )


async def run(size: Size, socket_mode: str, seed: int) -> Outcome:
    """Runs it."""
    outcome, source = Outcome(socket_mode, seed, size), random.Random(seed)
    async with staged(
        markets=size.markets, rate=size.rate, seed=seed, socket_mode=socket_mode, BOOK_HASH_CHECK="every"
    ) as stage:
        ids: list[int] = []
        for _ in range(size.rounds):
            ids += await _round(stage, size, source)
        calm_us = time.time_ns() // 1000
        # A book that is still wrong shows at its next steps.
        await asyncio.sleep(size.apart_s)
        log = [row for row in await stage.fault_log() if row["id"] in set(ids) and row["acts"]]
        await stage.call("POST", "/control/pause")
        await asyncio.sleep(0.5)
    received = read(stage.told.raw)
    outcome.findings = weigh(stage.told, received)
    entries: dict[str, list[Entry]] = {
        token: [row.entry for row in rows if row.entry.outcome in (None, index)]
        for condition_id, rows in stage.told.streams.items()
        for index, token in enumerate(stage.told.markets[condition_id].tokens)
    }
    late = [
        entry.note
        for its in entries.values()
        for entry in its
        if entry.gap_cause == "desync" and int(entry.note.split(" ")[1]) > calm_us
    ]
    if late:
        outcome.wrong.append(f"{len(late)} gaps long after the last fault: {late[0]}")
    for row in log:
        case = Case(row["fault"]["kind"], row["fault"]["token"], row["acted_ms"][-1])
        outcome.cases.append(case)
        _judge(case, entries[case.token], received.steps[case.token], outcome)
    outcome.gaps = Counter(stage.told.report.gaps)
    forget(stage, outcome.faults())
    return outcome


async def _round(stage: Stage, size: Size, source: random.Random) -> list[int]:
    """One fault of each kind, each on a busy token of a market of its own; returns when their time is over."""
    recent = time.time_ns() // 1_000_000 - 10_000
    steps: Counter[str] = Counter(
        row["token"] for row in stage.told.truth if row["kind"] == "top" and row["venue_ms"] > recent
    )
    busy = sorted(
        (one for one in stage.catalog() if "updown" not in one.slug),
        key=lambda one: (-steps[one.tokens[0]], one.condition_id),
    )[: len(KINDS) + 2]
    chosen = source.sample(busy, len(KINDS))
    ids = await stage.inject(
        *(
            {"kind": kind, "token": source.choice(market.tokens), "count": 1, "for_s": ACTS_WITHIN_S, **more}
            for (kind, more), market in zip(KINDS.items(), chosen, strict=True)
        )
    )

    async def over() -> bool:
        rows = await stage.fault_log()
        return all(row["state"] == "over" for row in rows if row["id"] in set(ids))

    await until(over, "every fault of the round has acted", ACTS_WITHIN_S + 10)
    await asyncio.sleep(size.apart_s)
    await until(stage.all_live, "every token is live", 30)
    return ids


def _judge(
    case: Case, entries: Sequence[Entry], received: Sequence[tuple[int, int, str]], outcome: Outcome
) -> None:
    """Whether the gap, if there is one, came in time.

    A first step shows the difference; the next one that begins at least 250 ms later gives the book up. Both are
    looked at when a message of the step after them comes, or with the second's heartbeat.
    """
    before_us = max((us for us, venue_ms, _ in received if venue_ms < case.venue_ms), default=0)
    begins: dict[tuple[int, str], int] = {}
    for us, venue_ms, book_hash in received:
        if venue_ms > case.venue_ms:
            begins.setdefault((venue_ms, book_hash), us)
    after = sorted(begins.values())
    # The gap after it, if it was right until the fault: one that begins later is another fault's.
    gap = next(
        (
            one
            for one in entries
            if one.gap_cause == "desync"
            and one.recv_us >= before_us
            and after
            and int(one.note.split(" ")[1]) <= after[0]
        ),
        None,
    )
    if gap is None:
        return
    case.gap = True
    case.delay_s = max(0.0, (gap.recv_us - after[0]) / 1e6)
    case.steps = sum(us < gap.recv_us for us in after)
    if len(after) < 2:
        return
    found_us = min(after[1], after[0] + HEARTBEAT_US)
    second_us = next((us for us in after if us >= found_us + PATIENCE_US), None)
    if second_us is None:
        return
    by_us = second_us + HEARTBEAT_US
    later = next((us for us in after if us > second_us), by_us)
    if gap.recv_us > min(by_us, later) + SLACK_US:
        outcome.wrong.append(
            f"{case.kind} of {case.token[:8]} at {case.venue_ms}: the gap came at {gap.recv_us}, "
            f"{case.steps} steps later, and was due by {min(by_us, later)}"
        )
