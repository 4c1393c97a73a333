"""From counters that workers repeat once a second to figures a second, and to who was active (pure)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from consumers.dashboard.records import Counted, WorkerRecord

HALF_LIFE_S: Final = 10.0
"""Of a market's activity."""

MINUTE_MS: Final = 60_000
_LEAST: Final = 0.01


class Rates:
    """Many counters at once, each by a key; those that are no longer given are forgotten."""

    def __init__(self) -> None:
        self._before: dict[Hashable, tuple[int, int]] = {}
        self._rates: dict[Hashable, float] = {}

    def update(self, counts: Mapping[Hashable, tuple[int, int]]) -> None:
        """Takes, by key, Unix milliseconds and a count as of then."""
        rates: dict[Hashable, float] = {}
        for key, (at_ms, count) in counts.items():
            before_ms, before = self._before.get(key, (at_ms, count))
            if at_ms > before_ms and count >= before:
                rates[key] = 1000 * (count - before) / (at_ms - before_ms)
            elif key in self._rates:
                rates[key] = self._rates[key]
        self._before, self._rates = dict(counts), rates

    def get(self, key: Hashable) -> float | None:
        """A second; None before two different counts were seen."""
        return self._rates.get(key)


class LastMinute:
    """The gaps of the last minute: as workers say; of those that do not, or are gone, as far as it was watched."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], deque[tuple[int, int]]] = {}

    def update(self, words: Sequence[WorkerRecord], at_ms: int) -> int | None:
        """Takes the newest records; gives the sum, None where it is not known."""
        for word in words:
            self._seen.setdefault(word.key, deque()).append((at_ms, word.count("gaps")))
        for key, seen in list(self._seen.items()):
            # The last count older than a minute stays: the difference is taken to it.
            while len(seen) > 1 and seen[1][0] <= at_ms - MINUTE_MS:
                seen.popleft()
            if seen[-1][0] <= at_ms - MINUTE_MS:
                del self._seen[key]
        told = {word.key: word.gaps_last_minute for word in words if word.state != "stopped"}
        total = 0
        for key, seen in self._seen.items():
            said = told.get(key)
            if said is None and key in told and seen[0][0] > at_ms - MINUTE_MS:
                return None
            total += said if said is not None else max(seen[-1][1] - seen[0][1], 0)
        return total if self._seen else None


class Activity:
    """Entries a second of each market, newer seconds counting more, and when there was one last."""

    def __init__(self) -> None:
        self.last_ms: dict[str, int] = {}
        self._counts: dict[tuple[str, int], tuple[int, Mapping[str, Counted]]] = {}
        self._rates: dict[str, float] = {}

    def update(self, words: Sequence[WorkerRecord]) -> None:
        """Takes the newest records."""
        counts: dict[tuple[str, int], tuple[int, Mapping[str, Counted]]] = {}
        for word in words:
            now = word.markets_counted
            counts[word.key] = word.now_ms, now
            before_ms, before = self._counts.get(word.key, (0, {}))
            passed_s = (word.now_ms - before_ms) / 1000
            if before_ms and passed_s <= 0:
                continue
            kept = 0.5 ** (passed_s / HALF_LIFE_S) if before_ms else 0.0
            for one, market in now.items():
                self._take(one, market, before.get(one), word.now_ms, passed_s if before_ms else 0.0, kept)
        self._counts = counts
        there = {one for _, markets in counts.values() for one in markets}
        if len(there) != len(self._rates) or there != self._rates.keys():
            self._rates = {one: self._rates.get(one, 0.0) for one in there}
            self.last_ms = {one: ms for one, ms in self.last_ms.items() if one in there}

    def _take(
        self,
        one: str,
        market: Counted,
        before: Counted | None,
        now_ms: int,
        passed_s: float,
        kept: float,
    ) -> None:
        entries = market.get("entries", 0)
        fresh = entries - (before or {}).get("entries", 0) if passed_s else 0
        last_ms = market.get("last_ms")
        if last_ms is not None:
            self.last_ms[one] = max(last_ms, self.last_ms.get(one, 0))
        elif fresh > 0:
            self.last_ms[one] = now_ms
        rate = self._rates.get(one, 0.0)
        if passed_s:
            self._rates[one] = rate * kept + (max(fresh, 0) / passed_s) * (1 - kept)
        else:
            self._rates.setdefault(one, 0.0)

    def rate(self, condition_id: str) -> float:
        """Entries a second."""
        return self._rates.get(condition_id, 0.0)

    def rank(self, condition_id: str) -> int:
        """A coarse measure that does not change with every entry: rows should not jump about. More is busier."""
        rate = self._rates.get(condition_id, 0.0)
        return round(math.log2(rate)) if rate > _LEAST else -99
