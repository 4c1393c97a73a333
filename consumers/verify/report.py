"""What `verify` found, and how it is said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from marketdata.proof import Hole, ProofChecker

HOLES_KEPT: Final = 1000
"""More holes than this are counted, not kept."""


@dataclass(slots=True)
class Report:
    """The outcome of one check.

    Attributes:
        streams: how many hold entries in the range.
        entries: in the range.
        skipped: updates that were conflated into other entries, as these say.
        gaps: by cause.
        holes: the first broken rules, in the order of reading.
        hole_count: unmarked holes, all of them.
        violation_count: other broken rules, all of them.
        trimmed: how often entries were trimmed away while they were being read.
    """

    streams: int = 0
    entries: int = 0
    skipped: int = 0
    gaps: Counter[str] = field(default_factory=Counter)
    holes: list[Hole] = field(default_factory=list)
    hole_count: int = 0
    violation_count: int = 0
    trimmed: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing breaks a rule; also where there is nothing."""
        return self.hole_count == 0 and self.violation_count == 0

    @property
    def is_proof(self) -> bool:
        """Whether there are entries, and every stream of them proves itself."""
        return self.ok and self.entries > 0

    def add_hole(self, hole: Hole) -> None:
        """Counts a broken rule, and keeps it while there is room."""
        if hole.rule == "seq":
            self.hole_count += 1
        else:
            self.violation_count += 1
        if len(self.holes) < HOLES_KEPT:
            self.holes.append(hole)

    def add_stream(self, checker: ProofChecker) -> None:
        """Adds what one stream held."""
        self.streams += checker.entries > 0
        self.entries += checker.entries
        self.skipped += checker.skipped
        self.gaps.update(checker.gaps)

    def lines(self) -> list[str]:
        """For people: one summary, then a line for each broken rule that was kept."""
        causes = ", ".join(f"{cause} {count}" for cause, count in sorted(self.gaps.items()))
        gaps = f"{self.gaps.total()} gaps ({causes})" if causes else "no gaps"
        parts = [f"{self.streams} streams", f"{self.entries} entries", gaps]
        if self.skipped:
            parts.append(f"{self.skipped} updates conflated")
        if self.trimmed:
            parts.append(f"trimmed under the reader {self.trimmed} times")
        parts.append(f"{self.hole_count} unmarked holes" if self.hole_count else "no unmarked holes")
        if self.violation_count:
            parts.append(f"{self.violation_count} violations of the contract")
        verdict = "clean" if self.ok else "NOT CLEAN"
        lines = [f"{verdict}: {', '.join(parts)}", *map(str, self.holes)]
        left_out = self.hole_count + self.violation_count - len(self.holes)
        return [*lines, f"… and {left_out} more"] if left_out else lines

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "ok": self.is_proof,
            "streams": self.streams,
            "entries": self.entries,
            "skipped": self.skipped,
            "gaps": dict(sorted(self.gaps.items())),
            "unmarked_holes": self.hole_count,
            "violations": self.violation_count,
            "trimmed_while_reading": self.trimmed,
            "holes": [hole.to_dict() for hole in self.holes],
        }
