"""What the stage and the planter of edges have to know of a group of markets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simulator.synthetic.listing import EdgeKind


@dataclass(frozen=True, slots=True)
class BasketShape:
    """Purchases that pay at least so much together, whatever happens (ties apart).

    Attributes:
        legs: (condition id, outcome).
        payout: dollars a share of each.
    """

    kind: EdgeKind
    legs: tuple[tuple[str, int], ...]
    payout: int


class Group(Protocol):
    """Markets of one distribution."""

    @property
    def key(self) -> str:
        """The same as `Listing.group` of its markets."""
        ...

    @property
    def kinds(self) -> frozenset[EdgeKind]:
        """The kinds of baskets that it may have."""
        ...

    @property
    def busy_from_ms(self) -> int:
        """When it settles: a planted edge has to be over before."""
        ...

    def baskets(self, kind: EdgeKind) -> list[BasketShape]:
        """The baskets of this kind that its open markets form now."""
        ...
