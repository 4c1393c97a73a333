"""The engine of one partition: entries in, opportunities out. Pure and deterministic.

Time is the entries'; nothing here reads a clock, draws a number or looks at the order of a set. Equal entries and
equal adoptions of the catalog give equal opportunities, whatever the batches they come in.

An entry touches the baskets of its token and no others. Exceptions, each rare and bounded: what the catalog or a
resolution changed, a cooldown that ended, legs that grow stale or fresh again because the clock stopped or
came back, and legs of what is open whose own top grows too old.
"""

from __future__ import annotations

from collections.abc import Sequence

from consumers.arbitrage.baskets import Basket
from consumers.arbitrage.evaluate import Limits, Live, Opening
from consumers.arbitrage.judge import Found, Judge
from consumers.arbitrage.legs import NEVER
from consumers.arbitrage.quotes import Quotes
from consumers.arbitrage.terms import Terms
from marketdata.entries import EntryId
from marketdata.market import Winner


class Engine:
    """The state of one partition.

    Attributes:
        handled: id of the last entry.
        terms: of the catalog in force.
        ended: how markets ended, as their streams told.
        quotes: its legs, as the entries tell them; ground: they and their baskets.
        judge: what is open, and what waits.
        late: entries that came behind their time.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.handled = NEVER
        self.terms: list[Terms] = []
        self.ended: dict[str, Winner] = {}
        self.quotes = Quotes(limits)
        self.ground = self.quotes.ground
        self.judge = Judge(limits, self.quotes, self.ended)
        self.late = 0
        self.dirty_markets: set[str] = set()

    @property
    def revision(self) -> str:
        """Of the catalog in force."""
        return self.judge.revision

    @property
    def open_count(self) -> int:
        """How many opportunities are open."""
        return self.judge.open_count

    def adopt(self, revision: str, terms: Sequence[Terms]) -> None:
        """From the next entry on, the catalog is this one."""
        self.judge.revision = revision
        self.terms = list(terms)
        known = {one.condition_id for one in terms}
        for condition_id in [one for one in self.ended if one not in known]:
            del self.ended[condition_id]
            self.dirty_markets.add(condition_id)
        self._form()

    def clock(self, at: EntryId) -> list[Found]:
        """A clock entry: the tops of all tokens outside a gap hold as of it."""
        if self._comes_in_turn(at):
            return self.judge.opinion(at, self.quotes.clock(at))
        self.judge.later(self.handled.ms, ())
        return []

    def top(
        self, at: EntryId, condition_id: str, outcome: int, bid: str, ask: str, ask_size: str
    ) -> list[Found]:
        """A top of a token: prices as the entry spells them, empty where there are none."""
        return self._told(at, self.quotes.top(at, condition_id, outcome, bid, ask, ask_size))

    def seen(self, at: EntryId, condition_id: str, outcome: int | None) -> list[Found]:
        """A trade or a tick size: the top of the token stands, unless it lies behind a gap."""
        return self._told(at, self.quotes.seen(at, condition_id, outcome))

    def gap(self, at: EntryId, condition_id: str, outcome: int | None, start_ms: int) -> list[Found]:
        """A gap of a token or, with None, of both: they take no part until their next top.

        Args:
            start_ms: since when updates may be missing, Unix milliseconds; 0 where that is not known.
        """
        return self._told(at, self.quotes.gap(at, condition_id, outcome, start_ms))

    def resolved(self, at: EntryId, condition_id: str, winner: Winner) -> list[Found]:
        """A market ended."""
        if condition_id in self.ground.pairs and condition_id not in self.ended:
            self.ended[condition_id] = winner
            self.dirty_markets.add(condition_id)
            self._form()
        return self._told(at, ())

    def lost(self, condition_id: str) -> None:
        """Entries of a market went away unread: its tops are not known until the next ones."""
        self.judge.later(self.handled.ms, self.quotes.lost(condition_id))

    def lost_all(self) -> None:
        """Entries of any market may have gone by unseen."""
        for condition_id in self.ground.pairs:
            self.lost(condition_id)

    def restored(self, openings: Sequence[tuple[Basket, Opening]]) -> None:
        """Goes on from a past whose other parts were put back into the public attributes."""
        self._form()
        self.judge.restored(openings)
        self.quotes.dirty.clear()
        self.judge.dirty.clear()
        self.dirty_markets.clear()

    def _told(self, at: EntryId, touched: Sequence[Live]) -> list[Found]:
        """An entry that does not come in its turn changes the state, and is judged with the next."""
        if self._comes_in_turn(at):
            return self.judge.opinion(at, touched)
        self.judge.later(self.handled.ms, touched)
        return []

    def _comes_in_turn(self, at: EntryId) -> bool:
        if at <= self.handled:
            self.late += 1
            return False
        self.handled = at
        return True

    def _form(self) -> None:
        self.judge.reform(self.quotes.form(self.terms, self.ended))
