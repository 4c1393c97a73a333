"""A market as the catalog keeps it, and how it is read from a row of the venue's Gamma API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

import orjson

from marketdata import gamma_fields as gamma
from marketdata.errors import CatalogError
from marketdata.families import FamilyKind, Listing, family_of
from marketdata.gamma_fields import State, Winner
from marketdata.partitions import partition_of

__all__ = ["FeeSchedule", "Market", "State", "Winner", "market_from_gamma"]

FIGURES = ("volume_24h", "liquidity")
"""Fields that move all day and only rank markets; a change of these alone is not a new catalog revision."""


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """A taker's fee is shares x rate x (price x (1 - price)) ^ exponent; numbers in decimal spelling."""

    rate: str
    exponent: str
    taker_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The catalog's record of one market. Strings are empty where the venue says nothing.

    Attributes:
        condition_id: 0x and 64 hex digits.
        tokens, outcomes: two of each, in the same order.
        question, slug, group_item_title: as the venue wrote them.
        event_id, event_slug, event_title: of its event.
        event_size: markets that the venue lists in the event, 0 where it did not list them; a set of fewer
            records is not complete.
        tag_ids: of its event.
        neg_risk, neg_risk_market_id: exactly one market of those with this id resolves Yes.
        neg_risk_augmented, neg_risk_other: outcomes may still be named; this one is the explicit Other.
        tick_size, min_order_size: decimal spelling, "0.01", "5".
        fees_enabled: takers pay a fee; with `fees` None the schedule is not known.
        fees: how much.
        end_date: ISO, nominal.
        version: protocol version, "v1" or "v2".
        state: open (tradable), paused, closed or resolved.
        winner: index of the winning outcome, "split", or None before the resolution.
        volume_24h, liquidity: in dollars, for ranking only.
        family, family_kind: which markets it is bound to, see `marketdata.families`.
        asset, settlement_source, settlement_time: what a price family settles on; time is ISO in UTC.
        lower, upper: strikes in decimal spelling; empty where the interval is open.
        left_out: why it takes no part in its family's logic; empty if it does.
        partition: where its stream lives; never changes once the market is in the catalog.
    """

    condition_id: str
    tokens: tuple[str, str]
    outcomes: tuple[str, str]
    question: str
    slug: str
    group_item_title: str
    event_id: str
    event_slug: str
    event_title: str
    event_size: int
    tag_ids: tuple[str, ...]
    neg_risk: bool
    neg_risk_market_id: str
    neg_risk_augmented: bool
    neg_risk_other: bool
    tick_size: str
    min_order_size: str
    fees_enabled: bool
    fees: FeeSchedule | None
    end_date: str
    version: Literal["v1", "v2"]
    state: State
    winner: Winner | None
    volume_24h: float
    liquidity: float
    family: str
    family_kind: FamilyKind
    asset: str
    settlement_source: str
    settlement_time: str
    lower: str
    upper: str
    left_out: str
    partition: int

    @property
    def tradable(self) -> bool:
        """Whether the venue keeps a live book for it."""
        return self.state == "open"

    def to_json(self) -> bytes:
        """The record as compact JSON, keys in the order of the fields; equal markets give equal bytes."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """Reads what `to_json` wrote. Keys of a newer version are ignored.

        Raises:
            CatalogError: not such a record.
        """
        try:
            row = orjson.loads(data)
            known = {name: row[name] for name in _NAMES}
            for name in ("tokens", "outcomes", "tag_ids"):
                known[name] = tuple(known[name])
            if known["fees"] is not None:
                known["fees"] = FeeSchedule(**known["fees"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise CatalogError(f"not a market record: {type(error).__name__} {str(error)[:80]}") from None
        market = cls(**known)
        if not _well_formed(market):
            raise CatalogError("not a market record: a field has another type than the contract says")
        return market


_NAMES = tuple(field.name for field in fields(Market))


def _well_formed(market: Market) -> bool:
    pair = (market.tokens, market.outcomes)
    return (
        all(len(two) == 2 and all(isinstance(one, str) for one in two) for two in pair)
        and all(isinstance(tag, str) for tag in market.tag_ids)
        and type(market.partition) is int
        and market.winner in (None, 0, 1, "split")
        and market.state in ("open", "paused", "closed", "resolved")
        and all(isinstance(one, str) for one in (market.condition_id, market.tick_size, market.family))
    )


def market_from_gamma(row: Mapping[str, Any], event: Mapping[str, Any] | None, partitions: int) -> Market:
    """Reads one market row of Gamma.

    Args:
        row: from `/markets`, or from an event's `markets`.
        event: the event that held it; None: the row's own `events`, if it has any.
        partitions: the number of partitions.

    Raises:
        CatalogError: the row cannot be used; one line says why.
    """
    if event is None:
        own = row.get("events")
        event = own[0] if isinstance(own, list) and own and isinstance(own[0], Mapping) else {}
    condition_id = gamma.condition_id(row)
    outcomes, tokens = gamma.outcomes(row), gamma.tokens(row)
    state, winner = gamma.state(row)
    neg_risk = gamma.flag(row, "negRisk")
    neg_risk_market_id = gamma.text(row, "negRiskMarketID") or gamma.text(event, "negRiskMarketID")
    augmented = neg_risk and gamma.flag(event, "enableNegRisk") and gamma.flag(event, "negRiskAugmented")
    family = family_of(
        Listing(
            condition_id=condition_id,
            question=gamma.text(row, "question"),
            slug=gamma.text(row, "slug"),
            label=gamma.text(row, "groupItemTitle"),
            description=gamma.text(row, "description"),
            source=gamma.text(row, "resolutionSource"),
            end=gamma.text(row, "endDate"),
            event_id=gamma.text(event, "id"),
            event_slug=gamma.text(event, "slug"),
            event_title=gamma.text(event, "title"),
            event_description=gamma.text(event, "description"),
            event_source=gamma.text(event, "resolutionSource"),
            event_end=gamma.text(event, "endDate"),
            neg_risk=neg_risk,
            neg_risk_market_id=neg_risk_market_id,
            augmented=augmented,
        )
    )
    listed = event.get("markets")
    fees_enabled, fees = _fees(row)
    return Market(
        condition_id=condition_id,
        tokens=tokens,
        outcomes=outcomes,
        question=gamma.text(row, "question"),
        slug=gamma.text(row, "slug"),
        group_item_title=gamma.text(row, "groupItemTitle"),
        event_id=gamma.text(event, "id"),
        event_slug=gamma.text(event, "slug"),
        event_title=gamma.text(event, "title"),
        event_size=len(listed) if isinstance(listed, list) else 0,
        tag_ids=_tag_ids(event) or _tag_ids(row),
        neg_risk=neg_risk,
        neg_risk_market_id=neg_risk_market_id if neg_risk else "",
        neg_risk_augmented=augmented,
        neg_risk_other=gamma.flag(row, "negRiskOther"),
        tick_size=_size(row, "orderPriceMinTickSize", state),
        min_order_size=_size(row, "orderMinSize", state),
        fees_enabled=fees_enabled,
        fees=fees,
        end_date=gamma.text(row, "endDate") or gamma.text(event, "endDate"),
        version=gamma.version(row),
        state=state,
        winner=winner,
        volume_24h=gamma.figure(row, "volume24hr"),
        liquidity=gamma.figure(row, "liquidityNum", "liquidity"),
        family=family.key,
        family_kind=family.kind,
        asset=family.asset,
        settlement_source=family.settlement_source,
        settlement_time=family.settlement_time,
        lower=family.lower,
        upper=family.upper,
        left_out=family.left_out,
        partition=partition_of(family.key, partitions),
    )


def _tag_ids(row: Mapping[str, Any]) -> tuple[str, ...]:
    tags = row.get("tags")
    if not isinstance(tags, list):
        return ()
    return tuple(tag_id for tag in tags if isinstance(tag, Mapping) and (tag_id := gamma.text(tag, "id")))


def _size(row: Mapping[str, Any], name: str, state: State) -> str:
    size = gamma.decimal(row, name)
    if not size and state != "open":
        return ""
    if not size or size.startswith("-") or not size.strip("0."):
        raise CatalogError(f"{name} of an open market is {size or 'missing'}")
    return size


def _fees(row: Mapping[str, Any]) -> tuple[bool, FeeSchedule | None]:
    """Whether takers pay, and how much. The base fees of a row are signing parameters, not the fee."""
    schedule = row.get("feeSchedule")
    if row.get("feesEnabled") is False or (not isinstance(schedule, Mapping) and not row.get("feesEnabled")):
        return False, None
    if not isinstance(schedule, Mapping):
        return True, None
    rate, exponent = gamma.decimal(schedule, "rate"), gamma.decimal(schedule, "exponent")
    if not rate or not exponent:
        return True, None
    return True, FeeSchedule(rate, exponent, schedule.get("takerOnly") is not False)
