"""Who fell silent is told once, those who fall silent together in one line, and their return once."""

from __future__ import annotations

from consumers.silence import Silence
from marketdata.groups.messages import SILENT_AFTER_S


def test_silence_is_told_once_and_its_end_once() -> None:
    silence = Silence[int]()
    told = [silence.look({1: min(at, 3)}, float(at)) for at in range(3, 20)]
    assert told.count("silent") == 1
    assert told.index("silent") == SILENT_AFTER_S + 1, "one look later than it began"
    assert set(told) == {"silent", ""}
    assert silence.since_s == 3
    assert silence.look({1: 99}, 20.0) == "back"
    assert silence.look({1: 100}, 21.0) == ""


def test_one_that_never_spoke_is_silent_too() -> None:
    silence = Silence[str]()
    assert [silence.look({"engine": None}, float(at)) for at in range(8)][-2:] == ["silent", ""]


def test_those_who_fall_silent_within_a_second_are_one_line() -> None:
    silence = Silence[int]()
    last = {1: 2, 2: 3, 3: 3}
    told = [silence.look({one: min(at, last[one]) for one in last}, float(at)) for at in range(20)]
    assert [one for one in told if one] == ["silent"]
    assert silence.silent == {1, 2, 3}


def test_more_of_them_are_another_line_and_some_who_come_back_are_none() -> None:
    silence = Silence[int]()
    told = [silence.look({1: 0, 2: min(at, 20)}, float(at)) for at in range(40)]
    assert [at for at, one in enumerate(told) if one] == [6, 26]
    assert silence.look({1: 0, 2: 41}, 41.0) == ""
    assert silence.look({1: 42, 2: 42}, 42.0) == "back"


def test_one_that_falls_silent_after_another_came_back_is_told_too() -> None:
    silence = Silence[int]()
    told = [silence.look({1: max(0, at - 10), 2: 0, 3: min(at, 20)}, float(at)) for at in range(40)]
    assert [(at, one) for at, one in enumerate(told) if one] == [(6, "silent"), (26, "silent")]
    assert silence.silent == {2, 3}


def test_who_could_not_be_heard_is_not_yet_silent() -> None:
    silence = Silence[int]()
    silence.look({1: 5, 2: 0}, 0.0)
    for at in range(1, 8):
        silence.look({1: 5 + at, 2: 0}, float(at))
    assert silence.silent == {2}
    silence.was_deaf(100.0)
    assert silence.look({1: 12, 2: 0}, 100.5) == ""
    assert silence.silent == {2}
    assert silence.look({1: 13, 2: 1}, 101.0) == "back"


def test_who_is_not_listened_to_any_more_is_forgotten() -> None:
    silence = Silence[int]()
    for at in range(8):
        silence.look({1: 0, 2: at}, float(at))
    assert silence.look({2: 9}, 9.0) == "back"
