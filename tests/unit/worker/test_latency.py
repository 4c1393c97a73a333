"""Percentiles from buckets, good to a tenth."""

from __future__ import annotations

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from worker.latency import WINDOW_S, Latencies


@given(st.lists(st.integers(11, 90_000_000), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_is_at_most_a_tenth_above_the_true_one(values_us: list[int], percent: int) -> None:
    latencies = Latencies()
    for value_us in values_us:
        latencies.add(value_us)
    true_us = sorted(values_us)[ceil(len(values_us) * percent / 100) - 1]
    found_us = latencies.percentile_ms(percent) * 1000
    assert true_us - 1e-3 <= found_us <= true_us * 1.1 + 2
    assert latencies.count == len(values_us)


def test_without_data_there_is_no_latency() -> None:
    assert Latencies().percentile_ms(99) == 0


def test_what_is_longer_than_all_buckets_or_before_its_time_is_counted_too() -> None:
    latencies = Latencies()
    latencies.add(10**12)
    assert latencies.percentile_ms(50) > 90_000
    latencies.add(-5)
    assert latencies.percentile_ms(50) == 0.01


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    now_s = 100.0
    latencies = Latencies(lambda: now_s)
    latencies.add(5_000_000)
    now_s += WINDOW_S + 1
    latencies.add(1_000)
    assert latencies.percentile_ms(99) >= 5_000, "of the window before"
    assert latencies.percentile_ms(50) < 1.2
    now_s += WINDOW_S - 2
    assert latencies.percentile_ms(99) >= 5_000
    now_s += 2
    assert latencies.percentile_ms(99) < 1.2
    now_s += 2 * WINDOW_S
    assert latencies.percentile_ms(99) == 0, "nothing was written lately"
    latencies.add(2_000)
    assert 2 <= latencies.percentile_ms(50) < 2.3
    assert latencies.count == 3
