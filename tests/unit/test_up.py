"""What `up` decides without waiting: restarts, command lines, and whether a run was well."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bookstream.loading import load
from bookstream.settings import UpSettings
from bookstream.up.logs import ChildLog
from bookstream.up.plan import (
    capture_arguments,
    engine_environ,
    simulated_venue,
    simulator_arguments,
    synthetic_arguments,
    worker_environ,
)
from bookstream.up.restarts import FIRST_DELAY_S, LONGEST_DELAY_S, PROVEN_AFTER_S, Restarts
from bookstream.up.screen import progress
from bookstream.up.totals import Totals
from consumers.arbitrage.settings import ArbitrageSettings
from consumers.dashboard.rates import Rates
from consumers.verify.report import Report
from consumers.workers import WorkerWord
from marketdata.entries import EntryId
from marketdata.proof import Hole
from simulator.settings import SimulateSettings
from worker.settings import WorkerSettings

NOW_MS = 1_700_000_000_000


def word(worker: str = "w1", pid: int = 11, **given: Any) -> WorkerWord:
    counters = {"frames": 10, "updates": 8, "entries": 9, "gaps": 0, "quarantined": 0}
    counters |= given.pop("counters", {})
    plain = {
        "worker": worker,
        "pid": pid,
        "host": "here",
        "started_ms": NOW_MS - 60_000,
        "now_ms": NOW_MS,
        "state": "running",
        "connections": [{"name": "c0", "state": "live"}],
        "markets": 3,
        "tokens": 6,
        "tokens_live": 6,
        "counters": counters,
        "latency_ms": {"p50": 0.5, "p99": 1.5},
    }
    return WorkerWord.model_validate(plain | given)


def totals(*words: WorkerWord, pid: int | None = 11) -> Totals:
    found = Totals()
    found.add(words, "here", {one.pid for one in words})
    found.note_end(pid)
    return found


def test_deaths_in_a_row_wait_longer_and_a_good_life_is_forgiven() -> None:
    restarts = Restarts()
    delays = [restarts.after_death(1.0) for _ in range(8)]
    assert delays[:3] == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    assert delays[-1] == LONGEST_DELAY_S
    assert restarts.after_death(PROVEN_AFTER_S) == FIRST_DELAY_S


def test_a_simulator_keeps_its_address() -> None:
    assert simulator_arguments(None, ["--synthetic"]) == [
        "simulate",
        "--listen",
        "127.0.0.1:0",
        "--synthetic",
    ]
    again = simulator_arguments("http://127.0.0.1:4711", ["--synthetic"])
    assert again[:3] == ["simulate", "--listen", "127.0.0.1:4711"]
    assert load(SimulateSettings, again[1:], "test").settings.port == 4711


def test_the_simulator_is_told_what_up_was_told() -> None:
    told = UpSettings(venue="simulated", markets=12, rate=0.5, edges=6)
    simulator = load(SimulateSettings, synthetic_arguments(told, 2**40, NOW_MS), "test").settings
    assert simulator.synthetic
    assert (simulator.markets, simulator.rate, simulator.seed, simulator.edges) == (12, 0.5, 2**40, 6)
    assert simulator.start_ms == NOW_MS


def test_recordings_are_played_in_a_loop_from_wherever_up_was_called() -> None:
    here = Path(__file__).relative_to(Path.cwd())
    simulator = load(SimulateSettings, capture_arguments([here]), "test").settings
    assert simulator.loop
    assert not simulator.synthetic
    assert simulator.capture == (Path(__file__),)


def test_a_worker_gets_what_up_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = UpSettings(
        venue="simulated", max_markets=7, filter_tag_ids="1,2", redis_url="redis://u:secret@h:1/0"
    )
    venue = simulated_venue("http://127.0.0.1:4711")
    environ = worker_environ(told, venue, {"PATH": "/bin", "MAX_MARKETS": "9"})
    assert environ["PATH"] == "/bin"
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    worker = WorkerSettings()
    assert (worker.max_markets, worker.filter_tag_ids) == (7, ("1", "2"))
    assert worker.redis_url == "redis://u:secret@h:1/0"
    assert worker.venue_ws_url == "ws://127.0.0.1:4711/ws/market"
    assert worker.gamma_url == worker.clob_url == "http://127.0.0.1:4711"
    shared = WorkerSettings.model_fields.keys() - {"venue_ws_url", "gamma_url", "clob_url"}
    assert {name: getattr(worker, name) for name in shared} == {name: getattr(told, name) for name in shared}


def test_the_engine_is_told_what_up_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = UpSettings(
        redis_url="unix:///run/r.sock", key_prefix="x:", arb_min_profit_bps=7.5, catalog_overrides="f"
    )
    for name, value in engine_environ(told, {"ARB_MIN_PROFIT_BPS": "9"}).items():
        monkeypatch.setenv(name, value)
    engine = ArbitrageSettings()
    assert (engine.redis_url, engine.key_prefix, engine.catalog_overrides) == (
        "unix:///run/r.sock",
        "x:",
        "f",
    )
    assert (engine.limits, engine.group) == (told.limits, "arbitrage")
    assert engine.limits.min_bps_micros == 7_500_000


def test_opportunities_are_a_part_of_the_sum() -> None:
    run = totals(word())
    run.opportunities = 4
    assert run.summary(Report())["opportunities"] == 4
    assert "9 entries, 4 opportunities, latency" in run.in_words(Report())[0]


def test_a_good_run() -> None:
    run = totals(word())
    assert run.faults(Report()) == []
    assert run.summary(Report()) == {
        "ok": True,
        "markets": 3,
        "tokens": 6,
        "connections": 1,
        "frames": 10,
        "updates": 8,
        "entries": 9,
        "gaps": 0,
        "quarantined": 0,
        "opportunities": None,
        "latency_ms": {"p50": 0.5, "p99": 1.5},
    }
    assert run.in_words(Report(entries=9))[-1] == "all well: no gaps, 9 entries verified"


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (totals(pid=None), "it ended before a worker was started"),
        (totals(word(state="starting")), "the worker was still starting at the end"),
        (totals(), "no worker was running at the end"),
        (totals(word(pid=12)), "no worker was running at the end"),
    ],
)
def test_a_run_without_a_worker_says_why(run: Totals, said: str) -> None:
    assert run.faults(Report()) == [said]


def test_the_newest_message_of_a_log_is_given_without_its_time(tmp_path: Path) -> None:
    log = ChildLog(tmp_path / "worker.log")
    assert log.last_message == ""
    (tmp_path / "worker.log").write_text(
        "2026-11-22T09:33:01.826Z [info     ] first\n"
        "2026-11-22T09:33:02.826Z [warning  ] https://venue did not answer [discovery]\n"
    )
    assert log.last_message == "https://venue did not answer [discovery]"
    assert ChildLog(None).last_message == ""


def test_workers_that_died_count_too_with_their_last_word() -> None:
    run = Totals()
    run.add([word(counters={"entries": 5})], "here", {11})
    run.add([word(counters={"entries": 6}, now_ms=NOW_MS + 1)], "here", {11})
    run.add([word(counters={"entries": 2}, now_ms=NOW_MS - 1)], "here", {11})
    run.add(
        [word("w2", 12, counters={"entries": 30, "gaps": 1}, gaps_by_cause={"redis": 1})], "here", {11, 12}
    )
    run.note_end(12)
    assert run.count("entries") == 36
    assert run.faults(Report()) == ["1 gaps (redis 1)"]


def test_a_restarted_worker_of_the_same_name_starts_from_zero() -> None:
    run = totals(word(), word(pid=12, started_ms=NOW_MS), pid=12)
    assert run.count("entries") == 18


def test_strangers_do_not_count() -> None:
    run = Totals()
    run.add([word(pid=99), word(host="elsewhere")], "here", {11})
    run.note_end(11)
    assert run.faults(Report()) == ["no worker was running at the end"]
    assert run.summary(Report())["entries"] == 0


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"tokens_live": 0}, "no token was live at the end"),
        ({"tokens_waiting": 2}, "2 tokens waited at the end"),
        ({"state": "standby", "waits_for": "all by w0"}, "the worker only stood by: all by w0"),
        (
            {"counters": {"gaps": 2}, "gaps_by_cause": {"stale": 2, "shutdown": 3}},
            "2 gaps (stale 2)",
        ),
        ({"counters": {"quarantined": 1}}, "1 frames quarantined"),
    ],
)
def test_what_makes_a_run_bad(given: dict[str, Any], fault: str) -> None:
    run = totals(word(**given))
    assert run.faults(Report()) == [fault]
    assert run.summary(Report())["ok"] is False
    assert run.in_words(Report())[-1] == f"not well: {fault}"


def test_a_handover_that_broke_streams_off_makes_a_run_bad_and_a_planned_one_does_not() -> None:
    planned = totals(word(gaps_by_cause={"handover": 3, "shutdown": 3}))
    assert planned.faults(Report()) == []
    broken = totals(
        word(counters={"gaps": 3, "interrupted": 2}, gaps_by_cause={"handover": 3, "stale": 1, "shutdown": 3})
    )
    assert broken.faults(Report()) == ["3 gaps (handover 2, stale 1)"]
    assert broken.summary(Report())["ok"] is False


def test_the_last_word_after_the_end_changes_counts_but_not_the_state_at_the_end() -> None:
    run = totals(word())
    run.add([word(state="stopped", tokens_live=0, now_ms=NOW_MS + 9, counters={"entries": 12})], "here", {11})
    assert run.faults(Report()) == []
    assert run.summary(Report())["entries"] == 12


def test_streams_that_do_not_prove_themselves_make_a_run_bad() -> None:
    broken = Report(gaps=Counter(), streams=1)
    broken.add_hole(Hole("k", "seq", None, EntryId(1, 0), 0, "seq 2", "seq 3"))
    assert totals(word()).faults(broken) == ["verify: 1 holes, 0 violations"]
    assert totals(word()).faults(None) == ["the streams could not be verified"]


def test_progress_in_a_line() -> None:
    rates = Rates()
    began_ms = NOW_MS - 60_000
    rates.update({("w1", began_ms): (NOW_MS - 2_000, 2), ("w2", began_ms): (NOW_MS - 2_000, 0)})
    rates.update({("w1", began_ms): (NOW_MS, 8), ("w2", began_ms): (NOW_MS, 200)})
    assert progress([word(), word("w2", counters={"updates": 200, "entries": 0})], rates, NOW_MS) == [
        "w1 running: 3 markets, 6/6 tokens live, 8 updates (3/s), 9 entries, 0 gaps, p99 1.5 ms",
        "w2 running: 3 markets, 6/6 tokens live, 200 updates (100/s), 0 entries, 0 gaps, p99 1.5 ms",
    ]
    unmeasured = progress([word(latency_ms={"p50": 0.0, "p99": 0.0})], Rates(), NOW_MS)
    assert unmeasured == ["w1 running: 3 markets, 6/6 tokens live, 8 updates, 9 entries, 0 gaps, p99 -"]
    standby = word(state="standby", waits_for="64 of 64 partitions are held by w0")
    assert progress([standby], Rates(), NOW_MS)[0].startswith(
        "w1 standby 64 of 64 partitions are held by w0: "
    )
    assert progress([word()], Rates(), NOW_MS + 60_000) == ["no worker is heard"]
