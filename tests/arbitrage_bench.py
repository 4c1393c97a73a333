"""A place to try the arbitrage engine: markets of terms, and a hand that writes their entries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from consumers.arbitrage.engine import Engine
from consumers.arbitrage.evaluate import Limits
from consumers.arbitrage.judge import Found
from consumers.arbitrage.terms import Terms
from marketdata.decimals import from_micros, to_micros
from marketdata.entries import EntryId
from marketdata.market import FeeSchedule, Winner

START_MS = 1_795_000_000_000
LIMITS = Limits.of(Decimal(5), Decimal(0), 1_000, 3_000)
FAMILY = "price:bitcoin:Binance BTC/USDT:2026-11-30T17:00:00Z"
CRYPTO = FeeSchedule("0.07", "1", True)


def terms(name: str, **changed: Any) -> Terms:
    """An open binary market of its own event."""
    digits = str(int(hashlib.sha256(name.encode()).hexdigest(), 16))[:70]
    plain: dict[str, Any] = {
        "condition_id": "0x" + hashlib.sha256(name.encode()).hexdigest(),
        "tokens": (f"1{digits}", f"2{digits}"),
        "event_slug": f"event-{name}",
        "event_size": 1,
        "neg_risk_market_id": "",
        "neg_risk_augmented": False,
        "min_order_size": "5",
        "fees_enabled": False,
        "fees": None,
        "state": "open",
        "winner": None,
        "family": f"event:{name}",
        "family_kind": "event",
        "lower": "",
        "upper": "",
        "left_out": "",
    }
    return Terms(**(plain | changed))


def above(strike: str, name: str = "", **changed: Any) -> Terms:
    """Above a strike."""
    return terms(
        f"above {strike} {name}",
        family=FAMILY,
        family_kind="threshold",
        lower=strike,
        event_slug="above",
        **changed,
    )


def bucket(lower: str, upper: str, name: str = "", **changed: Any) -> Terms:
    """Between two strikes; empty where open. No neg-risk set, so that price baskets stand alone."""
    return terms(
        f"bucket {lower} {upper} {name}",
        family=FAMILY,
        family_kind="range",
        lower=lower,
        upper=upper,
        event_slug="price",
        **changed,
    )


def contest(names: str, **changed: Any) -> list[Terms]:
    """A neg-risk event with a market a letter."""
    return [
        terms(
            f"contest {name}",
            family="event:contest",
            family_kind="neg-risk",
            event_slug="contest",
            event_size=len(names),
            neg_risk_market_id="0xcontest",
            **changed,
        )
        for name in names
    ]


class Hand:
    """Writes entries to an engine, a millisecond apart unless told otherwise.

    Attributes:
        found: everything that came out.
    """

    def __init__(self, markets: Iterable[Terms], limits: Limits = LIMITS, *, clock: bool = True) -> None:
        self.engine = Engine(limits)
        self.engine.adopt("1-0", sorted(markets, key=lambda one: one.condition_id))
        self.ms = START_MS
        self.n = 0
        self.found: list[Found] = []
        if clock:
            self.clock()

    def at(self, later_ms: int) -> EntryId:
        self.ms += later_ms
        self.n += 1
        return EntryId(self.ms, self.n)

    def ask(
        self,
        market: Terms,
        outcome: int,
        price: str,
        size: str = "100",
        *,
        later_ms: int = 1,
        bid: str | None = None,
    ) -> list[Found]:
        """A top with this best ask; its bid is what the other token's ask says, so that both agree."""
        pair = self.engine.ground.pairs.get(market.condition_id)
        other = pair[1 - outcome] if pair else None
        mirrored = from_micros(1_000_000 - other.price) if other is not None and other.price else ""
        return self._took(
            self.engine.top(
                self.at(later_ms),
                market.condition_id,
                outcome,
                mirrored if bid is None else bid,
                price,
                size if price else "",
            )
        )

    def clock(self, *, later_ms: int = 1) -> list[Found]:
        return self._took(self.engine.clock(self.at(later_ms)))

    def gap(self, market: Terms, outcome: int | None, *, later_ms: int = 1, back_ms: int = 0) -> list[Found]:
        """Updates may be missing for so long already."""
        at = self.at(later_ms)
        return self._took(self.engine.gap(at, market.condition_id, outcome, at.ms - back_ms))

    def trade(self, market: Terms, outcome: int, *, later_ms: int = 1) -> list[Found]:
        return self._took(self.engine.seen(self.at(later_ms), market.condition_id, outcome))

    def resolved(self, market: Terms, winner: Winner, *, later_ms: int = 1) -> list[Found]:
        return self._took(self.engine.resolved(self.at(later_ms), market.condition_id, winner))

    def _took(self, found: list[Found]) -> list[Found]:
        self.found += found
        return found


def said(found: Iterable[Found]) -> list[str]:
    """Action, kind and reason of each, in few words."""
    return [
        " ".join(filter(None, (one.opportunity.action, one.opportunity.kind, one.opportunity.reason)))
        for one in found
    ]


def micros(text: str) -> int:
    """Shorter to read in tests."""
    return to_micros(text)
