"""Who gets how much of the venue's activity, and how it comes in bursts. Pure.

As recorded: a few markets of a live event make most of the messages, most markets hardly any; six markets had
150 messages a second in the mean and 1,015 in the busiest second.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

PEAK: Final = 7.0

_SLOT_MS: Final = 5_000
_SHARE_OF_BURSTS: Final = 0.1
_LEAST_PEAK: Final = 2.0
_SHAPE: Final = (1.0, 0.6, 0.36, 0.2, 0.1)
# Such that the mean over all slots is exactly 1.
_BURST_MEAN: Final = _SHARE_OF_BURSTS * sum(_SHAPE) / len(_SHAPE)
_CALM: Final = (1.0 - _BURST_MEAN * (_LEAST_PEAK + PEAK) / 2) / (1.0 - _BURST_MEAN)


def rank_weight(rank: int) -> float:
    """The weight of the group at this place, 0 the hottest: Zipf's law."""
    return 1.0 / (1.0 + rank)


def split_weight(weight: float, parts: Sequence[float]) -> list[float]:
    """A group's weight over its markets in proportion to `parts`."""
    total = sum(parts)
    return [weight * part / total for part in parts]


def contested(fair_micros: int) -> float:
    """How much trade a market of this fair value draws: most near one half, little near the ends."""
    probability = fair_micros / 1_000_000
    return 0.01 + probability * (1.0 - probability)


class Bursts:
    """The venue's liveliness by time: calm, and in one of ten slots of five seconds a burst that fades.

    Args:
        seed: text that decides which slots burst.
    """

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._slot = -1
        self._peak = 0.0

    def factor(self, now_ms: int) -> float:
        """The factor of the second that `now_ms` lies in; its mean is 1, it reaches PEAK at most."""
        slot, within_ms = divmod(now_ms, _SLOT_MS)
        if slot != self._slot:
            random = Random(f"{self._seed} {slot}")
            bursts = random.random() < _SHARE_OF_BURSTS
            self._slot = slot
            self._peak = random.uniform(_LEAST_PEAK, PEAK) if bursts else _CALM
        return _CALM + (self._peak - _CALM) * _SHAPE[within_ms * len(_SHAPE) // _SLOT_MS]
