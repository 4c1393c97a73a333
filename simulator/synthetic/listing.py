"""The seam between the world (what is listed and what it is worth) and the exchange (who trades it).

The world never looks at a book, the exchange never at a price model. What keeps the venue free of arbitrage:
the fair values of one group are probabilities of one distribution at every moment, and the exchange rests no
bid above and no ask below them. A planted edge is the only exception, and is announced as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Side = Literal["BUY", "SELL"]
Version = Literal["v1", "v2"]
EdgeKind = Literal["negrisk-yes", "negrisk-no", "trio", "reverse-trio", "ladder"]


@dataclass(frozen=True, slots=True)
class Listing:
    """A market as the exchange has to know it; all of it stays as it is until the market resolves.

    Attributes:
        condition_id: 0x and 64 hex digits, as on the socket (ids of protocol v2 end in 00).
        tokens: outcome 0 first.
        outcomes: their names, "Yes" and "No" or "Up" and "Down".
        question, slug: as in Gamma's rows.
        tick_micros: the tick at the listing, millionths of a dollar.
        min_order_size_micros: millionths of a share.
        neg_risk: exactly one market of its event resolves Yes.
        version: the venue's protocol.
        event_id, event_slug: of its event.
        group: markets whose fair values belong to one distribution, and move together.
        weight: its share of all activity, relative to the other open markets.
        fee_rate, fee_exponent: a taker pays shares x rate x (p x (1 - p)) ^ exponent; decimal spelling, "0"
            where there is no fee.
        opens_ms: when it was or is listed, Unix milliseconds; before the start for markets of the start.
        ends_ms: when it settles; None: not in any foreseeable time.
    """

    condition_id: str
    tokens: tuple[str, str]
    outcomes: tuple[str, str]
    question: str
    slug: str
    tick_micros: int
    min_order_size_micros: int
    neg_risk: bool
    version: Version
    event_id: str
    event_slug: str
    group: str
    weight: float
    fee_rate: str
    fee_exponent: str
    opens_ms: int
    ends_ms: int | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A market opened. Its fair value holds from now on."""

    listing: Listing


@dataclass(frozen=True, slots=True)
class Resolved:
    """A market is over; its book is gone after this.

    Attributes:
        winner: index of the winning outcome.
    """

    condition_id: str
    winner: Literal[0, 1]


@dataclass(frozen=True, slots=True)
class FairMoved:
    """Fair values of ONE group moved, all at once.

    Attributes:
        fairs: (condition id, fair value of outcome 0 in millionths, 0 to 1,000,000); those of the group that
            are not named stay as they were.
    """

    group: str
    fairs: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Quote:
    """An order of a planted edge, to rest in the book from now until it is withdrawn.

    It stands strictly beyond the fair value. What it would cross is cancelled before it is placed, nothing is
    placed that would cross it, and nobody takes it. The fair values of its group stand still meanwhile.

    Attributes:
        edge_id: which edge it belongs to; the quotes of an edge come one after the other in one `advance`.
        side, price_micros: in terms of outcome 0: SELL offers outcome 0 below its fair value, BUY at p offers
            outcome 1 at 1 - p.
        until_ms: when it will be withdrawn, if time goes on in small steps; `Withdrawn` is what counts.
    """

    edge_id: int
    condition_id: str
    side: Side
    price_micros: int
    size_micros: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A `Quote` is taken back."""

    edge_id: int
    condition_id: str
    side: Side
    price_micros: int


WorldEvent = Listed | Resolved | FairMoved | Quote | Withdrawn


@dataclass(frozen=True, slots=True)
class EdgeLeg:
    """One purchase of an edge: an ask that the plant put into the book.

    Attributes:
        outcome: index of the token that is bought.
        price_micros, size_micros: of the ask on that token.
    """

    condition_id: str
    token: str
    outcome: int
    price_micros: int
    size_micros: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A planted edge, past or present.

    Attributes:
        legs: what has to be bought, in the order of the tokens' ids.
        from_ms, until_ms: its life.
        size_micros: shares of the smallest leg, down to 0.01.
        payout_micros: what one share of each leg pays in every open interval of the settlement value.
        cost_micros, fees_micros: of `size_micros` shares of each leg; fees are rounded up to 0.00001 a leg.
        net_micros: payout of these shares, less cost and fees.
    """

    edge_id: int
    kind: EdgeKind
    group: str
    legs: tuple[EdgeLeg, ...]
    from_ms: int
    until_ms: int
    size_micros: int
    payout_micros: int
    cost_micros: int
    fees_micros: int
    net_micros: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What the exchange says of a market's outcome 0, for Gamma's rows; None where there is nothing."""

    best_bid_micros: int | None
    best_ask_micros: int | None
    last_trade_micros: int | None
    tick_micros: int


class World(Protocol):
    """What exists, what it is worth, and what happens to it.

    Time is Unix milliseconds and is handed in; the same seed, start and sizes give the same events, however
    the time is cut into calls of `advance`.
    """

    def listings(self) -> list[Listing]:
        """All open markets, the oldest first."""
        ...

    def advance(self, now_ms: int) -> list[WorldEvent]:
        """What happened up to and including `now_ms`, in order; never goes back.

        Every market of these events is known until the next call, also one that was listed and is over already.
        """
        ...

    def next_ms(self) -> int:
        """When something happens next: until then `advance` has nothing to say."""
        ...

    def fair_yes_micros(self, condition_id: str) -> int:
        """The fair value of outcome 0 of a market, millionths; of one that is over, what it paid.

        Raises:
            KeyError: no such market, or it was over a while ago.
        """
        ...

    def activity(self, now_ms: int) -> float:
        """How lively the venue is just now: 1 is the mean, bursts reach 7."""
        ...

    def events(self, look: Callable[[str], Shown]) -> list[dict[str, Any]]:
        """Gamma's events with their markets inside, as they stand; `look` is asked for open markets only."""
        ...

    def new_market(self, condition_id: str, at_ms: int) -> dict[str, Any]:
        """The `new_market` message of a market that is open, or was a short while ago."""
        ...

    def market_resolved(self, condition_id: str, at_ms: int) -> dict[str, Any]:
        """The `market_resolved` message of a market that was resolved a short while ago."""
        ...

    def edges(self) -> list[Edge]:
        """Planted edges, live ones and the latest of those that ended, in the order of their beginning."""
        ...
