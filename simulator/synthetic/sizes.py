"""Sizes of orders, as in recorded books: round ones, odd ones with cents, a few with six places."""

from __future__ import annotations

from random import Random
from typing import Final

POOL: Final = 4096
_ROUND: Final = (
    5,
    10,
    10,
    15,
    20,
    20,
    25,
    30,
    40,
    50,
    60,
    100,
    100,
    150,
    200,
    250,
    300,
    500,
    1000,
    2000,
    5000,
)


class Sizes:
    """Draws from a pool that is made once, for making one costs more than a hash.

    Args:
        random: of this pool alone.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._pool = [self._make() for _ in range(POOL)]

    def draw(self) -> int:
        """A size in millionths of a share, at least 5 shares."""
        return self._pool[int(self._random.random() * POOL)]

    def _make(self) -> int:
        kind = self._random.random()
        if kind < 0.4:
            return self._random.choice(_ROUND) * 1_000_000
        shares = max(5.0, self._random.lognormvariate(4.3, 1.5))
        places = 1 if kind > 0.97 else 10_000
        return int(shares * 1_000_000) // places * places
