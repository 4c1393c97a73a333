"""One token of fifty falls silent: each rung of the ladder rescues it, and the others know nothing of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from marketdata.entries import PLANNED_CAUSES, Entry
from simulator.faults.fault import Rescue
from tests.acceptance.fault_received import Received, read
from tests.acceptance.fault_stage import Stage, Told, forget, staged, weigh
from tests.acceptance.fault_truth import Findings
from tests.integration.worker.rig import until

RESCUED_WITHIN_S: Final = 15.0
"""Beyond STALE_AFTER_S, from the last that was heard of the token to its next live top."""

RUNGS: Final[dict[Rescue, str]] = {"resubscribe": "resubscribe", "reconnect": "move", "never": "slow"}


@dataclass(frozen=True)
class Size:
    """How much: twenty-five markets are the fifty tokens of one connection."""

    stale_after_s: float
    quarantine_retry_s: float
    markets: int = 25
    rate: float = 150

    @property
    def rescue_s(self) -> float:
        """From the last message to the next live top."""
        return self.stale_after_s + RESCUED_WITHIN_S


CI: Final = Size(stale_after_s=1, quarantine_retry_s=2)
FULL: Final = Size(stale_after_s=30, quarantine_retry_s=60)


@dataclass
class Case:
    """One stall.

    Attributes:
        token: that fell silent.
        began_us: when.
        ended_us: when the fault that nothing rescues was taken away; 0 for the others.
        over_us: when the token was live again, as the worker says.
    """

    rescue: Rescue
    token: str
    began_us: int
    ended_us: int = 0
    over_us: int = 0
    told: str = ""


@dataclass
class Outcome:
    """What a run showed."""

    socket_mode: str
    seed: int
    size: Size
    cases: list[Case] = field(default_factory=list)
    rescues: Counter[str] = field(default_factory=Counter)
    others: int = 0
    findings: Findings = field(default_factory=Findings)
    wrong: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Why the run does not keep the promise; empty if it does."""
        found = [*self.wrong, *self.findings.wrong]
        for rescue, rung in RUNGS.items():
            if not self.rescues[rung]:
                found.append(f"no token was rescued by {rung}, as one that {rescue} ends should be")
        return found

    def lines(self) -> list[str]:
        """For people."""
        faults, found = self.faults(), self.findings
        return [
            f"silent     {self.socket_mode}, seed {self.seed}: one token of fifty, STALE_AFTER_S "
            f"{self.size.stale_after_s:g}; rescues {dict(self.rescues)}",
            *(f"           {case.rescue}: {case.told}" for case in self.cases),
            f"others     {self.others} times a token beside it: no gap, no new generation",
            f"compared   {found.tokens} tokens: {found.tops} tops, {found.trades} trades; "
            f"{found.never_sent} steps and trades were never sent, and no gap covers them",
            f"result     {'as it should be' if not faults else 'FAULTS'}",
            *faults[:20],
        ]


async def run(size: Size, socket_mode: str, seed: int) -> Outcome:
    """Runs it."""
    outcome = Outcome(socket_mode, seed, size)
    async with staged(
        markets=size.markets,
        rate=size.rate,
        seed=seed,
        socket_mode=socket_mode,
        STALE_AFTER_S=f"{size.stale_after_s:g}",
        QUARANTINE_RETRY_S=f"{size.quarantine_retry_s:g}",
    ) as stage:
        for rescue in RUNGS:
            token = _busiest(stage, {case.token for case in outcome.cases})
            await _one(stage, size, outcome, Case(rescue, token, time.time_ns() // 1000))
        outcome.rescues = Counter(stage.status()["rescues"])
        await stage.call("POST", "/control/pause")
        await asyncio.sleep(0.5)
    received = read(stage.told.raw)
    outcome.findings = weigh(stage.told, received)
    for case in outcome.cases:
        _judge(stage.told, received, size, outcome, case)
    forget(stage, outcome.faults())
    return outcome


async def _one(stage: Stage, size: Size, outcome: Outcome, case: Case) -> None:
    before = Counter(stage.status()["rescues"])
    outcome.cases.append(case)
    (fault_id,) = await stage.inject({"kind": "stall", "token": case.token, "rescue": case.rescue})
    bound_s = size.rescue_s + 10
    if case.rescue == "never":
        await until(lambda: stage.status()["tokens_quarantined"] == 1, "it is in quarantine", bound_s)
        await stage.call("DELETE", f"/control/faults/{fault_id}")
        case.ended_us = time.time_ns() // 1000
        bound_s = size.quarantine_retry_s + 10
    rung = RUNGS[case.rescue]
    await until(
        lambda: stage.status()["rescues"].get(rung, 0) > before[rung] and stage.all_live(),
        f"a token that {case.rescue} ends is live again: {stage.status().get('rescues')}",
        bound_s,
    )
    case.over_us = time.time_ns() // 1000


def _busiest(stage: Stage, spent: set[str]) -> str:
    """The token that changes most often, of a market that had no turn yet and stays."""
    followed = set(stage.status()["by_market"])
    siblings = {
        token: one.tokens
        for one in stage.catalog()
        if one.condition_id in followed and "updown" not in one.slug
        for token in one.tokens
    }
    steps = Counter(row["token"] for row in stage.told.truth if row["kind"] == "top")
    free = [token for token, pair in siblings.items() if not spent & set(pair)]
    return max(free, key=lambda token: (steps[token], token))


def _judge(told: Told, received: Received, size: Size, outcome: Outcome, case: Case) -> None:
    for condition_id, rows in told.streams.items():
        tokens = told.markets[condition_id].tokens
        during = [row.entry for row in rows if case.began_us <= row.entry.recv_us <= case.over_us]
        for index, token in enumerate(tokens):
            entries = [entry for entry in during if entry.outcome in (None, index)]
            if token == case.token:
                _judge_it(received, size, outcome, case, entries)
                continue
            outcome.others += 1
            gaps = [
                entry.note
                for entry in entries
                if entry.kind == "gap" and entry.gap_cause not in PLANNED_CAUSES
            ]
            if gaps:
                outcome.wrong.append(f"{case.rescue}: a token beside it got a gap: {gaps[0]}")
        is_new_or_over = any(one.kind in ("gap", "resolved") for one in during)
        if case.token not in tokens and not is_new_or_over and len({one.gen for one in during}) > 1:
            outcome.wrong.append(f"{case.rescue}: another market has a new generation")


def _judge_it(received: Received, size: Size, outcome: Outcome, case: Case, entries: list[Entry]) -> None:
    gap = next((one for one in entries if one.gap_cause == "stale"), None)
    top = next((one for one in entries if gap and one.kind == "top" and one.recv_us >= gap.recv_us), None)
    if gap is None or top is None:
        outcome.wrong.append(f"{case.rescue}: no stale gap, or no top after it: {entries}")
        return
    last_us = max((us for us, *_ in received.steps[case.token] if us < gap.recv_us), default=case.began_us)
    found_s, back_s = (gap.recv_us - last_us) / 1e6, (top.recv_us - last_us) / 1e6
    case.told = f"found after {found_s:.1f} s, live after {back_s:.1f} s"
    if case.ended_us:
        after_s = (top.recv_us - case.ended_us) / 1e6
        case.told = f"found after {found_s:.1f} s, in quarantine; live {after_s:.1f} s after the fault's end"
        if not 0 <= after_s <= size.quarantine_retry_s + 5:
            outcome.wrong.append(f"live {after_s:.1f} s after the fault's end")
    elif back_s > size.rescue_s:
        outcome.wrong.append(f"{case.rescue}: live after {back_s:.1f} s, at most {size.rescue_s:g} s")
