"""From what the venue says of a market to the family it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marketdata.errors import StrikeError
from marketdata.families.price import (
    Settlement,
    settlement_of,
    sibling_event_slug,
    strike_in,
    title_of_price_event,
    title_of_price_market,
)
from marketdata.families.settlement import Rules, rules_of, spell
from marketdata.families.strikes import Shape, Strike

__all__ = ["Family", "FamilyKind", "Listing", "family_of", "sibling_event_slug"]

FamilyKind = Literal["threshold", "range", "neg-risk", "event", "market"]

AUGMENTED = "the event can still name outcomes (augmented), so its set is never complete"


@dataclass(frozen=True, slots=True)
class Listing:
    """What the venue says of a market, as far as families go; strings are empty where it says nothing.

    Attributes:
        condition_id: 0x and 64 hex digits.
        question, slug, label, description, source, end: the market's; label is groupItemTitle, source is
            resolutionSource, end is endDate.
        event_id, event_slug, event_title, event_description, event_source, event_end: its event's.
        neg_risk: exactly one market of the event resolves Yes.
        neg_risk_market_id: shared by the markets of that event.
        augmented: outcomes may still be named.
    """

    condition_id: str
    question: str = ""
    slug: str = ""
    label: str = ""
    description: str = ""
    source: str = ""
    end: str = ""
    event_id: str = ""
    event_slug: str = ""
    event_title: str = ""
    event_description: str = ""
    event_source: str = ""
    event_end: str = ""
    neg_risk: bool = False
    neg_risk_market_id: str = ""
    augmented: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """Where a market belongs.

    Attributes:
        key: the same for all markets that are bound by logic, and for all markets of an event that itself
            says what it settles on.
        kind: threshold and range may share a key.
        asset, settlement_source: of price families; empty for others or where nothing says.
        settlement_time: ISO in UTC; empty likewise.
        lower, upper: strikes as decimal strings; empty where the interval is open or there is none.
        left_out: why the market takes no part in its family's logic; empty if it does.
    """

    key: str
    kind: FamilyKind
    asset: str = ""
    settlement_source: str = ""
    settlement_time: str = ""
    lower: str = ""
    upper: str = ""
    left_out: str = ""


def family_of(listing: Listing) -> Family:
    """The family of a market, decided by titles, never by how many markets an event has.

    A market whose strikes or settlement disagree keeps its event's key (the event's markets stay in one
    partition) and says in `left_out` why it takes no part.
    """
    title = _price_title(listing)
    if title is None:
        kind: FamilyKind = "neg-risk" if listing.neg_risk else "event" if listing.event_id else "market"
        return Family(_plain_key(listing), kind, left_out=AUGMENTED if listing.augmented else "")
    own = rules_of(listing.description, listing.source)
    settlement = _settlement(listing, title, own)
    strike, left_out = Strike("", ""), ""
    try:
        strike = strike_in(settlement, listing.question, listing.label, listing.slug, own, listing.end)
    except StrikeError as error:
        left_out = str(error)
    return Family(
        key=settlement.key or _plain_key(listing),
        kind=settlement.shape,
        asset=settlement.asset,
        settlement_source=settlement.source,
        settlement_time=spell(settlement.moment) if settlement.moment else "",
        lower=strike.lower,
        upper=strike.upper,
        left_out=left_out or (AUGMENTED if listing.augmented else ""),
    )


def _price_title(listing: Listing) -> tuple[Shape, str, str] | None:
    """Shape, asset and day by the event's title, or by the question of a market that comes without one."""
    if listing.event_id:
        return title_of_price_event(listing.event_title)
    return title_of_price_market(listing.question)


def _settlement(listing: Listing, title: tuple[Shape, str, str], own: Rules) -> Settlement:
    if not listing.event_id:
        return settlement_of(*title, slugs=(listing.slug,), rules=(own,), end=listing.end)
    return settlement_of(
        *title,
        slugs=(listing.event_slug,),
        rules=(rules_of(listing.event_description, listing.event_source), own),
        end=listing.event_end or listing.end,
    )


def _plain_key(listing: Listing) -> str:
    if listing.event_id:
        return f"event:{listing.event_id}"
    if listing.neg_risk and listing.neg_risk_market_id:
        return f"neg-risk:{listing.neg_risk_market_id}"
    return f"market:{listing.condition_id}"
