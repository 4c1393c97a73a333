"""A token's stream, gaps and all, held against what was true and against what was received.

Between its first top after a gap and the next gap's `start_us` a stream must tell the truth: each top was the
exchange's at its `venue_ms`, and each step, trade and tick that the worker received is told once and in order. What the
venue never sent cannot be told; it is counted. From `start_us` on a gap covers everything.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, NamedTuple

from marketdata.entries import Entry
from tests.acceptance.fault_received import Received

Values = tuple[str, ...]

HEALED_WITHIN_S: Final = 2.5
"""For two seconds after a fill no hash is judged, nor for 250 ms after a first one that failed."""

HEALED_WITHIN_STEPS: Final = 2


class Truth(NamedTuple):
    """One row of the venue's log."""

    kind: str
    venue_ms: int
    values: Values
    hash: str


@dataclass
class Findings:
    """What a comparison found, over any number of tokens.

    Attributes:
        segments: times between a first top and the next gap.
        marked: tops and trades that a later gap declares doubtful.
        mid_steps: tops inside a step, with its final prices.
        never_sent: what the venue kept to itself, if only for a while, and no gap tells of.
        skipped: steps that could not be shown, as the entry after them says.
        contradictory: steps whose messages named other best prices than their books had: not told, and rightly so.
        doubled, late: trades that the venue sent twice; what it sent after later things.
        healed: steps that left a wrong top because of something never sent before, until later ones put that right:
            before two hashes 250 ms apart had failed, or in the time after a fill in which a hash says nothing.
        healed_most_s: the longest such time.
        wrong: what the promise forbids, one line each.
    """

    tokens: int = 0
    segments: int = 0
    tops: int = 0
    trades: int = 0
    ticks: int = 0
    marked: int = 0
    mid_steps: int = 0
    never_sent: int = 0
    skipped: int = 0
    contradictory: int = 0
    healed: int = 0
    healed_most_s: float = 0.0
    doubled: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list)


class TokenTruth:
    """What was true of one token, in order."""

    def __init__(self, rows: Sequence[Mapping[str, Any]], mangled_ms: Set[int] = frozenset()) -> None:
        self.mangled_ms = mangled_ms
        """Times of steps not all of whose messages were sent, or not in their order."""
        self.rows = [_true(row) for row in rows if row["kind"] != "resolved"]
        self._exact: dict[tuple[str, int, Values], list[int]] = defaultdict(list)
        self._tops_at: dict[int, list[int]] = defaultdict(list)
        for place, row in enumerate(self.rows):
            self._exact[row.kind, row.venue_ms, row.values].append(place)
            if row.kind == "top":
                self._tops_at[row.venue_ms].append(place)

    def exact(self, kind: str, venue_ms: int, values: Values) -> list[int]:
        """Places of rows that say just this."""
        return self._exact.get((kind, venue_ms, values), [])

    def inside(self, venue_ms: int, values: Values) -> list[int]:
        """Places of tops of that time with the same prices: what a step may show before its end."""
        return [
            place
            for place in self._tops_at.get(venue_ms, [])
            if (self.rows[place].values[0], self.rows[place].values[2]) == (values[0], values[2])
        ]


def by_token(rows: Sequence[Mapping[str, Any]], mangled_ms: Mapping[str, Set[int]]) -> dict[str, TokenTruth]:
    """Rows of `/control/truths` by token; `mangled_ms` by token, too."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["token"]].append(row)
    return {token: TokenTruth(its, mangled_ms.get(token, frozenset())) for token, its in found.items()}


def compare(
    token: str, entries: Sequence[Entry], truth: TokenTruth, received: Received, findings: Findings
) -> None:
    """Holds one token's entries (its own, and those of its whole market) against the truth.

    Args:
        findings: is added to.
    """
    findings.tokens += 1
    _check_trades(token, entries, truth, received, findings)
    segment: list[Entry] = []
    for entry in entries:
        match entry.kind:
            case "gap" | "resolved":
                if segment:
                    start_us = int(entry.note.split(" ")[1]) if entry.kind == "gap" else entry.recv_us
                    _Segment(token, truth, received, findings).check(segment, start_us)
                segment = []
            case "top":
                segment.append(entry)
            case _:
                if segment:
                    segment.append(entry)
                elif not truth.exact(entry.kind, entry.venue_ms or 0, values_of(entry)):
                    findings.wrong.append(f"{token[:8]} {_said(entry)} is told in a gap and never was")
    if segment:
        _Segment(token, truth, received, findings).check(segment, inf)


class _Segment:
    """One stretch without a gap."""

    def __init__(self, token: str, truth: TokenTruth, received: Received, findings: Findings) -> None:
        self._token = token
        self._truth = truth
        self._received = received
        self._findings = findings
        self._told_last: set[tuple[str, int, Values]] = set()
        """What was told with the moment from which on a gap covers everything: a book was last right with that."""

    def check(self, entries: Sequence[Entry], marked_from_us: float) -> None:
        findings = self._findings
        findings.segments += 1
        found = [entry for entry in entries if entry.recv_us < marked_from_us]
        findings.marked += len(entries) - len(found)
        self._told_last = {
            (entry.kind, entry.venue_ms or 0, values_of(entry))
            for entry in entries
            if entry.recv_us == marked_from_us
        }
        counts = Counter(entry.kind for entry in found)
        findings.tops += counts["top"]
        findings.trades += counts["trade"]
        findings.ticks += counts["tick"]
        if not found:
            return
        first = found[0]
        starts = self._truth.exact("top", first.venue_ms or 0, values_of(first))
        starts = starts or self._truth.inside(first.venue_ms or 0, values_of(first))
        if not starts:
            findings.wrong.append(
                f"{self._token[:8]} a time without gaps begins with {_said(first)}, never true"
            )
            return
        results = [self._follow(found, start, marked_from_us) for start in reversed(starts)]
        best = min(results, key=lambda one: len(one.wrong))
        findings.mid_steps += best.mid_steps
        findings.never_sent += best.never_sent
        findings.skipped += best.skipped
        findings.contradictory += best.contradictory
        findings.healed += best.healed
        findings.healed_most_s = max(findings.healed_most_s, best.healed_most_s)
        findings.late += best.late
        findings.doubled += best.doubled
        findings.wrong += best.wrong

    def _follow(self, found: Sequence[Entry], start: int, marked_from_us: float) -> Findings:
        result, rows = Findings(), self._truth.rows
        shown = values_of(found[0])
        # A segment may begin inside of a step: then its end is due.
        place = start + (rows[start].values == shown)
        missed: dict[int, Truth] = {}
        told: list[tuple[int, float]] = []
        for entry in found[1:]:
            values, venue_ms = values_of(entry), entry.venue_ms or 0
            exact = self._truth.exact(entry.kind, venue_ms, values)
            inside = self._truth.inside(venue_ms, values) if entry.kind == "top" else []
            at, is_inside = _from(exact, place), False
            if at is None:
                # Of two steps in one millisecond it is inside the one that changed something.
                changing = [one for one in inside if rows[one].values != shown]
                at, is_inside = _from(changing or inside, place), True
            if at is None:
                self._out_of_order(entry, exact, missed, result)
                shown = values if entry.kind == "top" else shown
                continue
            due = self._due(place, at, shown)
            missed.update(self._without_skipped(due, entry.skipped, result))
            result.mid_steps += is_inside
            place = at if is_inside else at + 1
            if entry.kind == "top" and not is_inside:
                told.append((at, entry.recv_us))
            shown = values if entry.kind == "top" else shown
        missed.update(self._due(place, len(rows), shown))
        told.append((len(rows), marked_from_us))
        self._explain(missed, told, found[0].recv_us, marked_from_us, result)
        return result

    def _without_skipped(self, due: dict[int, Truth], skipped: int, result: Findings) -> dict[int, Truth]:
        """The last `skipped` tops are told as such."""
        told = [at for at, row in due.items() if row.kind == "top"][-skipped:] if skipped else []
        result.skipped += len(told)
        return {at: row for at, row in due.items() if at not in told}

    def _explain(
        self,
        missed: Mapping[int, Truth],
        told: Sequence[tuple[int, float]],
        since_us: int,
        marked_from_us: float,
        result: Findings,
    ) -> None:
        """Why is it not told? `told`: places of tops that stand as they ended, and when they came."""
        unsent = self._first_unsent(told[-1][0] if told else 0, since_us, marked_from_us)
        stretch: Counter[int] = Counter()
        for place, row in sorted(missed.items()):
            if (row.kind, row.venue_ms, row.values) in self._told_last:
                # A step that began with changes and ended with a whole book.
                continue
            if not self._was_received(row, since_us, marked_from_us):
                result.never_sent += since_us <= row.venue_ms * 1000 < marked_from_us
                continue
            key = self._token, row.venue_ms, row.hash
            if row.kind == "top" and not self._received.says(key, row.values[0], row.values[2]):
                result.contradictory += 1
                continue
            right, right_us = next(one for one in told if one[0] > place)
            stretch[right] += 1
            wrong_s = (right_us - self._received.when(key)) / 1e6 if row.kind == "top" else inf
            if unsent <= place and (
                wrong_s <= HEALED_WITHIN_S or (stretch[right] <= HEALED_WITHIN_STEPS and right_us < inf)
            ):
                result.healed += 1
                result.healed_most_s = max(result.healed_most_s, wrong_s)
                continue
            result.wrong.append(
                f"{self._token[:8]} {row.kind} {row.venue_ms} {row.values} was received and is not told, "
                f"in the time from {since_us} to {marked_from_us}"
            )

    def _first_unsent(self, until: int, since_us: int, before_us: float) -> float:
        """Place of the first step that did not come, not whole or not in its turn, be its top the one before."""
        since_ms = since_us // 1000
        for place, row in enumerate(self._truth.rows[:until]):
            if row.kind != "top" or row.venue_ms < since_ms:
                continue
            if (
                row.venue_ms in self._truth.mangled_ms
                or not self._was_received(row, since_us, before_us)
                or self._is_displaced(place)
            ):
                return place
        return inf

    def _is_displaced(self, place: int) -> bool:
        """Whether a step was received after the one that followed it."""
        rows = self._truth.rows
        later = next((rows[at] for at in range(place + 1, len(rows)) if rows[at].kind == "top"), None)
        if later is None:
            return False
        mine, next_one = ((self._token, row.venue_ms, row.hash) for row in (rows[place], later))
        received = self._received
        return (
            received.has_step(mine, 0, inf)
            and received.has_step(next_one, 0, inf)
            and received.when(mine) > received.when(next_one)
        )

    def _is_named(self, entry: Entry) -> bool:
        """Whether the venue's own messages called these the best prices of that moment."""
        named = self._received.named.get((self._token, entry.venue_ms or 0), set())
        return (entry.bid, entry.ask) in named and not self._truth.inside(
            entry.venue_ms or 0, values_of(entry)
        )

    def _was_received(self, row: Truth, since_us: int, before_us: float) -> bool:
        if row.kind == "top":
            return self._received.has_step((self._token, row.venue_ms, row.hash), since_us, before_us)
        words = " ".join(text for text in row.values if text)
        return self._received.has_beside((self._token, row.venue_ms, words), since_us, before_us)

    def _due(self, place: int, until: int, shown: Values) -> dict[int, Truth]:
        rows = self._truth.rows
        return {
            at: rows[at] for at in range(place, until) if rows[at].kind != "top" or rows[at].values != shown
        }

    def _out_of_order(
        self, entry: Entry, exact: Sequence[int], missed: dict[int, Truth], result: Findings
    ) -> None:
        for at in exact:
            if missed.pop(at, None) is not None:
                result.late += 1
                return
        if exact and entry.kind == "trade":
            # Counted against what was received by _check_trades.
            result.doubled += 1
            return
        if entry.kind == "top" and not exact and self._is_named(entry):
            result.contradictory += 1
            return
        if entry.kind == "top" and any(self._is_displaced(at) for at in exact):
            # Two steps of one millisecond that changed places: nothing tells them from two in their order.
            result.late += 1
            return
        if exact or (entry.kind == "top" and self._truth.inside(entry.venue_ms or 0, values_of(entry))):
            result.wrong.append(f"{self._token[:8]} {_said(entry)} was true, and is told again or too late")
            return
        result.wrong.append(f"{self._token[:8]} {_said(entry)} was never true")


def _check_trades(
    token: str, entries: Sequence[Entry], truth: TokenTruth, received: Received, findings: Findings
) -> None:
    told = Counter((entry.venue_ms or 0, values_of(entry)) for entry in entries if entry.kind == "trade")
    for (venue_ms, values), count in told.items():
        if not truth.exact("trade", venue_ms, values):
            findings.wrong.append(f"{token[:8]} a trade {venue_ms} {values} is told and never was")
            continue
        heard = received.trades[token, venue_ms, " ".join(text for text in values if text)]
        if count > heard:
            findings.wrong.append(
                f"{token[:8]} a trade {venue_ms} {values} is told {count} times, received {heard}"
            )


def values_of(entry: Entry) -> Values:
    """What an entry says, as the truth's rows have it."""
    if entry.kind == "tick":
        return (entry.note,)
    return entry.bid, entry.bid_size, entry.ask, entry.ask_size


def _true(row: Mapping[str, Any]) -> Truth:
    if row["kind"] == "tick":
        return Truth("tick", row["venue_ms"], (row["tick_size"],), "")
    values = row["bid"], row["bid_size"], row["ask"], row["ask_size"]
    return Truth(row["kind"], row["venue_ms"], values, row.get("hash", ""))


def _from(places: Sequence[int], place: int) -> int | None:
    at = bisect_left(places, place)
    return places[at] if at < len(places) else None


def _said(entry: Entry) -> str:
    return f"{entry.kind} {entry.venue_ms} {values_of(entry)} received {entry.recv_us}"
