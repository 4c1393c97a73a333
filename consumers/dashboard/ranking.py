"""Which markets are listed, and in which order (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from consumers.dashboard.choices import Sort
from consumers.dashboard.markets import MarketLine
from consumers.dashboard.plain import sought as searchable
from consumers.dashboard.rates import Activity
from consumers.dashboard.records import Counted
from marketdata.decimals import to_micros
from marketdata.errors import DecimalError

_WIDEST: Final = 10**9


class Ranking:
    """The order of the list. It is made anew only when `due`, so that rows stay where they are for a while.

    Attributes:
        order: condition ids of the markets that the filter lets through.
    """

    def __init__(self) -> None:
        self.order: list[str] = []
        self._places: dict[str, int] = {}

    def update(
        self,
        markets: Mapping[str, MarketLine],
        counted: Mapping[str, Counted],
        activity: Activity,
        sort: Sort,
        sought: str,
        *,
        backwards: bool = False,
    ) -> None:
        """Filters and sorts. Among equals the order is as before; what cannot be told comes last, both ways."""
        words = searchable(sought).split()
        if words:
            shown = [one for one, line in markets.items() if all(word in line.sought for word in words)]
        else:
            shown = list(markets)
        measure = _measure(sort, markets, counted, activity)
        places = self._places
        last = len(places)
        shown.sort(key=lambda one: (places.get(one, last), one))
        shown.sort(key=measure, reverse=backwards)
        left = _left_out(sort, counted, activity)
        self.order = sorted(shown, key=left)
        if not words:
            self._places = {one: place for place, one in enumerate(self.order)}

    def forget_places(self) -> None:
        """The next order owes nothing to the one before."""
        self._places = {}


def _left_out(
    sort: Sort, counted: Mapping[str, Counted], activity: Activity
) -> Callable[[str], tuple[bool, bool]]:
    """Whether nobody follows a market, and whether it has nothing to sort by."""
    there = bool(counted)

    def unknown(one: str) -> bool:
        if sort == "spread":
            return _spread(counted.get(one)) == _WIDEST
        return sort == "age" and one not in activity.last_ms

    return lambda one: (there and one not in counted, unknown(one))


def _measure(
    sort: Sort, markets: Mapping[str, MarketLine], counted: Mapping[str, Counted], activity: Activity
) -> Callable[[str], Any]:
    if sort == "spread":
        return lambda one: _spread(counted.get(one))
    if sort == "age":
        return lambda one: -(activity.last_ms.get(one, 0) // 1000)
    if sort == "volume":
        return lambda one: -markets[one].volume_24h
    if sort == "name":
        return lambda one: (markets[one].question.casefold(), one)
    return lambda one: -activity.rank(one)


def _spread(word: Counted | None) -> int:
    text = word.get("spread") if word else None
    if not text:
        return _WIDEST
    try:
        return to_micros(text)
    except DecimalError:
        # A crossed pair has a spread below zero, and is what one wants to see first.
        return -1 if text.startswith("-") else _WIDEST
