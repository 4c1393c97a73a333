"""A small writer of market streams for tests of readers: made-up markets, legal entries, wake-ups."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import redis

from marketdata.entries import Entry, EntryId, GapCause, Kind, gap_note
from marketdata.keys import Keys
from marketdata.market import Market, market_from_gamma
from simulator.synthetic.listing import Shown
from simulator.synthetic.world import SyntheticWorld

FIRST_MS = 1_700_000_000_000


@cache
def demo_markets() -> tuple[Market, ...]:
    """Twelve markets of a synthetic world."""
    world = SyntheticWorld(1, FIRST_MS, markets=12)
    events = world.events(lambda _: Shown(None, None, None, 10_000))
    return tuple(market_from_gamma(row, event, 64) for event in events for row in event["markets"])


class StreamWriter:
    """Writes as a worker does: one rising id counter, a seq a token, a wake-up an entry.

    Attributes:
        markets: the first `count` of the demo; in the catalog from the start.
    """

    def __init__(self, client: redis.Redis, prefix: str = "", count: int = 3) -> None:
        self.client = client
        self.keys = Keys(prefix)
        self.markets = demo_markets()[:count]
        self.ms = FIRST_MS
        self.gen = 1
        self._seq: dict[tuple[str, int], int] = {}
        for market in self.markets:
            self.list_market(market)

    def list_market(self, market: Market) -> None:
        """Puts a market into the catalog."""
        self.client.hset(self.keys.catalog, market.condition_id, market.to_json())
        self.client.xadd(self.keys.catalog_log, {"id": market.condition_id, "why": "new"})

    def key(self, market: Market) -> str:
        """The market's stream."""
        return self.keys.book(market.partition, market.condition_id)

    def top(self, market: Market, outcome: int = 0, *, lost: int = 0, **changes: object) -> EntryId:
        """Writes a top; `lost` entries before it are counted and never written."""
        seq = self._seq.get((market.condition_id, outcome), 0) + 1 + lost
        self._seq[market.condition_id, outcome] = seq
        return self.add(market, self.entry("top", outcome, seq, **changes))

    def gap(self, market: Market, outcome: int | None, cause: GapCause = "disconnect") -> EntryId:
        """Writes a gap; a new generation begins."""
        self.gen += 1
        tokens = (0, 1) if outcome is None else (outcome,)
        seq = max(self._seq.get((market.condition_id, one), 0) for one in tokens)
        return self.add(market, self.entry("gap", outcome, seq, note=gap_note(cause, self.ms * 1000, "w1")))

    def entry(self, kind: Kind, outcome: int | None, seq: int, **changes: object) -> Entry:
        """An entry of this moment."""
        quoted = kind == "top"
        plain = Entry(
            kind=kind,
            outcome=outcome,
            bid="0.48" if quoted else "",
            bid_size="30" if quoted else "",
            ask="0.52" if quoted else "",
            ask_size="25.5" if quoted else "",
            venue_ms=self.ms,
            recv_us=self.ms * 1000,
            gen=self.gen,
            seq=seq,
            skipped=0,
            note="",
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def add(self, market: Market, entry: Entry, entry_id: EntryId | None = None) -> EntryId:
        """Writes an entry under the next id, or the one given, and wakes its partition."""
        self.ms += 1
        entry_id = entry_id or EntryId(self.ms, 0)
        self.client.xadd(self.key(market), entry.to_fields(), id=str(entry_id))  # type: ignore[arg-type]
        self.client.publish(self.keys.wake(market.partition), "")
        return entry_id
