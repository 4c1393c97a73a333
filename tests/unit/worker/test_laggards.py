"""A group that is far behind is told of when it begins, and an abandoned one at most once an hour."""

from __future__ import annotations

from itertools import pairwise

import pytest

from worker.laggards import LONGEST_PAUSE_S, Behind, Laggards

MINUTE_S = 60


def times(laggards: Laggards, behind_at: set[int], until_s: int) -> list[int]:
    """When something was said by sweeps once a minute."""
    return [
        now_s
        for now_s in range(0, until_s, MINUTE_S)
        if laggards.look({"g": Behind(1, 9_500)} if now_s in behind_at else {}, float(now_s))
    ]


def test_one_line_a_group_with_the_streams_and_the_most() -> None:
    lines = Laggards(10_000).look({"slow": Behind(3, 9_900), "gone": Behind(500, 10_100)}, 0.0)
    assert lines == [
        "group gone is far behind in 500 streams, up to 10100 entries; beyond 10000 it loses them;"
        " if nobody reads it any more: bookstream groups remove gone",
        "group slow is far behind in 3 streams, up to 9900 entries; beyond 10000 it loses them;"
        " if nobody reads it any more: bookstream groups remove slow",
    ]


@pytest.mark.parametrize("name", ["my group", "a:b", "x" * 65, "-g", "\ufffd", "g\n", ""])
def test_the_command_is_not_advised_for_names_that_it_refuses(name: str) -> None:
    (line,) = Laggards(10_000).look({name: Behind(3, 9_900)}, 0.0)
    assert line.isprintable()
    assert line.endswith("if nobody reads it any more: XGROUP DESTROY in each of them")
    assert "groups remove" not in line


def test_an_abandoned_one_is_told_of_with_growing_pauses_of_at_most_an_hour() -> None:
    day = range(0, 86_400, MINUTE_S)
    said = times(Laggards(10_000), set(day), 86_400)
    pauses = [later - sooner for sooner, later in pairwise(said)]
    assert said[0] == 0, "at once when it begins"
    assert pauses == sorted(pauses)
    assert max(pauses) == LONGEST_PAUSE_S
    assert len(said) < 30


def test_one_that_comes_and_goes_is_no_news_each_time_and_one_that_comes_back_is() -> None:
    flapping = times(Laggards(10_000), set(range(0, 3_600, 2 * MINUTE_S)), 3_600)
    assert len(flapping) < 5
    laggards = Laggards(10_000)
    assert times(laggards, {0, 7_200}, 7_260) == [0, 7_200]
