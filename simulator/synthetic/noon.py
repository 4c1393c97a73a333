"""Noons in New York, which is when the venue's daily price markets settle. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Final

from marketdata.families.settlement import NEW_YORK
from simulator.synthetic.words import eastern

LEAST_AHEAD_MS: Final = 3 * 3_600_000
"""A family is not begun with less time than this before its settlement."""


def noon_ms(now_ms: int, days: int) -> int:
    """Unix milliseconds of a noon in New York: day 0 is the first that is far enough ahead of `now_ms`."""
    first = eastern(now_ms + LEAST_AHEAD_MS)
    date = first.date() if first.time() <= time(12) else first.date() + timedelta(days=1)
    noon = datetime.combine(date + timedelta(days=days), time(12), NEW_YORK)
    return round(noon.timestamp()) * 1000
