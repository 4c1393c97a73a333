"""What is well, what is not, and whose word counts."""

from __future__ import annotations

from typing import Any

import pytest

from bookstream.health import Verdict, judge
from consumers.workers import WorkerWord

NOW_MS = 1_700_000_000_000


def word(worker: str = "w1", *, silent_ms: int = 500, **given: Any) -> WorkerWord:
    plain = {
        "worker": worker,
        "pid": 1,
        "host": "here",
        "started_ms": NOW_MS - 60_000,
        "now_ms": NOW_MS - silent_ms,
        "state": "running",
        "partitions": 64,
        "partitions_total": 64,
        "tokens": 6,
        "tokens_live": 5,
    }
    return WorkerWord.model_validate(plain | given)


def verdict(*words: WorkerWord, worker: str = "") -> Verdict:
    return judge(words, host="here", worker=worker, now_ms=NOW_MS, max_age_s=5)


def test_a_running_worker_is_well_and_the_line_says_what_it_does() -> None:
    assert verdict(word()) == Verdict(
        True, "worker w1 is running; it writes 64 of 64 partitions, 5 of 6 tokens are live"
    )


def test_one_that_stands_by_is_well_and_says_for_whom() -> None:
    found = verdict(word(state="standby", waits_for="64 of 64 partitions are held by w0", partitions=0))
    assert found.well
    assert "is standby, 64 of 64 partitions are held by w0; it writes 0 of 64" in found.line


@pytest.mark.parametrize("state", ["starting", "stopping", "stopped"])
def test_one_that_does_not_work_yet_or_any_more_is_not_well(state: str) -> None:
    found = verdict(word(state=state))
    assert not found.well
    assert f"worker w1 is {state}" in found.line


@pytest.mark.parametrize(("silent_ms", "well"), [(0, True), (5_000, True), (5_001, False), (60_000, False)])
def test_silence_beyond_the_bound_is_not_well(silent_ms: int, well: bool) -> None:
    assert verdict(word(silent_ms=silent_ms)).well is well


def test_a_word_from_a_little_ahead_of_our_clock_is_fresh() -> None:
    assert verdict(word(silent_ms=-30)).well


def test_the_words_of_other_hosts_do_not_count() -> None:
    found = verdict(word(host="elsewhere"))
    assert not found.well
    assert "knows nothing of a worker on here" in found.line


def test_after_a_restart_the_later_start_counts_also_while_the_dead_one_is_fresher() -> None:
    dead = word("dead", silent_ms=100)
    again = word("again", silent_ms=900, started_ms=NOW_MS - 2_000, state="starting")
    assert "worker again is starting" in verdict(again, dead).line
    assert verdict(again, dead) == verdict(dead, again)


def test_a_worker_can_be_named_wherever_it_runs() -> None:
    words = word("w1", state="stopped"), word("w2", host="elsewhere")
    assert verdict(*words, worker="w2").well
    assert not verdict(*words, worker="w1").well
    assert "knows nothing of worker w3" in verdict(*words, worker="w3").line
