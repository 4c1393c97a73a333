"""What all groups do: their fair values move every so often, unless they are frozen. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.synthetic.agenda import NEVER
from simulator.synthetic.groups import BasketShape
from simulator.synthetic.listing import EdgeKind, WorldEvent
from simulator.synthetic.stage import Stage


class Moving:
    """A group of markets; subclasses say what they are worth.

    Args:
        stage: what it plays on.
        key: its name; its random source comes from it.
        weight: its share of activity; how often it moves follows from it.
    """

    def __init__(self, stage: Stage, key: str, weight: float) -> None:
        self.stage = stage
        self.weight = weight
        self.random = stage.random(key)
        self._key = key
        self._interval_ms = stage.move_interval_ms(weight)
        self._over = False

    @property
    def key(self) -> str:
        return self._key

    @property
    def kinds(self) -> frozenset[EdgeKind]:
        return frozenset()

    @property
    def busy_from_ms(self) -> int:
        return NEVER

    def baskets(self, kind: EdgeKind) -> list[BasketShape]:
        return []

    def fairs(self, now_ms: int) -> Mapping[str, int]:
        """What its open markets are worth now; may draw from its random source."""
        raise NotImplementedError

    def begin(self, now_ms: int) -> None:
        """Enters the stage; its markets are open."""
        self.stage.groups[self._key] = self
        self._schedule(now_ms)

    def end(self) -> None:
        """Leaves the stage; its markets are over."""
        self._over = True
        self.stage.leave(self._key)

    def is_frozen(self, at_ms: int) -> bool:
        """Whether a planted edge holds its fair values."""
        return at_ms <= self.stage.frozen_until_ms(self._key)

    def _schedule(self, now_ms: int) -> None:
        wait_ms = max(1, round(self.random.expovariate(1 / self._interval_ms)))
        self.stage.agenda.at(now_ms + wait_ms, self._move)

    def _move(self, at_ms: int) -> list[WorldEvent]:
        if self._over:
            return []
        self._schedule(at_ms)
        return [] if self.is_frozen(at_ms) else self.stage.move(self._key, self.fairs(at_ms))
