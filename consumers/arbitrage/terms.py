"""What the engine needs to know of a market, and nothing that changes without meaning to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import orjson

from consumers.arbitrage.fees import Fees, fees_of
from marketdata.decimals import to_micros
from marketdata.errors import CatalogError, DecimalError
from marketdata.families import FamilyKind
from marketdata.market import FeeSchedule, Market, State, Winner

_OVER: Final = ("closed", "resolved")


@dataclass(frozen=True, slots=True)
class Terms:
    """A market's terms; a change of any of them is a change of the catalog for the engine.

    Attributes:
        condition_id, tokens, event_slug, event_size, neg_risk_market_id, neg_risk_augmented, min_order_size,
            fees_enabled, fees, state, winner, family, family_kind, lower, upper, left_out: see `Market`.
        told: whether its end is told by its stream: `state` and `winner` are then not believed. A catalog read
            after the fact says of all times how a market ended.
    """

    condition_id: str
    tokens: tuple[str, str]
    event_slug: str
    event_size: int
    neg_risk_market_id: str
    neg_risk_augmented: bool
    min_order_size: str
    fees_enabled: bool
    fees: FeeSchedule | None
    state: State
    winner: Winner | None
    family: str
    family_kind: FamilyKind
    lower: str
    upper: str
    left_out: str
    told: bool = False

    @classmethod
    def of(cls, market: Market) -> Self:
        """The terms of a record of the catalog."""
        return cls(
            condition_id=market.condition_id,
            tokens=market.tokens,
            event_slug=market.event_slug,
            event_size=market.event_size,
            neg_risk_market_id=market.neg_risk_market_id,
            neg_risk_augmented=market.neg_risk_augmented,
            min_order_size=market.min_order_size,
            fees_enabled=market.fees_enabled,
            fees=market.fees,
            state=market.state,
            winner=market.winner,
            family=market.family,
            family_kind=market.family_kind,
            lower=market.lower,
            upper=market.upper,
            left_out=market.left_out,
        )

    @property
    def tradable(self) -> bool:
        """Whether its tokens can be bought, as far as the catalog is believed."""
        return self.state == "open" or self.told

    @property
    def outcome(self) -> Winner | None:
        """How it ended, as far as the catalog is believed."""
        return None if self.told else self.winner

    @property
    def is_price(self) -> bool:
        """Whether it asks about a price, and takes part in its family's logic."""
        if self.left_out:
            return False
        return bool(self.lower) if self.family_kind == "threshold" else self.family_kind == "range"

    def excluded(self) -> Self:
        """The same market with no part in anything; the set of its event is not whole without it."""
        return replace(self, state="paused", winner=None, told=False)

    def refusal(self) -> str:
        """Why none of its tokens can be a leg; empty if they can."""
        fees = fees_of(self.fees_enabled, self.fees)
        if isinstance(fees, str):
            return fees
        try:
            to_micros(self.min_order_size or "0")
        except DecimalError as error:
            return f"its minimum order cannot be read ({error})"
        return ""

    def fee_terms(self) -> Fees:
        """Its fees.

        Raises:
            CatalogError: `refusal` says why.
        """
        fees = fees_of(self.fees_enabled, self.fees)
        if isinstance(fees, str):
            raise CatalogError(f"{self.condition_id}: {fees}")
        return fees


def dump(terms: Iterable[Terms]) -> bytes:
    """As JSON, in the order of the condition ids; equal terms give equal bytes."""
    return orjson.dumps(sorted(terms, key=lambda one: one.condition_id))


def load(data: bytes) -> list[Terms]:
    """Reads what `dump` wrote.

    Raises:
        CatalogError: not such terms.
    """
    try:
        rows: list[dict[str, Any]] = orjson.loads(data)
        return [_load(row) for row in rows]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise CatalogError(
            f"recorded terms of markets cannot be read ({type(error).__name__} {str(error)[:80]});"
            " were they written by another version?"
        ) from None


def _load(row: dict[str, Any]) -> Terms:
    row["tokens"] = tuple(row["tokens"])
    if row["fees"] is not None:
        row["fees"] = FeeSchedule(**row["fees"])
    return Terms(**row)


def renewed(old: Sequence[Terms], read: Iterable[Terms], streamed: frozenset[str]) -> list[Terms]:
    """The terms in force after the catalog was read again, in the order of the condition ids.

    Args:
        old: those in force until now.
        read: what the catalog says now.
        streamed: markets whose streams hold entries. One of them that is already over when it is first seen has
            a stream that tells of its life and end, see `Terms.told`.
    """
    known = {one.condition_id: one for one in old}
    found = {one.condition_id: one for one in read}
    for condition_id, terms in found.items():
        before = known.get(condition_id)
        if before is None:
            told = terms.state in _OVER and condition_id in streamed
        else:
            told = before.told and replace(before, told=False) == terms
        found[condition_id] = replace(terms, told=told)
    events = {one.neg_risk_market_id for one in found.values() if one.neg_risk_market_id}
    for condition_id, before in known.items():
        # The catalog forgets markets that are over; an event would be incomplete without those that are out.
        if condition_id not in found and before.winner == 1 and before.neg_risk_market_id in events:
            found[condition_id] = before
    return sorted(found.values(), key=lambda one: one.condition_id)
