"""What a discovery found, whether it asked Gamma or read a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from marketdata import gamma_fields
from marketdata.errors import CatalogError
from marketdata.market import Market, State, Winner, market_from_gamma


@dataclass(frozen=True, slots=True)
class Discovered:
    """The markets of one refresh.

    Attributes:
        markets: each condition id once; closed markets of open events are among them.
        refused: (id, reason) of rows that could not be used and of filters that matched nothing.
        complete: False where the reading stopped because it had enough; what is missing may still exist.
    """

    markets: list[Market]
    refused: list[tuple[str, str]]
    complete: bool = True


class Resolution(NamedTuple):
    """How a market ended: closed with the result still open, or resolved with its winner."""

    state: State
    winner: Winner | None


@dataclass(frozen=True, slots=True)
class Resolutions:
    """Markets that are over, by condition id, and (id, reason) of rows that could not be read."""

    over: dict[str, Resolution]
    refused: list[tuple[str, str]]


class Discovery(Protocol):
    """Where markets come from."""

    async def fetch(self) -> Discovered:
        """All markets that may be followed.

        Raises:
            DiscoveryError: nothing could be read; what is known stays in use.
        """
        ...

    async def resolutions(self, condition_ids: Iterable[str]) -> Resolutions:
        """Which of these markets are over.

        Raises:
            DiscoveryError: nothing could be read; ask again later.
        """
        ...


@dataclass(slots=True)
class Gathering:
    """Takes Gamma's rows one by one and keeps each market once, the newest row of it."""

    partitions: int
    markets: dict[str, Market] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    trading: int = 0
    _owners: dict[str, str] = field(default_factory=dict)

    def add_events(self, events: Iterable[Any]) -> None:
        """Takes events; a page of the venue takes some ten milliseconds, so callers use a thread for it."""
        for event in events:
            self.add_event(event)

    def add_event(self, event: Any) -> None:
        """Takes an event with the markets inside it."""
        if not isinstance(event, Mapping):
            self.refuse("?", f"an event is not an object: {str(event)[:40]!r}")
            return
        rows = event.get("markets")
        if not isinstance(rows, list):
            self.refuse(_name(event), "the event has no list of markets")
            return
        for row in rows:
            self.add_market(row, event)

    def add_market(self, row: Any, event: Mapping[str, Any] | None = None) -> None:
        """Takes one market row; without `event` the row's own `events` count."""
        if not isinstance(row, Mapping):
            self.refuse("?", f"a market is not an object: {str(row)[:40]!r}")
            return
        try:
            market = market_from_gamma(row, event, self.partitions)
            self._own(market)
        except CatalogError as error:
            self.refuse(_name(row), str(error))
            return
        before = self.markets.get(market.condition_id)
        self.trading += market.tradable - (before.tradable if before else 0)
        self.markets[market.condition_id] = market

    def refuse(self, name: str, reason: str) -> None:
        """Notes what was left out, and why."""
        self.refused[name] = reason

    def done(self, complete: bool = True) -> Discovered:
        """What was gathered."""
        return Discovered(list(self.markets.values()), list(self.refused.items()), complete)

    def _own(self, market: Market) -> None:
        for token in market.tokens:
            owner = self._owners.setdefault(token, market.condition_id)
            if owner != market.condition_id:
                raise CatalogError(f"its token {token} belongs to market {owner} already")


def resolution_of(row: Any) -> tuple[str, Resolution] | None:
    """Condition id and end of a market row; None while it is not closed.

    Raises:
        CatalogError: the row cannot be read.
    """
    if not isinstance(row, Mapping):
        raise CatalogError(f"a market is not an object: {str(row)[:40]!r}")
    condition_id = gamma_fields.condition_id(row)
    state, winner = gamma_fields.state(row)
    return (condition_id, Resolution(state, winner)) if state in ("closed", "resolved") else None


def _name(row: Mapping[str, Any]) -> str:
    names = (gamma_fields.text(row, name) for name in ("conditionId", "slug", "id"))
    return next((name[:120] for name in names if name), "?")
