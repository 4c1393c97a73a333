"""The page of one market: both outcomes, where its price stood, its gaps on a time line, its newest entries."""

from __future__ import annotations

from typing import Final

from consumers.dashboard.markets import MarketLine
from consumers.dashboard.names import short_name
from consumers.dashboard.pages.books import change, last_trade, match_rate
from consumers.dashboard.pages.cells import (
    BAD,
    GOOD,
    NOT_READ,
    QUIET,
    Cell,
    Column,
    Line,
    Look,
    blank,
    head,
    line,
    row,
)
from consumers.dashboard.pages.figures import dollars, exact, per_s, size, span
from consumers.dashboard.pages.glyphs import sparkline
from consumers.dashboard.plain import plain
from consumers.dashboard.quotes import MarketView, Quote, Seen, Side
from consumers.dashboard.state import State
from consumers.dashboard.timeline import Span, gap_cells, gaps, mids, span_of
from consumers.dashboard.ui import Ui

TOP_LINES: Final = 12
"""Above the entries."""

_LABEL: Final = 12
_LOW: Final = 8
_RIGHT: Final = 15
_WIDE: Final = 112
_KINDS: Final = {"top": "", "trade": "cyan", "tick": "magenta", "gap": BAD, "resolved": "magenta"}


def entry_rows(height: int) -> int:
    """How many entries fit."""
    return max(height - TOP_LINES, 0)


def market_page(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    """All of the page."""
    market = state.markets.get(ui.opened)
    if market is None:
        gone: list[Cell] = [(f" {ui.opened} is not in the catalog any more; esc goes back", QUIET)]
        return [line(gone, look), *(blank(look) for _ in range(height - 1))]
    view = state.views.get(ui.opened) or MarketView()
    lines = [
        line(
            [(f" {short_name(market, look.width - 1, look.glyphs.ellipsis, look.glyphs.dot)}", "bold")], look
        ),
        line(_facts(state, market, look), look),
        *_quotes(state, market, view, look),
        blank(look),
        *_history(state, market, view, ui, look),
        *_entries(market, view, ui, look, entry_rows(height)),
    ]
    return (lines + [blank(look)] * height)[:height]


def _facts(state: State, market: MarketLine, look: Look) -> list[Cell]:
    dot = f" {look.glyphs.dot} "
    said = [
        market.state,
        f"{dollars(market.volume_24h)} in 24 h",
        f"{per_s(state.activity.rate(market.condition_id))}/s",
    ]
    if market.end_date:
        said.append(f"ends {market.end_date[:16].replace('T', ' ')}")
    rate, style = match_rate(state.counted.get(market.condition_id))
    cells: list[Cell] = [(f" {dot.join(said)}{dot}hash match ", QUIET), (rate, style)]
    if market.event and market.event != market.question:
        cells.append((f"{dot}{market.event}", QUIET))
    return cells


def _quote_columns(look: Look) -> tuple[Column, ...]:
    wide = look.width >= _WIDE
    return (
        Column("outcome", 0, most=48),
        Column("bid", 8),
        Column("  size", 13),
        Column("ask", 8),
        Column("  size", 13),
        Column("spread", 6),
        Column("last", 7),
        Column("age", 4, right=True),
        *([Column("gen", 5, right=True), Column("seq", 9, right=True)] if wide else []),
    )


def _quotes(state: State, market: MarketLine, view: MarketView, look: Look) -> list[Line]:
    table = _quote_columns(look)
    lines = [head(table, look)]
    for name, quote in zip(market.outcomes, view.quotes, strict=True):
        cells: list[Cell] = [(name, "bold")]
        if quote.is_trusted:
            cells += [*_side(quote.bid, look), *_side(quote.ask, look), (quote.spread, "")]
        else:
            cells += _untrusted(quote, market)
        age = span(look.now_ms - state.behind_ms - quote.recv_us // 1000) if quote.recv_us else ""
        cells += [last_trade(quote, look), (age, QUIET)]
        if look.width >= _WIDE:
            cells += [(str(quote.gen or ""), QUIET), (f"{quote.seq:,}" if quote.seq else "", QUIET)]
        lines.append(row(cells, table, look, faded=state.is_old(look.now_ms)))
    return lines


def _side(side: Side, look: Look) -> tuple[Cell, Cell]:
    if not side.price:
        return ("none", QUIET), ("", "")
    sign, style = change(side, look.now_ms, look.glyphs)
    return (f"{sign}{side.price:<7}", style), (exact(side.size), style)


def _untrusted(quote: Quote, market: MarketLine) -> list[Cell]:
    if quote.resolved:
        winner = market.outcomes[int(quote.resolved)] if quote.resolved in ("0", "1") else quote.resolved
        return [("resolved", "magenta"), (winner, "magenta"), ("", ""), ("", ""), ("", "")]
    if quote.gap:
        return [("gap", BAD), (quote.gap, BAD), ("", ""), ("", ""), ("", "")]
    return [("no top", QUIET), ("", ""), ("", ""), ("", ""), ("", "")]


def _history(state: State, market: MarketLine, view: MarketView, ui: Ui, look: Look) -> list[Line]:
    entries = list(view.entries)
    time = span_of(entries, look.now_ms - state.behind_ms)
    if time is None:
        unread = ui.paused and state.read.opened != ui.opened
        said = f" {NOT_READ}" if unread else " no entries yet"
        return [line([(said, QUIET)], look), *(blank(look) for _ in range(4))]
    room = look.width - _LABEL - _LOW - _RIGHT
    found = gaps(entries)
    lines = [_price(market, entries, time, room, look)]
    for outcome in (0, 1):
        bad = gap_cells(found, outcome, time, room)
        number = sum(one.outcome in (None, outcome) for one in found)
        lines.append(_gap_line(market.outcomes[outcome], bad, number, look))
    lines.append(_scale(time, room, look))
    lines.append(blank(look))
    return lines


def _price(market: MarketLine, entries: list[Seen], time: Span, room: int, look: Look) -> Line:
    series = mids(entries, 0, time, room)
    known = [one for one in series if one is not None]
    drawn = sparkline(known, len(known), look.glyphs, from_zero=False) if known else ""
    bars = iter(drawn)
    text = "".join(next(bars) if one is not None else " " for one in series)
    low, high, newest = (f"{one:.4g}" for one in (min(known), max(known), known[-1])) if known else ("",) * 3
    cells: list[Cell] = [
        (f"{_label(f'mid {market.outcomes[0]}')}{low:>{_LOW - 1}} ", QUIET),
        (text, "cyan"),
        (f" {high:<7}", QUIET),
        (f"{newest:>7}", "bold"),
    ]
    return line(cells, look)


def _gap_line(outcome: str, bad: list[bool], number: int, look: Look) -> Line:
    cells: list[Cell] = [(f"{_label(f'gaps {outcome}')}{'':{_LOW}}", QUIET)]
    at = 0
    while at < len(bad):
        until = at
        while until < len(bad) and bad[until] == bad[at]:
            until += 1
        sign = look.glyphs.bad if bad[at] else look.glyphs.good
        cells.append((sign * (until - at), BAD if bad[at] else GOOD))
        at = until
    cells.append((f"{number:>{_RIGHT}}", BAD if number else QUIET))
    return line(cells, look)


def _scale(time: Span, room: int, look: Look) -> Line:
    begins, length = look.clock(time.from_ms), f"{span(time.to_ms - time.from_ms)}"
    ends = look.clock(time.to_ms)
    middle = f"{length:^{max(room - len(begins) - len(ends), 0)}}"
    return line([(" " * (_LABEL + _LOW), ""), (f"{begins}{middle}{ends}", QUIET)], look)


def _label(text: str) -> str:
    text = plain(text)[: _LABEL - 2]
    return f" {text:<{_LABEL - 1}}"


def _entry_columns(look: Look) -> tuple[Column, ...]:
    wide = look.width >= _WIDE
    return (
        Column("time", 12 if wide else 8),
        Column("outcome", 8),
        Column("kind", 8),
        Column("bid", 7),
        Column("  size", 13) if wide else Column("size", 5, right=True),
        Column("ask", 7),
        Column("  size", 13) if wide else Column("size", 5, right=True),
        *([Column("gen", 5, right=True)] if wide else []),
        Column("seq", 7, right=True),
        *([Column("skipped", 7, right=True)] if wide else []),
        Column("note", 0),
    )


def _entries(market: MarketLine, view: MarketView, ui: Ui, look: Look, rows: int) -> list[Line]:
    table = _entry_columns(look)
    lines = [head(table, look)]
    newest = list(view.entries)[::-1]
    for seen in newest[ui.scroll : ui.scroll + rows]:
        lines.append(row(_entry(seen, market, look), table, look))
    return lines


def _size(text: str, wide: bool) -> str:
    if not text:
        return ""
    return exact(text) if wide else size(text)


def _entry(seen: Seen, market: MarketLine, look: Look) -> list[Cell]:
    entry, wide = seen.entry, look.width >= _WIDE
    time = look.clock(seen.id.ms) + (f".{seen.id.ms % 1000:03d}" if wide else "")
    name = "both" if entry.outcome is None else market.outcomes[entry.outcome]
    return [
        (time, QUIET),
        (name, ""),
        (entry.kind, _KINDS.get(entry.kind, "")),
        (entry.bid, ""),
        (_size(entry.bid_size, wide), QUIET),
        (entry.ask, ""),
        (_size(entry.ask_size, wide), QUIET),
        *([(str(entry.gen), QUIET)] if wide else []),
        (str(entry.seq), QUIET),
        *([(str(entry.skipped), BAD if entry.skipped else QUIET)] if wide else []),
        (plain(entry.note), BAD if entry.kind == "gap" else ""),
    ]
