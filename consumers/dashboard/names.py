"""A market's name in few cells, in which what tells it apart from the others of its event is whole (pure)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from consumers.dashboard.markets import MarketLine
from consumers.dashboard.plain import cells, cut_middle, shorten

_BLANK: Final = "___"
"""Where the venue's titles of events leave room for a strike."""

_LEAST: Final = 6
"""Less of an event's title says nothing."""


def short_name(market: MarketLine, width: int, ellipsis: str = "…", dot: str = "·") -> str:
    """The question if there is room; else what tells the market apart (a strike, a range, a name) before its event.

    Questions of a family differ in the middle: "Will the price of Bitcoin be between $84,000 and $86,000 on May 7?"
    is "Bitcoin above 84,000 on May 7" or "84,000-86,000 · Bitc…on May 7".
    """
    return _short_name(market.question, market.title, market.event, width, ellipsis, dot)


@lru_cache(8192)
def _short_name(question: str, title: str, event: str, width: int, ellipsis: str, dot: str) -> str:
    if cells(question) <= width or width < 12:
        return question
    if title == question or not event:
        return shorten(question, width, ellipsis)
    event = event.removesuffix("?")
    if _BLANK in event:
        filled = event.replace(_BLANK, title)
        if cells(filled) <= width:
            return filled
        event = " ".join(event.replace(_BLANK, "").split())
    room = width - cells(title) - 3
    if room < _LEAST:
        return cut_middle(title, width, ellipsis)
    return f"{title} {dot} {cut_middle(event, room, ellipsis)}"
