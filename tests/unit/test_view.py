"""The picture: what a state looks like, and that old or doubtful quotes look different."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from consumers.dashboard.state import Activity, DashboardState, MarketRow, Quote, Rate
from consumers.dashboard.view import rows_that_fit, spread, view
from consumers.workers import WorkerWord
from marketdata.entries import Entry, gap_note

NOW_MS = 1_700_000_000_000


def busy(entries: dict[str, int]) -> dict[str, dict[str, int]]:
    return {condition_id: {"entries": count} for condition_id, count in entries.items()}


def word(worker: str = "w1", **given: Any) -> WorkerWord:
    plain: dict[str, Any] = {
        "worker": worker,
        "pid": 11,
        "host": "here",
        "started_ms": NOW_MS - 60_000,
        "now_ms": NOW_MS,
        "state": "running",
        "partitions": 64,
        "partitions_total": 64,
        "connections": [{"name": "c0", "state": "live"}, {"name": "c1", "state": "closed"}],
        "tokens_live": 5,
        "tokens_waiting": 1,
        "counters": {"entries": 12_345, "gaps": 0, "updates": 100},
        "latency_ms": {"p50": 0.4, "p99": 1.26},
    }
    return WorkerWord.model_validate(plain | given)


def top(outcome: int | None, bid: str = "0.48", ask: str = "0.52", **given: Any) -> Entry:
    plain: dict[str, Any] = {
        "kind": "top",
        "outcome": outcome,
        "bid": bid,
        "bid_size": "30" if bid else "",
        "ask": ask,
        "ask_size": "25.5" if ask else "",
        "venue_ms": NOW_MS,
        "recv_us": (NOW_MS - 1500) * 1000,
        "gen": 1,
        "seq": 1,
        "skipped": 0,
        "note": "",
    }
    return Entry(**plain | given)


def gap(outcome: int | None, cause: Any = "stale") -> Entry:
    return top(outcome, "", "", kind="gap", note=gap_note(cause, 5, "w1"))


def row(*entries: Entry, question: str = "Will it rain?") -> MarketRow:
    found = MarketRow("0xabc", question, ("Yes", "No"))
    for entry in entries:
        found.apply(entry)
    return found


def drawn(state: DashboardState, *, colour: bool = False, width: int = 130) -> str:
    out = StringIO()
    console = Console(
        file=out, width=width, force_terminal=colour, color_system="standard" if colour else None
    )
    console.print(view(state, width))
    return out.getvalue()


def line_of(picture: str, *words: str) -> str:
    (found,) = (line for line in picture.splitlines() if all(one in line for one in words))
    return " ".join(found.replace("│", " ").split())


def test_the_header_says_how_the_worker_is() -> None:
    picture = drawn(DashboardState(NOW_MS, [word()], updates_per_s=1234.4, markets_known=7, title="demo"))
    assert line_of(picture, "demo") == "demo 7 markets 1,234 updates/s"
    assert line_of(picture, "w1") == (
        "w1 running tokens 5 live 1 waiting connections 1 closed 1 live partitions 64/64"
    )
    assert line_of(picture, "latency") == "entries 12,345 gaps 0 latency p50 0.40 ms p99 1.26 ms pending 0"


def test_quotes_of_both_outcomes() -> None:
    state = DashboardState(NOW_MS, [word()], rows=[row(top(0), top(1, "0.07", ""))])
    picture = drawn(state)
    assert line_of(picture, "Yes") == "Will it rain? Yes 0.48 x 30 0.52 x 25.5 0.04 1.5s top"
    assert line_of(picture, "No ") == "No 0.07 x 30 none 1.5s top"


def test_a_gap_and_what_ends_it() -> None:
    state = DashboardState(NOW_MS, [word()], rows=[row(top(0), top(1), gap(None), top(1))])
    picture = drawn(state)
    assert line_of(picture, "Yes").endswith("gap: stale")
    assert line_of(picture, "No ").endswith("top")
    coloured = drawn(state, colour=True)
    assert "\x1b[1;31mgap: stale" in coloured
    assert re.search(r"\x1b\[2m *0\.48 x 30", coloured)


def test_a_trade_does_not_end_a_gap() -> None:
    broken = row(top(0), gap(0), top(0, ask="", kind="trade"))
    assert line_of(drawn(DashboardState(NOW_MS, [word()], rows=[broken])), "Yes").endswith("gap: stale")


def test_a_resolution_stays() -> None:
    over = row(top(0), top(None, "", "", kind="resolved", note="1"))
    picture = drawn(DashboardState(NOW_MS, [word()], rows=[over]))
    assert line_of(picture, "Yes").endswith("resolved: 1")


def test_nothing_known_is_not_nothing_there() -> None:
    assert line_of(drawn(DashboardState(NOW_MS, [word()], rows=[row()])), "Yes") == "Will it rain? Yes ? ?"


@pytest.mark.parametrize(
    "state",
    [
        DashboardState(NOW_MS),
        DashboardState(NOW_MS, [word(now_ms=NOW_MS - 60_000)]),
        DashboardState(NOW_MS, [word(state="standby", waits_for="64 partitions are held by w0")]),
        DashboardState(NOW_MS, [word(state="stopped")]),
        DashboardState(NOW_MS, [word()], away="connection refused"),
    ],
    ids=["no worker", "silent", "standby", "stopped", "redis away"],
)
def test_what_is_not_of_now_says_so(state: DashboardState) -> None:
    assert not state.is_live
    assert "not live" in drawn(state)


def test_why_it_is_not_of_now() -> None:
    assert "silent for 60s" in drawn(DashboardState(NOW_MS, [word(now_ms=NOW_MS - 60_000)]))
    standby = DashboardState(NOW_MS, [word(state="standby", waits_for="64 partitions are held by w0")])
    assert "standby 64 partitions are held by w0" in drawn(standby)
    assert "Redis is away: refused" in drawn(DashboardState(NOW_MS, [word()], away="refused"))


def test_faults_are_red() -> None:
    state = DashboardState(NOW_MS, [word(counters={"gaps": 3, "quarantined": 2})])
    picture = drawn(state, colour=True)
    assert "\x1b[1;31mgaps 3" in picture
    assert "quarantined 2" in picture


def test_a_strangers_question_is_text_and_nothing_else() -> None:
    hostile = row(top(0), question="[bold]x[/] \x1b[2J\r\nboo" + "y" * 300)
    picture = drawn(DashboardState(NOW_MS, [word()], rows=[hostile]))
    assert "[bold]x[/]" in picture
    assert "\x1b" not in picture
    assert "\r" not in picture


@given(st.integers(10, 80), st.integers(0, 6), st.integers(0, 5))
def test_it_fits_the_terminal(height: int, workers: int, notes: int) -> None:
    state = DashboardState(
        NOW_MS, [word(f"w{number}") for number in range(workers)], notes=["note"] * notes, away="refused"
    )
    count = rows_that_fit(state, height)
    state = DashboardState(
        NOW_MS, state.workers, rows=[row(top(0))] * count, notes=state.notes, away=state.away
    )
    assert count == 1 or drawn(state).count("\n") <= height


@pytest.mark.parametrize("width", [60, 70, 80, 200])
def test_what_matters_is_seen_in_a_terminal_of_any_width(width: int) -> None:
    state = DashboardState(NOW_MS, [word()], rows=[row(top(0), gap(1, "disconnect"), question="y" * 200)])
    picture = drawn(state, width=width)
    assert "0.48 x 30" in picture
    assert "gap: disconnect" in picture
    assert "tokens 5 live 1 waiting" in picture


def test_spreads_are_exact() -> None:
    quote = Quote(bid="0.1", ask="0.3", known=True)
    assert spread(quote) == "0.2"
    assert spread(Quote(bid="0.1", known=True)) == ""


def test_rates_come_from_counters_and_forget_who_is_gone() -> None:
    rate = Rate()
    assert rate.update([word()], NOW_MS) == 0
    later = word(now_ms=NOW_MS + 2000, counters={"updates": 300})
    assert rate.update([later], NOW_MS + 2000) == 100
    assert rate.update([later], NOW_MS + 2500) == 100
    assert rate.update([later], NOW_MS + 60_000) == 0


def test_the_most_recently_active_markets_and_no_jumping_about() -> None:
    activity = Activity()
    activity.update([word(by_market=busy({"a": 5, "b": 9, "c": 1, "d": 2}))])
    assert activity.newest(2) == ["b", "a"]
    activity.update([word(now_ms=NOW_MS + 1000, by_market=busy({"a": 5, "b": 9, "c": 2, "d": 2}))])
    assert activity.newest(2) == ["b", "a"], "both are still among the four newest"
    assert activity.newest(3) == ["b", "a", "c"]
    activity.update(
        [word(now_ms=NOW_MS + 2000, by_market=busy({"a": 5, "b": 9, "c": 3, "d": 3, "e": 1, "f": 1}))]
    )
    assert activity.newest(2) == ["c", "d"]
