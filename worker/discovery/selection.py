"""Which of the discovered markets are followed: whole families only, the busiest first.

A family is taken whole or left out whole, because its logic needs all of its markets. Markets of a chosen
family that do not trade (paused, closed, resolved) are recorded in the catalog without being subscribed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from marketdata.market import Market
from marketdata.venue import padded_condition_id
from worker.sharding import markets_a_connection

FOLLOWED_WEIGHT: Final = 1.5
"""A family that is followed gives way only to one that is busier by this factor; each change costs gaps."""

NAMED: Final = 5
"""So many left-out families are named in a summary line."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which families to follow; without any of the first three: all.

    Attributes:
        tag_ids, event_slugs, condition_ids: a family is chosen if one of its markets has one of these.
        min_volume_24h, min_liquidity: in dollars, of the whole family; both must be reached.
    """

    tag_ids: frozenset[str] = frozenset()
    event_slugs: frozenset[str] = frozenset()
    condition_ids: frozenset[str] = frozenset()
    min_volume_24h: float = 0.0
    min_liquidity: float = 0.0

    @property
    def names_any(self) -> bool:
        """Whether tags, events or markets are named at all."""
        return bool(self.tag_ids or self.event_slugs or self.condition_ids)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be followed at once, as in the settings of the same names."""

    max_markets: int
    max_connections: int
    tokens_per_connection: int

    @property
    def markets(self) -> int:
        """The smaller of MAX_MARKETS and what the connections carry."""
        return min(self.max_markets, self.max_connections * markets_a_connection(self.tokens_per_connection))


@dataclass(frozen=True, slots=True)
class Selection:
    """What is followed.

    Attributes:
        followed: trading markets to subscribe, the busiest family first, a family's markets side by side.
        recorded: the other markets of the same families, for the catalog.
        left_out: lines for the log: what was left out and what it would take; empty if nothing was.
    """

    followed: tuple[Market, ...]
    recorded: tuple[Market, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Family:
    key: str
    markets: tuple[Market, ...]
    trading: int
    volume_24h: float
    liquidity: float

    @property
    def events(self) -> int:
        return len({market.event_id or market.condition_id for market in self.markets})

    @property
    def name(self) -> str:
        first = self.markets[0]
        return first.event_slug or first.slug or first.condition_id


def select(
    markets: Iterable[Market], filters: Filters, limits: Limits, followed: Collection[str] = ()
) -> Selection:
    """Chooses whole families by 24 h volume within the limits.

    Args:
        markets: everything discovered; one named twice counts once.
        filters: see `Filters`.
        limits: see `Limits`.
        followed: condition ids that are followed now; their families give way less easily.
    """
    families = _families(markets)
    wanted = [family for family in families if family.trading and _passes(family, filters)]
    now = frozenset(followed)
    wanted.sort(key=lambda family: (-_rank(family, now), family.key))
    taken, skipped, room = [], [], limits.markets
    for family in wanted:
        if family.trading <= room:
            taken.append(family)
            room -= family.trading
        else:
            skipped.append(family)
    chosen = [market for family in taken for market in family.markets]
    return Selection(
        followed=tuple(market for market in chosen if market.tradable),
        recorded=tuple(market for market in chosen if not market.tradable),
        left_out=tuple(_summary(taken, skipped, limits)),
    )


def _families(markets: Iterable[Market]) -> list[_Family]:
    by_key: dict[str, list[Market]] = {}
    for market in {market.condition_id: market for market in markets}.values():
        by_key.setdefault(market.family, []).append(market)
    return [
        _Family(
            key,
            tuple(members),
            trading=sum(market.tradable for market in members),
            volume_24h=sum(market.volume_24h for market in members),
            liquidity=sum(market.liquidity for market in members),
        )
        for key, members in by_key.items()
    ]


def _passes(family: _Family, filters: Filters) -> bool:
    if family.volume_24h < filters.min_volume_24h or family.liquidity < filters.min_liquidity:
        return False
    if not filters.names_any:
        return True
    ids = {padded_condition_id(one) for one in filters.condition_ids}
    return any(
        market.condition_id in ids
        or market.event_slug in filters.event_slugs
        or not filters.tag_ids.isdisjoint(market.tag_ids)
        for market in family.markets
    )


def _rank(family: _Family, followed: frozenset[str]) -> float:
    stays = any(market.condition_id in followed for market in family.markets)
    return family.volume_24h * (FOLLOWED_WEIGHT if stays else 1.0)


def _summary(taken: Sequence[_Family], skipped: Sequence[_Family], limits: Limits) -> Iterable[str]:
    if not skipped:
        return
    per_connection = markets_a_connection(limits.tokens_per_connection)
    all_markets = sum(family.trading for family in (*taken, *skipped))
    limit = (
        f"MAX_MARKETS={limits.max_markets}"
        if limits.max_markets <= limits.max_connections * per_connection
        else f"MAX_CONNECTIONS={limits.max_connections} with "
        f"TOKENS_PER_CONNECTION={limits.tokens_per_connection}"
    )
    yield (
        f"{sum(family.trading for family in skipped)} markets of "
        f"{sum(family.events for family in skipped)} events left out: {limit}; "
        f"all would need MAX_MARKETS={max(all_markets, limits.max_markets)} and "
        f"MAX_CONNECTIONS={max(ceil(all_markets / per_connection), limits.max_connections)}"
    )
    names = ", ".join(f"{family.name} ({family.trading})" for family in skipped[:NAMED])
    more = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
    yield f"the busiest families left out whole (markets): {names}{more}"
    for family in [family for family in skipped if family.trading > limits.markets][:NAMED]:
        yield (
            f"family {family.name} has {family.trading} trading markets, more than the limit of "
            f"{limits.markets} by itself"
        )
