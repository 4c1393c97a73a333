"""From a picture's data to what rich draws (pure)."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from consumers.dashboard.state import DashboardState, Quote
from consumers.text import age, shown
from consumers.workers import WorkerWord
from marketdata.decimals import from_micros, to_micros
from marketdata.errors import DecimalError

WORKERS_SHOWN: Final = 4
NOTES_SHOWN: Final = 3
_FRAME_LINES: Final = 4
_WIDTH_FOR_SPREAD: Final = 80
_WIDTH_FOR_AGE: Final = 70
_OLD: Final = "dim"
_STATE_STYLES: Final = {"running": "bold green", "standby": "yellow", "starting": "yellow"}


def rows_that_fit(state: DashboardState, height: int) -> int:
    """How many markets a terminal of `height` lines can show below the header."""
    header = 1 + 2 * min(len(state.workers), WORKERS_SHOWN) + bool(state.away)
    notes = min(len(state.notes), NOTES_SHOWN)
    return max((height - header - notes - _FRAME_LINES) // 2, 1)


def view(state: DashboardState, width: int) -> RenderableType:
    """The whole picture: header, table of markets, notes. A terminal of few columns gets fewer of them."""
    parts: list[RenderableType] = [_header(state)]
    if state.away:
        parts.append(Text(f"Redis is away: {shown(state.away, 120)}; what follows is old", style="bold red"))
    for word in state.workers[-WORKERS_SHOWN:]:
        parts.extend(_worker(word, state.now_ms))
    parts.append(_table(state, width))
    parts.extend(Text(shown(note, 200), style="yellow", no_wrap=True) for note in state.notes[-NOTES_SHOWN:])
    return Group(*parts)


def _header(state: DashboardState) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(state.title, "bold")
    line.append(f"   {state.markets_known} markets   {state.updates_per_s:,.0f} updates/s")
    if not state.is_live:
        line.append("   not live", "bold red")
    return line


def _worker(word: WorkerWord, now_ms: int) -> list[Text]:
    heard = word.is_heard(now_ms)
    first = Text(no_wrap=True, overflow="ellipsis")
    first.append(f"{shown(word.worker, 40)} ", "bold")
    silent_s = (now_ms - word.now_ms) / 1000
    said = word.state if heard or word.state == "stopped" else f"silent for {age(silent_s)}"
    first.append(said, _STATE_STYLES.get(said, "bold red"))
    if word.waits_for:
        first.append(f" {shown(word.waits_for, 80)}")
    first.append(f"   tokens {word.tokens_live} live")
    if word.tokens_waiting:
        first.append(f" {word.tokens_waiting} waiting", "yellow")
    if word.tokens_unlisted:
        first.append(f" {word.tokens_unlisted} without a book", _OLD)
    states = Counter(connection.state for connection in word.connections)
    first.append("   connections ")
    first.append(" ".join(f"{count} {name}" for name, count in sorted(states.items())) or "none")
    first.append(f"   partitions {word.partitions}/{word.partitions_total}")
    second = Text("   ", no_wrap=True, overflow="ellipsis", style="" if heard else _OLD)
    second.append(f"entries {word.count('entries'):,}   ")
    gaps = word.count("gaps")
    second.append(f"gaps {gaps}", "bold red" if gaps else "green")
    if word.count("quarantined"):
        second.append(f"   quarantined {word.count('quarantined')}", "bold red")
    second.append(f"   latency p50 {word.latency_ms.p50:.2f} ms p99 {word.latency_ms.p99:.2f} ms")
    second.append(f"   pending {word.pending}")
    if word.redis == "away":
        second.append("   Redis is away", "bold red")
    return [first, second]


def _table(state: DashboardState, width: int) -> Table:
    with_spread, with_age = width >= _WIDTH_FOR_SPREAD, width >= _WIDTH_FOR_AGE
    table = Table(
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        style="" if state.is_live else _OLD,
    )
    table.add_column("market", ratio=1, no_wrap=True, overflow="ellipsis", min_width=8)
    table.add_column("outcome", no_wrap=True, max_width=10)
    table.add_column("bid x size", justify="right", no_wrap=True)
    table.add_column("ask x size", justify="right", no_wrap=True)
    if with_spread:
        table.add_column("spread", justify="right", no_wrap=True)
    if with_age:
        table.add_column("age", justify="right", no_wrap=True, min_width=5)
    table.add_column("last", no_wrap=True, min_width=8)
    for row in state.rows:
        for outcome in (0, 1):
            quote = row.quotes[outcome]
            style = _style(quote, state)
            table.add_row(
                Text(shown(row.question, 120) if outcome == 0 else ""),
                Text(shown(row.outcomes[outcome], 10), style=style),
                *(Text(cell, style=style) for cell in _sides(quote)),
                *([Text(spread(quote), style=style)] if with_spread else []),
                *([Text(_age(quote, state.now_ms), style=_OLD)] if with_age else []),
                _last(quote),
            )
    if not state.rows:
        table.add_row(Text("no entries yet", style=_OLD))
    return table


def _style(quote: Quote, state: DashboardState) -> str:
    doubtful = not state.is_live or not quote.known or bool(quote.gap) or bool(quote.resolved)
    return _OLD if doubtful else ""


def _age(quote: Quote, now_ms: int) -> str:
    return age(now_ms / 1000 - quote.recv_us / 1e6) if quote.recv_us else ""


def _sides(quote: Quote) -> tuple[str, str]:
    if not quote.known:
        return "?", "?"
    return (
        f"{quote.bid} x {quote.bid_size}" if quote.bid else "none",
        f"{quote.ask} x {quote.ask_size}" if quote.ask else "none",
    )


def _last(quote: Quote) -> Text:
    if quote.resolved:
        return Text(f"resolved: {quote.resolved}", style="bold magenta")
    if quote.gap:
        return Text(f"gap: {quote.gap}", style="bold red")
    return Text(quote.kind, style="cyan" if quote.kind == "trade" else "green")


def spread(quote: Quote) -> str:
    """Ask less bid, in decimal spelling; empty where a side is empty or not known."""
    if not (quote.known and quote.bid and quote.ask):
        return ""
    try:
        return from_micros(to_micros(quote.ask) - to_micros(quote.bid))
    except DecimalError:
        return "?"
