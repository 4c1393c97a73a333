"""What a worker tells of what arrived: `received` in `worker:ID`, written by the worker and read by the dashboard."""

from __future__ import annotations

# pydantic reads it, and below Python 3.12 only takes this one.
from typing_extensions import TypedDict


class Received(TypedDict):
    """Books and trades that arrived.

    A silence is measured in looks that found nothing new, not by the clock: a worker that was held up itself must
    not take that for a silence of the venue.
    """

    silent_s: int
    """For how long nothing has arrived, on any connection; a PONG is nothing."""
    seconds: int
    """How long the stretch before that is, at most a minute."""
    busy_seconds: int
    """In how many of its seconds something arrived."""
    messages: int
    """How many it brought in all."""
