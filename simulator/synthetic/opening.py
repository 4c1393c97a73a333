"""From the arguments of a synthetic venue to the venue as it stands now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from marketdata.clock import now_ms
from simulator.synthetic.feed import SyntheticFeed
from simulator.synthetic.floor import Floor, standing
from simulator.synthetic.listing import Quote
from simulator.synthetic.truth import KEPT_S, Truth
from simulator.synthetic.world import SyntheticWorld

CATCH_UP_MS: Final = 60_000
"""A venue that began before now goes through its past in pieces of so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthetic:
    """What makes a synthetic venue.

    Attributes:
        markets: open at the start; short ones are followed by others.
        rate: messages a second over all markets, best_bid_ask included; 0: flat out, from the first subscription on.
        seed: of everything random.
        edges_a_minute: planted arbitrage; without it there is none.
        start_ms: when the venue began, Unix milliseconds: a venue that is started again has the same markets, as
            they would be by now. Ahead of now: it begins then, and the same arguments give the same bytes.
            None: it begins now.
        truth_s: how long `/control/truths` remembers.
    """

    markets: int
    rate: float
    seed: int
    edges_a_minute: float = 0
    start_ms: int | None = None
    truth_s: float = KEPT_S


def synthetic_feed(given: Synthetic) -> SyntheticFeed:
    """The venue as of now; a long past takes a while."""
    return next(feed for feed in opening(given) if feed is not None)


def opening(given: Synthetic) -> Iterator[SyntheticFeed | None]:
    """None after each piece of the venue's past, then the venue."""
    here_ms = now_ms()
    began_ms = here_ms if given.start_ms is None else given.start_ms
    opens_ms = max(began_ms, here_ms)
    world = SyntheticWorld(
        markets=given.markets, seed=given.seed, start_ms=began_ms, edges_per_minute=given.edges_a_minute
    )
    # Nobody saw what happened meanwhile: the books of now are made below, and only planted orders are kept.
    planted: list[Quote] = []
    for until_ms in chain(range(began_ms + CATCH_UP_MS, opens_ms, CATCH_UP_MS), (opens_ms,)):
        planted = standing((*planted, *world.advance(until_ms)))
        yield None
    floor = Floor(
        world,
        rate=given.rate,
        seed=given.seed,
        start_ms=opens_ms,
        truth=Truth(kept_s=given.truth_s),
        before=planted,
    )
    told = {
        "seed": given.seed,
        "rate": given.rate,
        "edges_a_minute": given.edges_a_minute,
        "start_ms": began_ms,
    }
    yield SyntheticFeed(floor, flat_out=given.rate == 0, told=told)
