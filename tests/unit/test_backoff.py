"""Delays double, are spread, have a floor and a ceiling, and start anew only when told to."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from marketdata.backoff import Backoff


class Fixed(Random):
    """Always the same draw."""

    def __init__(self, draw: float) -> None:
        super().__init__()
        self._draw = draw

    def random(self) -> float:
        return self._draw


def delays(draw: float, count: int, **given: float) -> list[float]:
    backoff = Backoff(1.0, 30.0, Fixed(draw), **given)
    return [backoff.next_delay_s() for _ in range(count)]


def test_delays_double_from_half_to_whole() -> None:
    assert delays(0.0, 8) == [1, 1, 2, 4, 8, 15, 15, 15]
    assert delays(1.0, 8) == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_shortest_delay_may_be_half_of_the_first() -> None:
    assert delays(0.0, 4, least_s=0) == [0.5, 1, 2, 4]
    assert delays(1.0, 4, least_s=0) == [1, 2, 4, 8]


@given(st.floats(0.01, 5), st.floats(5, 300), st.integers(0, 5000), st.randoms(use_true_random=False))
def test_no_delay_leaves_its_bounds(first_s: float, longest_s: float, tries: int, random: Random) -> None:
    for least_s, shortest_s in ((None, first_s), (0.0, first_s / 2)):
        backoff = Backoff(first_s, longest_s, random, least_s, tries)
        assert shortest_s <= backoff.next_delay_s() <= longest_s
        assert backoff.tries == tries + 1


def test_a_reset_begins_at_the_first_delay() -> None:
    backoff = Backoff(1.0, 30.0, Fixed(1.0), tries=9)
    backoff.reset()
    assert backoff.next_delay_s() == 1.0


def test_two_workers_do_not_come_back_at_the_same_time() -> None:
    one, other = (Backoff(1.0, 30.0, Random()) for _ in range(2))
    assert [one.next_delay_s() for _ in range(9)] != [other.next_delay_s() for _ in range(9)]
