"""Delays between tries (pure; the random source is handed in)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(slots=True)
class Backoff:
    """Doubling delays with jitter.

    d = first, 2 first, 4 first, … longest; a delay is d/2 plus random up to d/2.

    Reset it only after good data: a server that accepts and closes would otherwise be hammered.

    Attributes:
        least_s: no delay is shorter; by default `first_s`.
        tries: how many delays were asked for since the last good data.
    """

    first_s: float
    longest_s: float
    random: Random
    least_s: float | None = None
    tries: int = 0

    def next_delay_s(self) -> float:
        """The delay before the next try, in seconds."""
        d = min(self.longest_s, self.first_s * 2.0 ** min(self.tries, 62))
        self.tries += 1
        least_s = self.first_s if self.least_s is None else self.least_s
        return max(least_s, d / 2 + self.random.random() * d / 2)

    def reset(self) -> None:
        """The next delay is the first one again."""
        self.tries = 0
