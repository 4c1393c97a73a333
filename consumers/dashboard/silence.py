"""When it is unusual that nothing arrives (pure)."""

from __future__ import annotations

import math
from typing import Final

from consumers.dashboard.records import Received, WorkerRecord

LEAST_S: Final = 3.0
"""No silence that is shorter is told of."""

PONG_IS_LATE_MS: Final = 5_000

_WATCHED_S: Final = 20
_BUSY_PART: Final = 2 / 3
"""A message a second at random leaves a third of the seconds empty; below that a feed is not steady."""

_BY_CHANCE: Final = 1e-6
"""How seldom a silence must be, in seconds of a feed that is as busy as this one was, to be told of."""


def unusual_after_s(received: Received) -> float | None:
    """How long nothing may arrive before it is told of; None: too little arrives for any silence to be unusual.

    Each second is taken to bring nothing as often as it did in the last minute: with one that always brought
    something it is 3.4 s, with a message a second about 13 s.
    """
    seconds, busy = received["seconds"], received["busy_seconds"]
    if seconds < _WATCHED_S or busy < _BUSY_PART * seconds:
        return None
    empty = (seconds - busy + 1) / (seconds + 2)
    return max(LEAST_S, math.log(_BY_CHANCE) / math.log(empty))


def is_cut_off(word: WorkerRecord) -> bool:
    """Whether a worker that received steadily receives nothing, on any connection."""
    received = word.received
    if received is None or word.state != "running":
        return False
    limit_s = unusual_after_s(received)
    return limit_s is not None and received["silent_s"] > limit_s


def usual_per_s(received: Received) -> float:
    """Messages a second, before the silence."""
    return received["messages"] / max(received["seconds"], 1)
