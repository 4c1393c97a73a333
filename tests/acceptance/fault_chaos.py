"""Faults of all kinds by chance, then none; and whether everything was told, marked and healed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from simulator.faults.schedule import random_faults
from tests.acceptance.fault_received import read
from tests.acceptance.fault_stage import Stage, forget, staged, weigh
from tests.acceptance.fault_truth import Findings
from tests.acceptance.venue_and_worker import collect_once
from tests.integration.worker.rig import until

MARGIN_S: Final = 15.0
SETTLED_S: Final = 4.0


@dataclass(frozen=True)
class Size:
    """How much.

    Attributes:
        seconds: in which so many faults fall.
        longest_s: no fault lasts longer.
        calm_s: how long the venue behaves afterwards, once everything has healed.
        settings: of the worker.
    """

    markets: int
    rate: float
    faults: int
    seconds: float
    longest_s: float
    calm_s: float
    stale_after_s: float
    quarantine_retry_s: float
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def heal_bound_s(self) -> float:
        """From the last fault's end: a token in quarantine is asked for every so often; then it may fall silent."""
        return self.quarantine_retry_s + self.stale_after_s + MARGIN_S


CI: Final = Size(
    markets=24,
    rate=150,
    faults=25,
    seconds=25,
    longest_s=6,
    calm_s=2.5,
    stale_after_s=2,
    quarantine_retry_s=3,
    settings={
        "BOOK_HASH_CHECK": "every",
        "STALE_AFTER_S": "2",
        "QUARANTINE_RETRY_S": "3",
        "FIRST_BOOK_TIMEOUT_S": "2",
        "RECONNECT_MAX_S": "4",
        "PING_INTERVAL_S": "1",
        "PONG_TIMEOUT_S": "3",
        "CATALOG_REFRESH_S": "5",
        "TOKENS_PER_CONNECTION": "8",
    },
)
FULL: Final = Size(
    markets=60,
    rate=120,
    faults=500,
    seconds=1800,
    longest_s=90,
    calm_s=15,
    stale_after_s=30,
    quarantine_retry_s=60,
    settings={"BOOK_HASH_CHECK": "every", "CATALOG_REFRESH_S": "20", "TOKENS_PER_CONNECTION": "10"},
)


@dataclass
class Outcome:
    """What a run showed."""

    socket_mode: str
    seed: int
    size: Size
    faults_by_kind: Counter[str] = field(default_factory=Counter)
    acted: int = 0
    healed_s: float = 0.0
    word: dict[str, Any] = field(default_factory=dict)
    entries: int = 0
    frames: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    calm_checks: int = 0
    calm_misses: int = 0
    findings: Findings = field(default_factory=Findings)
    wrong: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """Why the run does not keep the promise; empty if it does."""
        return [*self.wrong, *self.findings.wrong]

    def lines(self) -> list[str]:
        """For people."""
        found, word, size = self.findings, self.word, self.size
        counters = word.get("counters", {})
        faults = self.faults()
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults_by_kind.items()))
        return [
            f"chaos      {self.socket_mode}, seed {self.seed}: {sum(self.faults_by_kind.values())} faults in "
            f"{size.seconds:g} s, {self.acted} of which met somebody",
            f"           {size.markets} markets at {size.rate:g} messages/s; {kinds}",
            f"worker     {counters.get('opens')} opens, {counters.get('disconnects')} disconnects, closes "
            f"{word.get('closes')}; rescues {word.get('rescues')}, {counters.get('stale')} tokens found silent, "
            f"{counters.get('quarantined_tokens')} put in quarantine, {counters.get('moves')} markets moved",
            f"gaps       {dict(self.gaps)}",
            f"healed     {self.healed_s:.1f} s after the last fault (at most {size.heal_bound_s:g} s); "
            f"then {size.calm_s:g} s without a gap: {self.calm_checks} hashes matched, {self.calm_misses} did not",
            f"compared   {found.tokens} tokens, {found.segments} times without a gap: {found.tops} tops "
            f"({found.mid_steps} of them inside a step), {found.trades} trades, {found.ticks} ticks; {self.entries} "
            f"entries for {self.frames} frames; {found.marked} marked as doubtful",
            f"           {found.never_sent} steps and trades were never sent, and no gap covers them; "
            f"{found.contradictory} contradicted themselves; {found.late} sent late, {found.doubled} trades sent twice",
            f"           {found.skipped} steps that could not be shown are told in `skipped`; {found.healed} left a "
            f"wrong top, for {found.healed_most_s:.1f} s at most, until later ones put right what had never been sent "
            "before them",
            f"result     {'nothing wrong, lost or doubled outside a gap' if not faults else 'FAULTS'}",
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
        **size.settings,
    ) as stage:
        ids = await stage.inject(*scheduled(size, seed))
        await asyncio.sleep(size.seconds)
        await stage.call("DELETE", "/control/faults")
        rows = [row for row in await stage.fault_log() if row["id"] in set(ids)]
        outcome.faults_by_kind = Counter(row["fault"]["kind"] for row in rows)
        outcome.acted = sum(row["acts"] > 0 for row in rows)
        await _heal(stage, size, outcome)
        await _be_calm(stage, size, outcome)
        outcome.word = stage.status()
        await stage.call("POST", "/control/pause")
        with suppress(AssertionError):
            # If it never happens, what is unlike is told below.
            await until(lambda: _is_alike(stage), "every last top is the venue's", 15)
        outcome.wrong += [f"at the end: {one}" for one in unlike(stage)]
    received = read(stage.told.raw)
    outcome.frames, outcome.gaps = received.frames, Counter(stage.told.report.gaps)
    outcome.entries = stage.told.report.entries
    outcome.findings = weigh(stage.told, received)
    forget(stage, outcome.faults())
    return outcome


def scheduled(size: Size, seed: int) -> Iterator[dict[str, Any]]:
    """So many faults by chance, none of which begins after the time or lasts too long."""
    by_chance = random_faults(60 * size.faults / size.seconds, random.Random(seed))
    for fault in islice(by_chance, size.faults):
        given = {**fault.told(), "at_s": min(fault.at_s, size.seconds)}
        if fault.for_s is not None:
            given["for_s"] = min(fault.for_s, size.longest_s)
        yield given


async def _heal(stage: Stage, size: Size, outcome: Outcome) -> None:
    began_s = time.monotonic()

    gaps, since_s = -1, began_s

    async def healed() -> bool:
        nonlocal gaps, since_s
        word, now_s = stage.status(), time.monotonic()
        if not stage.all_live() or word["counters"]["gaps"] != gaps:
            gaps, since_s = word.get("counters", {}).get("gaps", -1), now_s
            return False
        # A token that says nothing is looked at when it has been silent for so long.
        if now_s - since_s < size.stale_after_s + SETTLED_S:
            return False
        known = await asyncio.to_thread(_followed, stage)
        return await stage.open_tokens() <= known

    try:
        await until(healed, "every open token is live", size.heal_bound_s + size.stale_after_s + SETTLED_S)
    except AssertionError as error:
        missing = await stage.open_tokens() - _followed(stage)
        outcome.wrong.append(f"{error}; not followed: {len(missing)}; {_states(stage)}")
    outcome.healed_s = since_s - began_s


async def _be_calm(stage: Stage, size: Size, outcome: Outcome) -> None:
    """Books are what the venue's are: every hash is recomputed, and a mismatch that lasts would be a gap."""
    before = stage.status()
    # The length of the calm is what is asked for, not a wait for something.
    await asyncio.sleep(size.calm_s)
    after = stage.status()
    counts = {name: after["counters"][name] - before["counters"][name] for name in before["counters"]}
    outcome.calm_checks, outcome.calm_misses = counts["hash_matches"], counts["hash_mismatches"]
    if not counts["hash_matches"]:
        outcome.wrong.append("not one hash was checked after everything had healed")
    if counts["gaps"]:
        outcome.wrong.append(f"{counts['gaps']} gaps after everything had healed: {after['gaps_by_cause']}")


def _followed(stage: Stage) -> set[str]:
    followed = set(stage.status()["by_market"])
    return {token for one in stage.catalog() if one.condition_id in followed for token in one.tokens}


def _states(stage: Stage) -> dict[str, Any]:
    return {name: value for name, value in stage.status().items() if name.startswith("tokens")}


async def _is_alike(stage: Stage) -> bool:
    await collect_once(stage.http, stage.url, stage.told.truth)
    # Streams of half an hour take their time: the loop is needed meanwhile.
    return not await asyncio.to_thread(unlike, stage)


def unlike(stage: Stage) -> list[str]:
    """Tokens whose last top is not the venue's; empty: all is well. For a venue that is paused."""
    found = []
    last: dict[str, tuple[str, ...]] = {}
    ended = set()
    for row in stage.told.truth:
        if row["kind"] == "top":
            last[row["token"]] = (row["bid"], row["bid_size"], row["ask"], row["ask_size"])
        elif row["kind"] == "resolved":
            ended.add(row["token"])
    streams = stage.streams.by_market()
    for market in stage.catalog():
        if ended & {*market.tokens} or market.condition_id not in stage.status()["by_market"]:
            continue
        for outcome, token in enumerate(market.tokens):
            shown: tuple[str, ...] | None = None
            for row in streams.get(market.condition_id, []):
                entry = row.entry
                if entry.kind == "gap" and entry.outcome in (None, outcome):
                    shown = None
                elif entry.kind == "top" and entry.outcome == outcome:
                    shown = row.quote
            if shown != last.get(token):
                found.append(f"{market.slug} {outcome}: {shown}, at the venue {last.get(token)}")
    return found
