"""Opens, updates and closes opportunities as their baskets are touched. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from consumers.arbitrage.aging import Aging
from consumers.arbitrage.baskets import Basket
from consumers.arbitrage.evaluate import Limits, Live, Opening, figures_of
from consumers.arbitrage.ground import Change
from consumers.arbitrage.legs import Leg
from consumers.arbitrage.opportunity import Action, Figures, Opportunity, Reason
from consumers.arbitrage.quotes import Quotes
from consumers.arbitrage.telling import opportunity_of
from marketdata.catalog import NO_REVISION
from marketdata.entries import EntryId
from marketdata.market import Winner

IDS_A_TRIGGER: Final = 1000
"""An output's id is (ms, n * IDS_A_TRIGGER + k) of what caused it, k counting from 0. More wait for the next entry."""

MOST_OPEN: Final = 500
"""Opportunities that are open at once in a partition; further ones wait. A trigger can close them all."""

_ASK_AGAIN_MS: Final = 1000


class Found(NamedTuple):
    """An opportunity and the id of its entry."""

    id: EntryId
    opportunity: Opportunity


class Judge:
    """What is open in one partition, and what waits.

    Args:
        ended: how markets ended.

    Attributes:
        revision: of the catalog in force.
        waits: baskets that are not opened before a time, and looked at then: Unix milliseconds by basket id.
        leaving: open ones whose basket is gone, in the order in which they have to be told.
        dirty: ids of baskets that changed since they were kept.
    """

    def __init__(self, limits: Limits, quotes: Quotes, ended: Mapping[str, Winner]) -> None:
        self.revision = NO_REVISION
        self.waits: dict[str, int] = {}
        self.leaving: dict[str, Live] = {}
        self.dirty: set[str] = set()
        self._limits = limits
        self._quotes = quotes
        self._ended = ended
        self._aging = Aging(limits.max_top_age_ms)
        self._open: dict[str, Live] = {}
        self._new: list[Live] = []
        self._heap: list[tuple[int, str]] = []
        self._found: list[Found] = []
        self._k = 0

    @property
    def open_count(self) -> int:
        """How many opportunities are open."""
        return len(self._open) + len(self.leaving)

    def reform(self, change: Change) -> None:
        """What is new or other than before is judged with the next entry, and what is gone is told then."""
        lives = self._quotes.ground.lives
        self.leaving |= {live.basket.basket_id: live for live in change.gone}
        self._open = {name: live for name, live in lives.items() if live.opening is not None}
        fresh = {
            live.basket.basket_id: lives.get(live.basket.basket_id) for live in (*self._new, *change.fresh)
        }
        self._new = [live for live in fresh.values() if live is not None]

    def restored(self, openings: Sequence[tuple[Basket, Opening]]) -> None:
        """Goes on with these, and with the waits that were put back."""
        ground = self._quotes.ground
        self._new = []
        for basket, opening in openings:
            live = ground.lives.get(basket.basket_id)
            if live is None or live.basket != basket:
                legs = (ground.legs.get(leg.token) or Leg(*leg) for leg in basket.legs)
                live = self.leaving[basket.basket_id] = Live(basket, tuple(legs), self._limits)
            else:
                self._open[basket.basket_id] = live
                self._aging.watch(basket.basket_id, live.oldest_top_ms)
            live.opening = opening
        self._heap = sorted((at_ms, name) for name, at_ms in self.waits.items())

    def opinion(self, at: EntryId, touched: Iterable[Live]) -> list[Found]:
        """What there is to tell with an entry that comes in its turn and touched these."""
        now_ms = at.ms
        self._k = 0
        if self.leaving:
            self._tell_leaving(at)
        for live in touched:
            if live.opening is not None or (not live.missing and live.total <= live.limit):
                self.judge(live, at)
        if self._new:
            judged, self._new = self._new, []
            for live in judged:
                self.judge(live, at)
        if self._heap and self._heap[0][0] <= now_ms:
            self._judge_due(at)
        if self._quotes.torn:
            for leg in self._quotes.late_halves(now_ms):
                for live in leg.baskets:
                    self.judge(live, at)
        if self._open and self._quotes.is_stale(now_ms):
            for live in [self._open[name] for name in sorted(self._open)]:
                self.judge(live, at)
        if self._aging.next_ms < now_ms:
            self._judge_aged(at)
        if not self._found:
            return []
        found, self._found = self._found, []
        return found

    def later(self, now_ms: int, touched: Iterable[Live]) -> None:
        """What has no place in the order came, and touched these: they are judged with the next entry.

        So is what a new catalog brought: other than the waits that would not outlive the end of this process.
        """
        fresh, self._new = self._new, []
        for live in (*fresh, *touched):
            if live.basket.basket_id not in self.waits:
                self._wait(live.basket.basket_id, now_ms)

    def _judge_due(self, at: EntryId) -> None:
        due: list[str] = []
        while self._heap and self._heap[0][0] <= at.ms:
            at_ms, name = heapq.heappop(self._heap)
            if self.waits.get(name) == at_ms:
                del self.waits[name]
                self.dirty.add(name)
                due.append(name)
        for name in due:
            if (live := self._quotes.ground.lives.get(name)) is not None:
                self.judge(live, at)

    def _judge_aged(self, at: EntryId) -> None:
        for name in self._aging.due(at.ms):
            if (live := self._open.get(name)) is None:
                continue
            self.judge(live, at)
            if live.opening is not None:
                self._aging.watch(name, live.oldest_top_ms)

    def judge(self, live: Live, at: EntryId) -> None:
        """Opens, updates or closes one, as it stands now."""
        if self._quotes.torn and not live.missing and any(leg.torn_until_ms > at.ms for leg in live.legs):
            return
        figures = self._figures(live, at.ms)
        opening = live.opening
        if opening is None:
            if figures is None or self.waits.get(live.basket.basket_id, 0) > at.ms:
                return
        elif figures == opening.told:
            return
        if self._k >= IDS_A_TRIGGER:
            self._wait(live.basket.basket_id, at.ms)
        elif opening is None and len(self._open) >= MOST_OPEN:
            self._wait(live.basket.basket_id, at.ms + _ASK_AGAIN_MS)
        elif figures is None:
            self._close(live, self._why(live, at.ms), at)
        elif opening is None:
            self._open_it(live, figures, at)
        else:
            live.opening = opening.with_figures(figures, at.ms)
            self._tell("update", live, figures, at)

    def _figures(self, live: Live, now_ms: int) -> Figures | None:
        if live.missing or live.total > live.limit:
            return None
        floor_ms = now_ms - self._limits.max_leg_age_ms
        if self._quotes.clock_ms < floor_ms:
            for leg in live.legs:
                if leg.seen_ms < floor_ms:
                    return None
        if self._limits.max_top_age_ms and live.oldest_top_ms < now_ms - self._limits.max_top_age_ms:
            return None
        return figures_of(live, self._limits)

    def _why(self, live: Live, now_ms: int) -> Reason:
        limits = self._limits
        floor_ms = now_ms - limits.max_leg_age_ms
        top_floor_ms = now_ms - limits.max_top_age_ms if limits.max_top_age_ms else 0
        for leg in live.legs:
            if why := leg.why_not(self._quotes.clock_ms, floor_ms, top_floor_ms):
                return why
        return "size" if live.size_micros < live.min_size else "price"

    def _open_it(self, live: Live, figures: Figures, at: EntryId) -> None:
        opened = str(self._next_id(at))
        live.opening = Opening(opened, at.ms, at.ms, figures, figures.net, figures.bps_hundredths)
        self._open[live.basket.basket_id] = live
        self._aging.watch(live.basket.basket_id, live.oldest_top_ms)
        self._tell("open", live, figures, at)

    def _close(self, live: Live, reason: Reason, at: EntryId) -> None:
        assert live.opening is not None
        name = live.basket.basket_id
        self._tell("close", live, live.opening.told, at, reason)
        live.opening = None
        self._open.pop(name, None)
        self._wait(name, at.ms + self._limits.cooldown_ms)

    def _tell_leaving(self, at: EntryId) -> None:
        leaving, self.leaving = self.leaving, {}
        for live in leaving.values():
            over = any(leg.condition_id in self._ended for leg in live.legs)
            self._close(live, "resolved" if over else "catalog", at)

    def _next_id(self, at: EntryId) -> EntryId:
        return EntryId(at.ms, at.n * IDS_A_TRIGGER + self._k)

    def _tell(self, action: Action, live: Live, figures: Figures, at: EntryId, reason: Reason = "") -> None:
        told = opportunity_of(
            action,
            live,
            figures,
            now_ms=at.ms,
            clock_ms=self._quotes.clock_ms,
            catalog=self.revision,
            reason=reason,
        )
        self._found.append(Found(self._next_id(at), told))
        self.dirty.add(told.basket_id)
        self._k += 1

    def _wait(self, name: str, until_ms: int) -> None:
        self.waits[name] = until_ms
        self.dirty.add(name)
        heapq.heappush(self._heap, (until_ms, name))
