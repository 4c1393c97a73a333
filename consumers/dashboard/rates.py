"""From counters that workers repeat once a second to figures a second, and to who was active (pure)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final

from consumers.dashboard.records import Counted, WorkerRecord
from consumers.workers import WorkerWord

HALF_LIFE_S: Final = 10.0
"""Of a market's activity."""

MINUTE_MS: Final = 60_000
_LEAST: Final = 0.01


class Rate:
    """Updates a second, from counters that workers repeat once a second."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, int], tuple[int, int]] = {}
        self._rates: dict[tuple[str, int], float] = {}

    def update(self, words: Iterable[WorkerWord], now_ms: int) -> float:
        """Takes the newest words; gives the sum over the workers that are heard."""
        heard = {(word.worker, word.started_ms): word for word in words if word.is_heard(now_ms)}
        for key, word in heard.items():
            at_ms, count = self._before.get(key, (word.now_ms, word.count("updates")))
            if word.now_ms > at_ms:
                self._rates[key] = 1000 * (word.count("updates") - count) / (word.now_ms - at_ms)
            self._before[key] = (word.now_ms, word.count("updates"))
        self._before = {key: self._before[key] for key in heard}
        self._rates = {key: rate for key, rate in self._rates.items() if key in heard}
        return sum(self._rates.values())


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
    """How much a counter of each worker rose in the last minute, as far as it was watched."""

    def __init__(self, count: Callable[[WorkerRecord], int]) -> None:
        self._count = count
        self._seen: dict[tuple[str, int], deque[tuple[int, int]]] = {}

    def update(self, words: Sequence[WorkerRecord], at_ms: int) -> int:
        """Takes the newest records; gives the sum."""
        for word in words:
            seen = self._seen.setdefault(word.key, deque())
            seen.append((at_ms, self._count(word)))
        for key, seen in list(self._seen.items()):
            # The last count older than a minute stays: the difference is taken to it.
            while len(seen) > 1 and seen[1][0] <= at_ms - MINUTE_MS:
                seen.popleft()
            if seen[-1][0] <= at_ms - MINUTE_MS:
                del self._seen[key]
        return sum(max(seen[-1][1] - seen[0][1], 0) for seen in self._seen.values())


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
