"""Delays between tries (pure; the random source is handed in)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Doubling delays with jitter.

    d = first, 2 first, 4 first, … longest; a delay is d/2 plus random up to d/2, but at least `first`.

    Reset it only after good data: a server that accepts and closes would otherwise be hammered.
    """

    first_s: float = 1.0
    longest_s: float = 30.0
    random: random.Random = field(default_factory=random.Random)
    tries: int = 0

    def next_delay_s(self) -> float:
        """The delay before the next try, in seconds."""
        d = min(self.longest_s, self.first_s * 2.0 ** min(self.tries, 62))
        self.tries += 1
        return max(self.first_s, d / 2 + self.random.random() * d / 2)

    def reset(self) -> None:
        """The next delay is the first one again."""
        self.tries = 0
