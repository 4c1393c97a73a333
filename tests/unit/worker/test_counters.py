"""What is counted by name stays bounded, and planned gaps are no faults."""

from __future__ import annotations

from worker.counters import Counters
from worker.verification import Check


def test_names_that_the_venue_makes_up_do_not_grow_without_end() -> None:
    counters = Counters()
    for number in range(500):
        counters.unknown(f"type{number}")
        counters.text(f"text{number}")
    assert len(counters.events) == 51
    assert counters.events["other"] == 950
    counters.unknown("type3")
    assert counters.events["unknown:type3"] == 2, "a known name goes on being counted"
    assert counters.events.total() == 1001


def test_planned_gaps_are_no_faults() -> None:
    counters = Counters()
    for cause in ("handover", "shutdown", "desync", "redis", "redis"):
        counters.gap(cause)
    assert counters.fault_gaps == 3
    counters.interrupted = 1
    assert counters.fault_gaps == 4, "one of the handovers broke a stream off"


def test_hash_results_by_kind() -> None:
    counters = Counters()
    for result in (Check.MATCH, Check.MISMATCH, Check.MISMATCH, Check.UNABLE):
        counters.hash_result(result)
    assert (counters.hash_matches, counters.hash_mismatches, counters.hash_unable) == (1, 2, 1)
