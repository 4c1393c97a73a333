"""What all groups of markets share: names and ids, the agenda, what is open, what it is worth. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any, Final, Literal

from marketdata.decimals import MICROS
from simulator.synthetic.agenda import Agenda
from simulator.synthetic.categories import Category
from simulator.synthetic.groups import Group
from simulator.synthetic.listing import (
    FairMoved,
    Listed,
    Listing,
    Resolved,
    Shown,
    Version,
    WorldEvent,
)
from simulator.synthetic.records import EventRecord, MarketRecord, event_row

KEEP_CLOSED_MS: Final = 15 * 60_000
"""How long Gamma still shows an event that is over, here."""

MIN_ORDER_MICROS: Final = 5_000_000

LEAST_MOVE_MS: Final = 250
MOST_MOVE_MS: Final = 60_000
"""Bounds of the mean time between two moves of a group's fair values."""

_TOKEN_FLOORS: Final[Mapping[Version, int]] = {"v1": 10**76, "v2": 10**74}


class Stage:
    """The state of the world.

    Args:
        seed: everything random comes from it.
        start_ms: Unix milliseconds.
        moves_per_s: how often fair values move, over all groups.
    """

    def __init__(self, seed: int, start_ms: int, moves_per_s: float) -> None:
        self.seed = seed
        self.start_ms = start_ms
        self.agenda = Agenda()
        self.groups: dict[str, Group] = {}
        self.fairs: dict[str, int] = {}
        self._moves_per_s = moves_per_s
        self._total_weight = 1.0
        self._open: dict[str, MarketRecord] = {}
        self._known: dict[str, MarketRecord] = {}
        self._events: dict[str, EventRecord] = {}
        self._outdated: list[EventRecord] = []
        self._frozen_until_ms: dict[str, int] = {}
        self._serial = 0
        self._event_serial = 0
        self._slugs: set[tuple[str, str]] = set()

    def random(self, name: str) -> Random:
        """A source of its own for whoever has this name, so that nobody's draws move another's."""
        return Random(f"{self.seed} {name}")

    def weigh(self, total_weight: float) -> None:
        """Says what the weights of all groups sum to, so that weights are shares from now on."""
        self._total_weight = total_weight

    def move_interval_ms(self, weight: float) -> float:
        """The mean time between two moves of a group of this weight."""
        a_second = self._moves_per_s * weight / self._total_weight
        return min(max(1000.0 / a_second, LEAST_MOVE_MS), MOST_MOVE_MS) if a_second else MOST_MOVE_MS

    def event(
        self,
        slug: str,
        title: str,
        description: str,
        category: Category,
        *,
        opens_ms: int,
        ends_ms: int | None,
        neg_risk: bool = False,
        **more: Any,
    ) -> EventRecord:
        """A new event without markets; every fourth one is of protocol v2."""
        self._event_serial += 1
        serial = self._event_serial
        event = EventRecord(
            event_id=str(900_000 + serial),
            slug=self._unique("event", slug),
            title=title,
            description=description,
            category=category,
            opens_ms=opens_ms,
            ends_ms=ends_ms,
            version="v2" if serial % 4 == 3 else "v1",
            neg_risk_market_id=f"0x{self._hex(f'neg-risk {serial}')[:62]}00" if neg_risk else "",
            **more,
        )
        self._events[event.event_id] = event
        return event

    def market(
        self,
        event: EventRecord,
        group: str,
        question: str,
        slug: str,
        *,
        weight: float,
        tick_micros: int,
        outcomes: tuple[str, str] = ("Yes", "No"),
        label: str = "",
        description: str = "",
        other: bool = False,
    ) -> MarketRecord:
        """A new market of an event; it is not open before `open`."""
        self._serial += 1
        serial, version = self._serial, event.version
        condition = self._hex(f"condition {serial}")
        listing = Listing(
            condition_id="0x" + (condition[:62] + "00" if version == "v2" else condition),
            tokens=(self._token(serial, 0, version), self._token(serial, 1, version)),
            outcomes=outcomes,
            question=question,
            slug=self._unique("market", slug),
            tick_micros=tick_micros,
            min_order_size_micros=MIN_ORDER_MICROS,
            neg_risk=bool(event.neg_risk_market_id),
            version=version,
            event_id=event.event_id,
            event_slug=event.slug,
            group=group,
            weight=weight / self._total_weight,
            fee_rate=event.category.rate,
            fee_exponent=event.category.exponent,
            opens_ms=event.opens_ms,
            ends_ms=event.ends_ms,
        )
        record = MarketRecord(
            listing=listing,
            event=event,
            market_id=str(2_500_000 + serial),
            question_id="0x" + self._hex(f"question {serial}"),
            label=label,
            place=len(event.markets),
            description=description or event.description,
            other=other,
        )
        event.markets.append(record)
        return record

    def open(self, markets: Iterable[MarketRecord], fairs: Mapping[str, int]) -> list[WorldEvent]:
        """Opens markets at their fair values."""
        opened: list[WorldEvent] = []
        for market in markets:
            condition_id = market.listing.condition_id
            self._open[condition_id] = self._known[condition_id] = market
            self.fairs[condition_id] = fairs[condition_id]
            opened.append(Listed(market.listing))
        return opened

    def move(self, group: str, fairs: Mapping[str, int]) -> list[WorldEvent]:
        """Moves fair values of a group; says nothing where none of them changed."""
        moved = tuple((one, fair) for one, fair in fairs.items() if self.fairs[one] != fair)
        if not moved:
            return []
        self.fairs.update(moved)
        return [FairMoved(group, moved)]

    def resolve(self, condition_id: str, winner: Literal[0, 1], at_ms: int) -> list[WorldEvent]:
        """Ends a market. An event that is over with it is forgotten a while later."""
        market = self._open.pop(condition_id)
        del self.fairs[condition_id]
        market.winner, market.closed_ms = winner, at_ms
        event = market.event
        if event.closed:
            self.agenda.at(at_ms + KEEP_CLOSED_MS, lambda _due_ms: self._give_up(event))
        return [Resolved(condition_id, winner)]

    def freeze(self, group: str, until_ms: int) -> None:
        """Keeps a group's fair values as they are up to and including `until_ms`."""
        self._frozen_until_ms[group] = until_ms

    def frozen_until_ms(self, group: str) -> int:
        """Until when the group's fair values stand still; in the past where they are free."""
        return self._frozen_until_ms.get(group, 0)

    def leave(self, group: str) -> None:
        """Forgets a group whose markets are all over."""
        del self.groups[group]
        self._frozen_until_ms.pop(group, None)

    def open_markets(self) -> list[MarketRecord]:
        """All open markets, the oldest first."""
        return list(self._open.values())

    def is_open(self, condition_id: str) -> bool:
        """Whether this market is open."""
        return condition_id in self._open

    def listing(self, condition_id: str) -> Listing:
        """The listing of an open market, or of one that is over and not yet forgotten."""
        return self._known[condition_id].listing

    def record(self, condition_id: str) -> MarketRecord:
        """Its record, likewise."""
        return self._known[condition_id]

    def rows(self, look: Callable[[str], Shown]) -> list[dict[str, Any]]:
        """All events that Gamma shows."""
        return [event_row(event, look) for event in self._events.values() if event.markets]

    def worth(self, condition_id: str) -> int:
        """The fair value of a market that is open, or what it paid if it is over and not yet forgotten."""
        if condition_id in self.fairs:
            return self.fairs[condition_id]
        return 0 if self._known[condition_id].winner else MICROS

    def tidy(self) -> None:
        """Forgets what was over long before the last event that was told."""
        for event in self._outdated:
            for market in event.markets:
                del self._known[market.listing.condition_id]
        self._outdated.clear()

    def _give_up(self, event: EventRecord) -> list[WorldEvent]:
        del self._events[event.event_id]
        self._slugs.discard(("event", event.slug))
        self._slugs.difference_update(("market", market.listing.slug) for market in event.markets)
        self._outdated.append(event)
        return []

    def _unique(self, what: str, slug: str) -> str:
        """The slug itself, or as the venue does, with a number behind it."""
        unique, number = slug, 1
        while (what, unique) in self._slugs:
            number += 1
            unique = f"{slug}-{number}"
        self._slugs.add((what, unique))
        return unique

    def _hex(self, name: str) -> str:
        # With the start: a venue of the same seed on another day lists other markets, and an id is never used twice.
        return hashlib.sha256(f"{self.seed} {self.start_ms} {name}".encode()).hexdigest()

    def _token(self, serial: int, outcome: int, version: Version) -> str:
        floor = _TOKEN_FLOORS[version]
        return str(floor + int(self._hex(f"token {serial} {outcome}"), 16) % (9 * floor))
