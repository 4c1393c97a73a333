"""The engine of one partition: entries in, opportunities out. Pure and deterministic.

Time is the entries'; nothing here reads a clock, draws a number or looks at the order of a set. Equal entries and
equal adoptions of the catalog give equal opportunities, whatever the batches they come in.

An entry touches the baskets of its token and no others. Exceptions, each rare and bounded: what the catalog or a
resolution changed, a cooldown that ended, and legs that grow stale or fresh again because the clock stopped or
came back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from consumers.arbitrage.baskets import Basket
from consumers.arbitrage.evaluate import Limits, Live, Opening, figures_of
from consumers.arbitrage.ground import Ground
from consumers.arbitrage.legs import NEVER, Leg
from consumers.arbitrage.opportunity import Action, Figures, Opportunity, Reason
from consumers.arbitrage.telling import opportunity_of
from consumers.arbitrage.terms import Terms
from marketdata.catalog import NO_REVISION
from marketdata.decimals import MICROS, to_micros
from marketdata.entries import EntryId
from marketdata.errors import DecimalError
from marketdata.market import Winner

IDS_A_TRIGGER: Final = 1000
"""An output's id is (ms, n * IDS_A_TRIGGER + k) of what caused it, k counting from 0. More wait for the next entry."""

MOST_OPEN: Final = 500
"""Opportunities that are open at once in a partition; further ones wait. A trigger can close them all."""

TORN_MS: Final = 300
"""Bid of one token and ask of the other are one order, written twice. While the second half of a change is not there
yet, the old half is no price; a worker holds it back for 250 ms at most. What lasts longer is told: a wrong book."""

_ASK_AGAIN_MS: Final = 1000


class Found(NamedTuple):
    """An opportunity and the id of its entry."""

    id: EntryId
    opportunity: Opportunity


class Engine:
    """The state of one partition.

    Attributes:
        handled: id of the last entry.
        clock_ms: of the last clock entry.
        revision, terms: of the catalog in force.
        ended: how markets ended, as their streams told.
        ground: its legs and baskets.
        waits: baskets that are not opened before a time, and looked at then: Unix milliseconds by basket id.
        leaving: open ones whose basket is gone, in the order in which they have to be told.
        late: entries that came behind their time.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.handled = NEVER
        self.clock_ms = 0
        self.revision = NO_REVISION
        self.terms: list[Terms] = []
        self.ended: dict[str, Winner] = {}
        self.ground = Ground(limits)
        self.waits: dict[str, int] = {}
        self.leaving: dict[str, Live] = {}
        self.late = 0
        self.dirty_legs: set[Leg] = set()
        self.dirty_baskets: set[str] = set()
        self.dirty_markets: set[str] = set()
        self._open: dict[str, Live] = {}
        self._new: list[Live] = []
        self._heap: list[tuple[int, str]] = []
        self._torn: dict[str, int] = {}
        self._found: list[Found] = []
        self._k = 0

    def adopt(self, revision: str, terms: Sequence[Terms]) -> None:
        """From the next entry on, the catalog is this one."""
        self.revision = revision
        self.terms = list(terms)
        known = {one.condition_id for one in terms}
        for condition_id in [one for one in self.ended if one not in known]:
            del self.ended[condition_id]
            self.dirty_markets.add(condition_id)
        self._form()

    def clock(self, at: EntryId) -> list[Found]:
        """A clock entry: the tops of all tokens outside a gap hold as of it."""
        if not self._begin(at):
            return []
        was_stale = at.ms - self.clock_ms > self.limits.max_leg_age_ms
        self.clock_ms = max(self.clock_ms, at.ms)
        touched: list[Live] = []
        if was_stale:
            touched = [
                live for live in self.ground.lives.values() if not live.missing and live.total <= live.limit
            ]
        return self._end(at, touched)

    def top(
        self, at: EntryId, condition_id: str, outcome: int, bid: str, ask: str, ask_size: str
    ) -> list[Found]:
        """A top of a token: prices as the entry spells them, empty where there are none."""
        on_time = self._begin(at)
        pair = self.ground.pairs.get(condition_id)
        if pair is None:
            return self._end(at, ()) if on_time else []
        leg = pair[outcome]
        if at <= leg.top_at:
            return []
        self.dirty_legs.add(leg)
        leg.top_at = at
        leg.seen_ms = max(leg.seen_ms, at.ms)
        try:
            price, size = (to_micros(ask), to_micros(ask_size)) if ask else (0, 0)
            mirrored = MICROS - to_micros(bid) if bid else 0
        except DecimalError:
            # Finer than a millionth: nothing can be bought at a price that we cannot spell.
            price = size = mirrored = 0
        touched: Sequence[Live] = ()
        if price != leg.price or leg.gapped or not (size and leg.size):
            leg.price, leg.size, leg.gapped = price, size, False
            touched = self.ground.reckon(leg)
        elif size != leg.size:
            leg.size = size
            touched = leg.baskets
        elif at.ms - self.clock_ms > self.limits.max_leg_age_ms:
            touched = leg.baskets
        if self._torn and self._torn.pop(leg.token, 0):
            leg.torn_until_ms = 0
            touched = leg.baskets
        other = pair[1 - outcome]
        if other.price != mirrored:
            if not other.gapped and other.token not in self._torn and other.top_at != NEVER:
                other.torn_until_ms = self._torn[other.token] = at.ms + TORN_MS
                self.dirty_legs.add(other)
        elif self._torn and self._torn.pop(other.token, 0):
            other.torn_until_ms = 0
            self.dirty_legs.add(other)
            touched = [*touched, *other.baskets]
        return self._end(at, touched) if on_time else self._later(touched)

    def seen(self, at: EntryId, condition_id: str, outcome: int | None) -> list[Found]:
        """A trade or a tick size: the top of the token stands, unless it lies behind a gap."""
        on_time = self._begin(at)
        touched: list[Live] = []
        for leg in self.ground.legs_of(condition_id, outcome):
            if not leg.gapped and leg.seen_ms < at.ms:
                leg.seen_ms = at.ms
                self.dirty_legs.add(leg)
                if at.ms - self.clock_ms > self.limits.max_leg_age_ms:
                    touched += leg.baskets
        return self._end(at, touched) if on_time else self._later(touched)

    def gap(self, at: EntryId, condition_id: str, outcome: int | None) -> list[Found]:
        """A gap of a token or, with None, of both: they take no part until their next top."""
        on_time = self._begin(at)
        touched: list[Live] = []
        for leg in self.ground.legs_of(condition_id, outcome):
            if not leg.gapped and leg.top_at < at:
                leg.gapped = True
                leg.torn_until_ms = 0
                self._torn.pop(leg.token, None)
                self.dirty_legs.add(leg)
                touched += self.ground.reckon(leg)
        return self._end(at, touched) if on_time else self._later(touched)

    def resolved(self, at: EntryId, condition_id: str, winner: Winner) -> list[Found]:
        """A market ended."""
        on_time = self._begin(at)
        if condition_id in self.ground.pairs and condition_id not in self.ended:
            self.ended[condition_id] = winner
            self.dirty_markets.add(condition_id)
            self._form()
        return self._end(at, ()) if on_time else []

    def other(self, at: EntryId) -> list[Found]:
        """An entry that says nothing to the engine but the time."""
        return self._end(at, ()) if self._begin(at) else []

    def lost(self, condition_id: str) -> None:
        """Entries of a market went away unread: its tops are not known until the next ones."""
        for leg in self.ground.legs_of(condition_id, None):
            if not leg.gapped and leg.top_at != NEVER:
                leg.gapped = True
                leg.torn_until_ms = 0
                self._torn.pop(leg.token, None)
                self.dirty_legs.add(leg)
                self._later(self.ground.reckon(leg))

    def lost_all(self) -> None:
        """Entries of any market may have gone by unseen."""
        for condition_id in self.ground.pairs:
            self.lost(condition_id)

    def restored(self, openings: Sequence[tuple[Basket, Opening]]) -> None:
        """Goes on from a past whose other parts were put back into the public attributes."""
        self._form()
        self._new = []
        for basket, opening in openings:
            live = self.ground.lives.get(basket.basket_id)
            if live is None or live.basket != basket:
                legs = (self.ground.legs.get(leg.token) or Leg(*leg) for leg in basket.legs)
                live = self.leaving[basket.basket_id] = Live(basket, tuple(legs), self.limits)
            else:
                self._open[basket.basket_id] = live
            live.opening = opening
        self._heap = sorted((at_ms, name) for name, at_ms in self.waits.items())
        self.dirty_legs.clear()
        self.dirty_baskets.clear()
        self.dirty_markets.clear()

    @property
    def open_count(self) -> int:
        """How many opportunities are open."""
        return len(self._open) + len(self.leaving)

    def _begin(self, at: EntryId) -> bool:
        """Whether the entry comes in its turn; one that does not changes the state, and is judged with the next."""
        if at <= self.handled:
            self.late += 1
            return False
        self.handled = at
        self._k = 0
        return True

    def _end(self, at: EntryId, touched: Iterable[Live]) -> list[Found]:
        now_ms = at.ms
        if self.leaving:
            self._tell_leaving(at)
        for live in touched:
            if live.opening is not None or (not live.missing and live.total <= live.limit):
                self._judge(live, at)
        if self._new:
            judged, self._new = self._new, []
            for live in judged:
                self._judge(live, at)
        if self._heap and self._heap[0][0] <= now_ms:
            self._judge_due(at)
        for until_ms in self._torn.values():
            if until_ms <= now_ms:
                self._judge_torn(at)
                break
        if self._open and now_ms - self.clock_ms > self.limits.max_leg_age_ms:
            for live in [self._open[name] for name in sorted(self._open)]:
                self._judge(live, at)
        if not self._found:
            return []
        found, self._found = self._found, []
        return found

    def _later(self, touched: Iterable[Live]) -> list[Found]:
        for live in touched:
            if live.basket.basket_id not in self.waits:
                self._wait(live.basket.basket_id, self.handled.ms)
        return []

    def _judge_due(self, at: EntryId) -> None:
        due: list[str] = []
        while self._heap and self._heap[0][0] <= at.ms:
            at_ms, name = heapq.heappop(self._heap)
            if self.waits.get(name) == at_ms:
                del self.waits[name]
                self.dirty_baskets.add(name)
                due.append(name)
        for name in due:
            if (live := self.ground.lives.get(name)) is not None:
                self._judge(live, at)

    def _judge_torn(self, at: EntryId) -> None:
        """Legs whose other half did not come in time."""
        late = sorted((until_ms, token) for token, until_ms in self._torn.items() if until_ms <= at.ms)
        for _, token in late:
            del self._torn[token]
            leg = self.ground.legs[token]
            leg.torn_until_ms = 0
            self.dirty_legs.add(leg)
            for live in leg.baskets:
                self._judge(live, at)

    def _judge(self, live: Live, at: EntryId) -> None:
        if self._torn and not live.missing and any(leg.torn_until_ms > at.ms for leg in live.legs):
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
            live.opening = opening.with_figures(figures)
            self._tell("update", live, figures, at)

    def _figures(self, live: Live, now_ms: int) -> Figures | None:
        if live.missing or live.total > live.limit:
            return None
        floor_ms = now_ms - self.limits.max_leg_age_ms
        if self.clock_ms < floor_ms:
            for leg in live.legs:
                if leg.seen_ms < floor_ms:
                    return None
        return figures_of(live, self.limits)

    def _why(self, live: Live, now_ms: int) -> Reason:
        floor_ms = now_ms - self.limits.max_leg_age_ms
        for leg in live.legs:
            if why := leg.why_not(self.clock_ms, floor_ms):
                return why
        return "size" if live.size_micros < live.min_size else "price"

    def _open_it(self, live: Live, figures: Figures, at: EntryId) -> None:
        opened = str(self._next_id(at))
        live.opening = Opening(opened, at.ms, figures, figures.net, figures.bps_hundredths)
        self._open[live.basket.basket_id] = live
        self._tell("open", live, figures, at)

    def _close(self, live: Live, reason: Reason, at: EntryId) -> None:
        assert live.opening is not None
        name = live.basket.basket_id
        self._tell("close", live, live.opening.told, at, reason)
        live.opening = None
        self._open.pop(name, None)
        self._wait(name, at.ms + self.limits.cooldown_ms)

    def _tell_leaving(self, at: EntryId) -> None:
        leaving, self.leaving = self.leaving, {}
        for live in leaving.values():
            over = any(leg.condition_id in self.ended for leg in live.legs)
            self._close(live, "resolved" if over else "catalog", at)

    def _next_id(self, at: EntryId) -> EntryId:
        return EntryId(at.ms, at.n * IDS_A_TRIGGER + self._k)

    def _tell(self, action: Action, live: Live, figures: Figures, at: EntryId, reason: Reason = "") -> None:
        told = opportunity_of(
            action,
            live,
            figures,
            now_ms=at.ms,
            clock_ms=self.clock_ms,
            catalog=self.revision,
            reason=reason,
        )
        self._found.append(Found(self._next_id(at), told))
        self.dirty_baskets.add(told.basket_id)
        self._k += 1

    def _wait(self, name: str, until_ms: int) -> None:
        self.waits[name] = until_ms
        self.dirty_baskets.add(name)
        heapq.heappush(self._heap, (until_ms, name))

    def _form(self) -> None:
        """What is new or other than before is judged with the next entry, and what is gone is told then."""
        change = self.ground.form(self.terms, self.ended)
        lives = self.ground.lives
        self.leaving |= {live.basket.basket_id: live for live in change.gone}
        self.dirty_legs.update(change.legs)
        self._open = {name: live for name, live in lives.items() if live.opening is not None}
        fresh = {
            live.basket.basket_id: lives.get(live.basket.basket_id) for live in (*self._new, *change.fresh)
        }
        self._new = [live for live in fresh.values() if live is not None]
        self._torn = {
            token: leg.torn_until_ms for token, leg in self.ground.legs.items() if leg.torn_until_ms
        }
