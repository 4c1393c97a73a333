"""The sum of a run over all workers that took part, and whether it kept the promise (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from consumers.verify.report import Report
from consumers.workers import WorkerWord
from marketdata.entries import PLANNED_CAUSES

_SUMMED: Final = ("frames", "updates", "entries", "gaps", "quarantined")


@dataclass(slots=True)
class Totals:
    """The newest word of each worker of this run, also of those that died.

    Attributes:
        words: by worker id and start.
        at_end: the worker that was running when the run was told to end; None if there was none.
        instead: why there was none.
        opportunities: that the arbitrage engine opened; None where it did not run, or could not be asked.
    """

    words: dict[tuple[str, int], WorkerWord] = field(default_factory=dict)
    at_end: WorkerWord | None = None
    instead: str = "no worker was running at the end"
    opportunities: int | None = None

    def add(self, words: Iterable[WorkerWord], host: str, pids: Iterable[int]) -> None:
        """Takes the newest words; only those of this run's processes count."""
        ours = set(pids)
        for word in words:
            if word.host == host and word.pid in ours:
                key = (word.worker, word.started_ms)
                known = self.words.get(key)
                if known is None or word.now_ms >= known.now_ms:
                    self.words[key] = word

    def note_end(self, pid: int | None) -> None:
        """Remembers the state of the worker with this pid, before it is stopped; None: none was started yet."""
        of_it = [word for word in self.words.values() if word.pid == pid]
        newest = max(of_it, key=lambda word: word.now_ms, default=None)
        state = newest.state if newest is not None else ""
        self.at_end = newest if state == "running" else None
        if pid is None:
            self.instead = "it ended before a worker was started"
        elif newest is not None and state == "standby":
            self.instead = f"the worker only stood by: {newest.waits_for}"
        elif state == "starting":
            self.instead = "the worker was still starting at the end"

    def count(self, name: str) -> int:
        """A counter, summed over all workers."""
        return sum(word.count(name) for word in self.words.values())

    @property
    def gaps_by_cause(self) -> Mapping[str, int]:
        """Gaps of all workers but those that belong to ordinary life: of handovers, those that interrupted a stream."""
        causes: Counter[str] = Counter()
        for word in self.words.values():
            faults = {cause: n for cause, n in word.gaps_by_cause.items() if cause not in PLANNED_CAUSES}
            causes.update({"handover": word.count("interrupted")} | faults)
        return {cause: count for cause, count in sorted(causes.items()) if count}

    def faults(self, report: Report | None) -> list[str]:
        """Why the run was not as it should be; empty if it was.

        Args:
            report: of `verify` over this run's entries; None: it could not be held.
        """
        end = self.at_end
        if end is None:
            faults = [self.instead]
        elif end.tokens_live == 0:
            faults = ["no token was live at the end"]
        else:
            faults = [f"{end.tokens_waiting} tokens waited at the end"] if end.tokens_waiting else []
        if self.count("gaps"):
            causes = ", ".join(f"{cause} {count}" for cause, count in self.gaps_by_cause.items())
            faults.append(f"{self.count('gaps')} gaps ({causes})")
        if self.count("quarantined"):
            faults.append(f"{self.count('quarantined')} frames quarantined")
        if report is None:
            faults.append("the streams could not be verified")
        elif not report.ok:
            faults.append(f"verify: {report.hole_count} holes, {report.violation_count} violations")
        return faults

    def summary(self, report: Report | None) -> dict[str, Any]:
        """The run in one JSON object, as the README shows it."""
        end = self.at_end
        newest = max(self.words.values(), key=lambda word: word.now_ms, default=None)
        latency = newest.latency_ms.model_dump() if newest is not None else {"p50": None, "p99": None}
        return {
            "ok": not self.faults(report),
            "markets": end.markets if end else 0,
            "tokens": end.tokens if end else 0,
            "connections": len(end.connections) if end else 0,
            **{name: self.count(name) for name in _SUMMED},
            "opportunities": self.opportunities,
            "latency_ms": latency,
        }

    def in_words(self, report: Report | None) -> list[str]:
        """The run for people: what it did, then whether it kept the promise."""
        told = self.summary(report)
        p50, p99 = told["latency_ms"]["p50"], told["latency_ms"]["p99"]
        found = "" if self.opportunities is None else f", {self.opportunities} opportunities"
        speed = "" if p50 is None else f", latency p50 {p50:.2f} ms p99 {p99:.2f} ms"
        lines = [
            f"{told['markets']} markets, {told['tokens']} tokens on {told['connections']} connections: "
            f"{told['frames']} frames, {told['updates']} updates, {told['entries']} entries{found}{speed}"
        ]
        faults = self.faults(report)
        verified = "" if report is None else f", {report.entries} entries verified"
        lines.append(f"not well: {'; '.join(faults)}" if faults else f"all well: no gaps{verified}")
        return lines
