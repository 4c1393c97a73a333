"""What the entries say of the legs, and which baskets that touches. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consumers.arbitrage.evaluate import Limits, Live
from consumers.arbitrage.ground import Change, Ground
from consumers.arbitrage.legs import NEVER, Leg
from consumers.arbitrage.terms import Terms
from marketdata.decimals import MICROS, to_micros
from marketdata.entries import EntryId
from marketdata.errors import DecimalError
from marketdata.market import Winner

TORN_MS: Final = 300
"""Bid of one token and ask of the other are one order, written twice. While the second half of a change is not there
yet, the old half is no price; a worker holds it back for 250 ms at most. What lasts longer is told: a wrong book."""

NO_LIMIT_MS: Final = 2**63
"""Older than any top."""


class Quotes:
    """The legs of one partition.

    Attributes:
        ground: they and their baskets.
        clock_ms: of the last clock entry.
        torn: by token: until when (Unix milliseconds) its ask waits for its own word, see `Leg.torn_until_ms`.
        dirty: legs that changed since they were kept.
    """

    def __init__(self, limits: Limits) -> None:
        self.ground = Ground(limits)
        self.clock_ms = 0
        self.torn: dict[str, int] = {}
        self.dirty: set[Leg] = set()
        self._max_age_ms = limits.max_leg_age_ms
        self._max_top_age_ms = limits.max_top_age_ms or NO_LIMIT_MS

    def form(self, terms: Sequence[Terms], ended: dict[str, Winner]) -> Change:
        """Makes the ground anew."""
        change = self.ground.form(terms, ended)
        self.dirty.update(change.legs)
        self.torn.clear()
        self.torn |= {
            token: leg.torn_until_ms for token, leg in self.ground.legs.items() if leg.torn_until_ms
        }
        return change

    def clock(self, at: EntryId) -> Sequence[Live]:
        """The tops of all tokens outside a gap hold as of it."""
        was_stale = self.is_stale(at.ms)
        self.clock_ms = max(self.clock_ms, at.ms)
        if not was_stale:
            return ()
        return [live for live in self.ground.lives.values() if not live.missing and live.total <= live.limit]

    def is_stale(self, now_ms: int) -> bool:
        """Whether no clock entry vouches for tops any more."""
        return now_ms - self.clock_ms > self._max_age_ms

    def top(
        self, at: EntryId, condition_id: str, outcome: int, bid: str, ask: str, ask_size: str
    ) -> Sequence[Live]:
        """A top of a token: prices as the entry spells them, empty where there are none."""
        pair = self.ground.pairs.get(condition_id)
        if pair is None:
            return ()
        leg = pair[outcome]
        if at <= leg.top_at:
            return ()
        self.dirty.add(leg)
        before = leg.top_at
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
            leg.price, leg.size, leg.gapped, leg.doubted_ms = price, size, False, None
            touched = self.ground.reckon(leg)
        elif size != leg.size:
            leg.size = size
            touched = leg.baskets
        elif at.ms - self.clock_ms > self._max_age_ms or at.ms - before.ms > self._max_top_age_ms:
            touched = leg.baskets
        if self.torn and self.torn.pop(leg.token, 0):
            leg.torn_until_ms = 0
            touched = leg.baskets
        other = pair[1 - outcome]
        if other.price != mirrored:
            if not other.gapped and other.token not in self.torn and other.top_at != NEVER:
                other.torn_until_ms = self.torn[other.token] = at.ms + TORN_MS
                self.dirty.add(other)
        elif self.torn and self.torn.pop(other.token, 0):
            other.torn_until_ms = 0
            self.dirty.add(other)
            touched = [*touched, *other.baskets]
        return touched

    def seen(self, at: EntryId, condition_id: str, outcome: int | None) -> Sequence[Live]:
        """A trade or a tick size: the top of the token stands, unless it lies behind a gap."""
        touched: list[Live] = []
        for leg in self.ground.legs_of(condition_id, outcome):
            if not leg.gapped and leg.seen_ms < at.ms:
                leg.seen_ms = at.ms
                self.dirty.add(leg)
                if self.is_stale(at.ms):
                    touched += leg.baskets
        return touched

    def gap(self, at: EntryId, condition_id: str, outcome: int | None, start_ms: int) -> Sequence[Live]:
        """A gap of a token or, with None, of both: they take no part until their next top.

        Args:
            start_ms: since when updates may be missing.
        """
        touched: list[Live] = []
        for leg in self.ground.legs_of(condition_id, outcome):
            if not leg.gapped and leg.top_at < at:
                touched += self._forgotten(leg, start_ms)
        return touched

    def lost(self, condition_id: str) -> Sequence[Live]:
        """Entries of a market went away unread: its tops are not known until the next ones."""
        touched: list[Live] = []
        for leg in self.ground.legs_of(condition_id, None):
            if not leg.gapped and leg.top_at != NEVER:
                touched += self._forgotten(leg, None)
        return touched

    def late_halves(self, now_ms: int) -> Sequence[Leg]:
        """Legs whose other half did not come in time: from now on their own word counts."""
        for until_ms in self.torn.values():
            if until_ms <= now_ms:
                return self._mended(now_ms)
        return ()

    def _mended(self, now_ms: int) -> list[Leg]:
        late = sorted((until_ms, token) for token, until_ms in self.torn.items() if until_ms <= now_ms)
        legs = [self.ground.legs[token] for _, token in late]
        for leg in legs:
            del self.torn[leg.token]
            leg.torn_until_ms = 0
        self.dirty.update(legs)
        return legs

    def _forgotten(self, leg: Leg, start_ms: int | None) -> list[Live]:
        leg.gapped = True
        leg.doubted_ms = start_ms
        leg.torn_until_ms = 0
        self.torn.pop(leg.token, None)
        self.dirty.add(leg)
        return self.ground.reckon(leg)
