"""Which groups a world of so many markets has. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from simulator.synthetic import priced, rollover
from simulator.synthetic.walks import ASSETS

LEAST_MARKETS: Final = 4
MOST_MARKETS: Final = 20_000

_FARTHEST_DAYS: Final = 30

Kind = Literal["family", "contest", "up-down", "question", "game"]


@dataclass(frozen=True, slots=True)
class Part:
    """One group.

    Attributes:
        markets: how many it has at the start.
        asset: index, for families and up-downs.
        days: for families, how many noons ahead.
        augmented, knockouts: for contests.
        long: for up-downs: the longer period.
    """

    kind: Kind
    markets: int
    asset: int = 0
    days: int = 0
    augmented: bool = False
    knockouts: bool = False
    long: bool = False


def parts(markets: int, random: Random) -> list[Part]:
    """The groups of a world, the hottest first; their markets sum to exactly `markets`.

    Args:
        markets: LEAST_MARKETS to MOST_MARKETS.
        random: for the sizes of contests.

    Raises:
        ValueError: fewer or more.
    """
    if not LEAST_MARKETS <= markets <= MOST_MARKETS:
        raise ValueError(f"a world has {LEAST_MARKETS} to {MOST_MARKETS} markets, not {markets}")
    chosen: list[Part] = []
    left = markets
    for part in _wanted(random):
        if left == 0:
            break
        # One question at least stays in every world, and what is left over becomes questions and games.
        if part.markets < left or (part.markets == 1 and left == 1):
            chosen.append(part)
            left -= part.markets
    return chosen


def _wanted(random: Random) -> Iterator[Part]:
    yield Part("contest", 3)
    yield Part("up-down", rollover.LISTED_AT_ONCE)
    yield Part("family", priced.MARKETS)
    yield Part("contest", 9)
    yield Part("up-down", rollover.LISTED_AT_ONCE, asset=1)
    yield Part("up-down", rollover.LISTED_AT_ONCE, asset=2)
    yield Part("contest", 7, augmented=True)
    yield from (Part("game", 1), Part("question", 1)) * 4
    wave = 0
    while True:
        wave += 1
        if wave <= len(ASSETS):
            yield Part("up-down", rollover.LISTED_AT_ONCE, asset=wave - 1, long=True)
        if wave < len(ASSETS) * _FARTHEST_DAYS:
            yield Part("family", priced.MARKETS, asset=wave % len(ASSETS), days=wave // len(ASSETS))
        yield Part("contest", random.randint(3, 30), knockouts=wave % 3 == 1)
        yield from (Part("question", 1),) * 12
        yield from (Part("game", 1),) * 2
