"""Page 1: the markets, one a row, with the top of book of the first outcome."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from textwrap import wrap
from typing import Final

from consumers.dashboard.choices import RISING, Sort
from consumers.dashboard.names import short_name
from consumers.dashboard.pages.cells import (
    BAD,
    GOOD,
    QUIET,
    WARN,
    Cell,
    Column,
    Line,
    Look,
    blank,
    centred,
    head,
    row,
    widths_of,
)
from consumers.dashboard.pages.figures import NOTHING, dollars, per_s, percent, size, span
from consumers.dashboard.pages.glyphs import Glyphs
from consumers.dashboard.plain import cells as width_of
from consumers.dashboard.plain import plain
from consumers.dashboard.quotes import MarketView, Quote, Side
from consumers.dashboard.records import Counted
from consumers.dashboard.state import State
from consumers.dashboard.ui import Ui

TITLE_LINES: Final = 1
BRIGHT_MS: Final = 1_000
FADED_MS: Final = 3_000
"""A change is marked for this long, bright in its first second."""

_MATCH_IS_LOW: Final = 0.99
_SORTED_TITLES: Final = {
    "activity": "/s",
    "spread": "spread",
    "age": "age",
    "volume": "vol 24h",
    "name": "market",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What there is room for besides market, bid, ask, spread and age; the page of a market shows all of it."""

    trades: bool
    rates: bool
    age: bool
    volume: bool
    event: bool


@lru_cache(64)
def shape_of(width: int, sort: Sort) -> Shape:
    """By the columns of the screen; what the list is sorted by takes the place of something else."""
    wide, by_volume = width >= 160, sort == "volume"
    return Shape(
        trades=width >= 100,
        rates=width >= 112 and (wide or not by_volume),
        age=width >= 112 or not by_volume,
        volume=wide or by_volume,
        event=wide,
    )


@lru_cache(64)
def columns(width: int, sort: Sort) -> tuple[Column, ...]:
    """More of them, and wider ones, the more room there is."""
    shape = shape_of(width, sort)
    side = _side_width(shape)
    made = [
        Column("market", 0, weight=3, most=90),
        *([Column("event", 0, weight=2, most=60)] if shape.event else []),
        Column("outcome" if shape.trades else "out", 12 if shape.event else 8 if shape.trades else 4),
        Column(_over_side("bid", shape), side),
        Column(_over_side("ask", shape), side),
        Column("spread", 7),
        *([Column("last", 7)] if shape.trades else []),
        *([Column("/s", 5, right=True)] if shape.rates else []),
        *([Column("age", 5, right=True)] if shape.age else []),
        *([Column("vol 24h", 8, right=True)] if shape.volume else []),
        *([Column("match", 5, right=True)] if shape.trades else []),
    ]
    return tuple(made)


def _over_side(name: str, shape: Shape) -> str:
    return f"  {name:<6}{' x ' if shape.trades else 'x'} size"


def _side_width(shape: Shape) -> int:
    return 16 if shape.trades else 14


def books(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    """The visible part of the list."""
    table = columns(look.width, ui.sort)
    rows = height - TITLE_LINES
    if not state.order:
        return [head(table, look), *_nothing(state, ui, look, rows)]
    place = ui.place
    faded = state.is_old(look.now_ms)
    rising = (ui.sort in RISING) != ui.backwards
    lines = [head(table, look, _SORTED_TITLES[ui.sort], rising=rising)]
    for one in state.order[place.top : place.top + rows]:
        if one in state.markets:
            lines.append(
                row(
                    _cells(state, one, ui, look),
                    table,
                    look,
                    marked=one == place.key,
                    faded=faded or not state.is_followed(one),
                )
            )
    lines.extend(blank(look) for _ in range(height - len(lines)))
    return lines


def _nothing(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    said: list[Cell]
    if ui.sought:
        said = [
            (f'no market has "{plain(ui.sought)}" in question, event, slug or id', ""),
            ("esc clears the filter", QUIET),
        ]
    elif state.looked:
        said = [("no markets in this Redis yet", ""), ("a worker lists them: bookstream worker", QUIET)]
    elif state.away:
        said = [("nothing was read yet:", ""), *((text, "") for text in wrap(state.away, look.width - 4))]
        said.append(("it is tried again", QUIET))
    else:
        said = [("nothing was read yet", QUIET)]
    return centred(said, look, height)


def _cells(state: State, one: str, ui: Ui, look: Look) -> list[Cell]:
    market, view = state.markets[one], state.views.get(one)
    counted = state.counted.get(one)
    shape = shape_of(look.width, ui.sort)
    quote = view.quotes[0] if view is not None else None
    over = market.state != "open" or bool(quote and quote.resolved)
    rate = state.activity.rate(one)
    room = widths_of(columns(look.width, ui.sort), look.width - 2)[0]
    name = short_name(market, room, look.glyphs.ellipsis, look.glyphs.dot)
    cells: list[Cell] = [(name, QUIET if over else "")]
    if shape.event:
        cells.append((market.event if market.event != market.question else "", QUIET))
    half_blind = view is not None and bool(view.quotes[1].gap) and not view.quotes[0].gap
    cells.append((f"{market.outcomes[0]}!", BAD) if half_blind else (market.outcomes[0], QUIET))
    if quote is None and ui.paused:
        cells += [("paused:", QUIET), (_left("not read", _side_width(shape)), QUIET)]
    else:
        cells += sides(quote, look, _side_width(shape), market.outcomes)
    cells.append((quote.spread if quote is not None and quote.is_trusted else "", ""))
    if shape.trades:
        cells.append(last_trade(quote, look))
    if shape.rates:
        cells.append((per_s(rate), QUIET if rate < 0.05 else ""))
    if shape.age:
        cells.append((_age(state, one, view, look), QUIET))
    if shape.volume:
        cells.append((dollars(market.volume_24h), QUIET))
    if shape.trades:
        cells.append(match_rate(counted))
    return cells


def sides(quote: Quote | None, look: Look, width: int, outcomes: tuple[str, str]) -> list[Cell]:
    """Bid and ask; inside a gap, and after the end, no price is shown: it would look like one that can be traded."""
    if quote is None:
        return [("", ""), ("", "")]
    if quote.resolved:
        winner = outcomes[int(quote.resolved)] if quote.resolved in ("0", "1") else quote.resolved
        return [("resolved:", "magenta"), (_left(winner, width), "magenta")]
    if quote.gap:
        return [("gap:", BAD), (_left(quote.gap, width), BAD)]
    if not quote.known:
        return [("no top yet", QUIET), ("", "")]
    return [side(quote.bid, look, width), side(quote.ask, look, width)]


def _left(text: str, width: int) -> str:
    return text + " " * max(width - width_of(text), 0)


def side(one: Side, look: Look, width: int) -> Cell:
    """ "▲ 0.485 x 1,234" in columns: sign, price, size."""
    if not one.price:
        return ("none       ", QUIET)
    sign, style = change(one, look.now_ms, look.glyphs)
    between = " x " if width >= 16 else "x"
    # Prices are below one, so that their points stand below each other when they begin at the same place.
    return (f"{sign} {one.price:<6}{between}{size(one.size):>5}", style)


def change(one: Side, now_ms: int, glyphs: Glyphs) -> Cell:
    """The sign and the style of a side that changed lately; they fade."""
    since_ms = now_ms - one.moved_ms
    if not one.moved_ms or since_ms >= FADED_MS:
        return (" ", "")
    bright = since_ms < BRIGHT_MS
    if one.moved > 0:
        return (glyphs.up, "bold green" if bright else "green")
    if one.moved < 0:
        return (glyphs.down, "bold red" if bright else "red")
    return (glyphs.same if bright else " ", "bold" if bright else "")


def last_trade(quote: Quote | None, look: Look) -> Cell:
    """The newest trade, and whether its taker bought or sold."""
    if quote is None or not quote.last_trade:
        return ("", "")
    if quote.taker_sold:
        return (f"{look.glyphs.down}{quote.last_trade}", "red")
    return (f"{look.glyphs.up}{quote.last_trade}", GOOD)


def match_rate(counted: Counted | None) -> Cell:
    """Part of the checked hashes that agreed with the venue's."""
    matches, mismatches = (counted or {}).get("matches", 0), (counted or {}).get("mismatches", 0)
    low = matches < _MATCH_IS_LOW * (matches + mismatches)
    text = percent(matches, matches + mismatches)
    return (text, WARN if low else QUIET if text == NOTHING else "")


def _age(state: State, one: str, view: MarketView | None, look: Look) -> str:
    last_ms = state.activity.last_ms.get(one, 0)
    if view is not None:
        last_ms = max(last_ms, *(quote.recv_us // 1000 for quote in view.quotes))
    if not last_ms:
        return ""
    return span(look.now_ms - state.behind_ms - last_ms)
