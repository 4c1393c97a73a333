"""Ladders ("above") and ranges: one price of one asset at one moment, asked in many markets.

The event's title decides that its markets are such a family, and gives asset and day; its texts give source
and time. Each market then gives its strikes, and is left out where anything it says disagrees.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from marketdata.errors import StrikeError
from marketdata.families.settlement import (
    Rules,
    When,
    asset_name,
    settlement_time,
    spell,
    utc,
    when_of,
    wrong_pair,
)
from marketdata.families.strikes import Asked, Shape, Strike, asked, strike_of_label, strike_of_slug

# An event of a single market has that market's question for a title ("Will ..."), which `asked` reads.
_ASSET: Final = r"(?!will )(?P<asset>[\w$][\w .&'-]*?)"
_TITLES: Final[tuple[tuple[Shape, re.Pattern[str]], ...]] = (
    ("threshold", re.compile(rf"{_ASSET} above (?:_+|\$?[\d,.]+[kmb]?) on (?P<when>.+?)\?", re.I)),
    ("range", re.compile(rf"{_ASSET} price on (?P<when>.+?)\?", re.I)),
)
_SLUG_DAY: Final = re.compile(r"-on-([a-z]+-\d{1,2}(?:-\d{4})?(?:-\d{1,2}(?:am|pm)-et)?)(?:-\d+)*$", re.ASCII)
_SIBLINGS: Final = re.compile(r"([a-z0-9-]+?)-(above|price)-on-([a-z]+-\d.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What all markets of a price family share.

    Attributes:
        shape: of this event or market; ladders and ranges of one settlement are one family.
        asset: "Bitcoin", see `asset_name`.
        source: "Binance BTC/USDT"; empty where nothing says.
        moment: when it settles; None where the texts leave it open.
        problem: why the title's family cannot be used; empty where it can.
    """

    shape: Shape
    asset: str
    source: str
    moment: datetime | None
    problem: str

    @property
    def key(self) -> str:
        """The family's key; empty where source or time is not known, so that nothing is bound by a guess."""
        if not self.source or self.moment is None:
            return ""
        return f"price:{self.asset.lower()}:{self.source}:{spell(self.moment)}"


def title_of_price_event(title: str) -> tuple[Shape, str, str] | None:
    """Shape, asset and day of an event's title; None for events of other kinds.

    "Bitcoin above ___ on March 11?", "Bitcoin price on March 6?", or the question of its only market.
    """
    for shape, pattern in _TITLES:
        if match := pattern.fullmatch(title.strip()):
            return shape, asset_name(match["asset"]), match["when"]
    return title_of_price_market(title)


def title_of_price_market(question: str) -> tuple[Shape, str, str] | None:
    """Shape, asset and day of a market's question; None for markets of other kinds."""
    try:
        asks = asked(question)
    except StrikeError:
        return None
    return (asks.shape, asset_name(asks.asset), asks.when) if asks else None


def settlement_of(
    shape: Shape, asset: str, when: str, *, slugs: tuple[str, ...], rules: tuple[Rules, ...], end: str
) -> Settlement:
    """Puts together what title, slugs and descriptions say, the first one that says something first.

    Args:
        shape, asset, when: from the title.
        slugs: the event's and the market's, for the year.
        rules: the event's and the market's texts.
        end: endDate, ISO.
    """
    source = next((rule.source for rule in rules if rule.source), "")
    clock = next((rule.clock for rule in rules if rule.clock), None)
    try:
        return Settlement(shape, asset, source, settlement_time(_day(when, slugs), clock, utc(end)), "")
    except StrikeError as error:
        return Settlement(shape, asset, source, None, str(error))


def strike_in(settlement: Settlement, question: str, label: str, slug: str, rules: Rules, end: str) -> Strike:
    """The market's strikes, on which everything it says agrees.

    Raises:
        StrikeError: it says something else than its family, or than itself.
    """
    asks = asked(question)
    if asks is None:
        raise StrikeError(f"the question names no strike: {question[:120]!r}")
    _agree_with_family(settlement, asks, slug, rules, end)
    by_slug = strike_of_slug(slug)
    by_label = strike_of_label(label)
    if label.strip() and by_label is None:
        raise StrikeError(f"the label {label[:60]!r} is no strike, the question says {_spell(asks.strike)}")
    for name, said in (("label", by_label), ("slug", by_slug)):
        if said is not None and said != asks.strike:
            raise StrikeError(f"the {name} says {_spell(said)}, the question {_spell(asks.strike)}")
    return asks.strike


def _agree_with_family(settlement: Settlement, asks: Asked, slug: str, rules: Rules, end: str) -> None:
    if settlement.problem:
        raise StrikeError(settlement.problem)
    if asset_name(asks.asset).lower() != settlement.asset.lower():
        raise StrikeError(
            f"the question asks about {asks.asset[:40]!r}, its event about {settlement.asset!r}"
        )
    if asks.shape != settlement.shape:
        raise StrikeError(f"the question asks for a {asks.shape}, its event for a {settlement.shape}")
    if wrong_pair(settlement.asset, rules.base):
        raise StrikeError(f"it settles on {rules.source}, which is no price of {settlement.asset}")
    if rules.objection:
        raise StrikeError(rules.objection)
    if rules.source and rules.source != settlement.source:
        raise StrikeError(f"it settles on {rules.source}, its event on {settlement.source}")
    moment = settlement_time(_day(asks.when, (slug,)), rules.clock, utc(end))
    if moment and settlement.moment and moment != settlement.moment:
        raise StrikeError(f"it settles at {spell(moment)}, its event at {spell(settlement.moment)}")


def _day(when: str, slugs: tuple[str, ...]) -> When:
    """The day of a title, with the year and time that the slugs may add.

    Raises:
        StrikeError: not a day, or a slug names another.
    """
    day = when_of(when)
    for slug in slugs:
        if match := _SLUG_DAY.search(slug):
            other = when_of(match[1])
            if (other.month, other.day) != (day.month, day.day):
                raise StrikeError(f"the title says {when[:40]!r}, the slug {match[1]!r}")
            if other.clock and day.clock and other.clock != day.clock:
                raise StrikeError(f"the title says {when[:40]!r}, the slug {match[1]!r}")
            day = day._replace(year=day.year or other.year, clock=day.clock or other.clock)
    return day


def _spell(strike: Strike) -> str:
    return f"{strike.lower or '...'} to {strike.upper or '...'}"


def sibling_event_slug(slug: str) -> str | None:
    """The slug of the range event beside a ladder event and the other way round; None for other events.

    "bitcoin-above-on-march-11" and "bitcoin-price-on-march-11" are two events and one family.
    """
    match = _SIBLINGS.fullmatch(slug)
    return f"{match[1]}-{'price' if match[2] == 'above' else 'above'}-on-{match[3]}" if match else None
