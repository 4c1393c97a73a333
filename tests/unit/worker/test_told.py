"""What a log says of an error, and how often."""

from __future__ import annotations

from redis.exceptions import ResponseError

from worker.told import Seldom, in_one_line


def test_the_program_around_an_error_is_left_out() -> None:
    text = (
        "Command # 1 (EVAL local t = redis.call('TIME') -- (a)\nlocal now = 1) of pipeline caused error: "
        "OOM command not allowed when used memory > 'maxmemory'. script: "
        + "a1" * 20
        + ", on @user_script:5."
    )
    assert in_one_line(ResponseError(text)) == "OOM command not allowed when used memory > 'maxmemory'."


def test_an_error_that_wraps_its_text_is_unwrapped() -> None:
    assert in_one_line(ResponseError(("no. script: on @user_script:6.",))) == "no."


def test_an_error_without_a_text_is_told_by_its_name_and_a_long_one_is_cut() -> None:
    assert in_one_line(TimeoutError()) == "TimeoutError"
    assert in_one_line(ValueError("first\nsecond")) == "first"
    assert in_one_line(ValueError("x" * 999)) == "x" * 200


def test_a_row_of_messages_is_told_at_its_first_and_every_tenth() -> None:
    seldom = Seldom()
    assert not seldom.begun
    assert [n for n in range(1, 31) if seldom.says()] == [1, 10, 20, 30]
    assert seldom.begun
    seldom.end()
    assert not seldom.begun
    assert seldom.says()
