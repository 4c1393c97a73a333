"""Points in time, in all the ways that people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.entries import EntryId
from marketdata.errors import SettingsError
from marketdata.times import parse_when

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00Z
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("now", NOW_MS),
        ("2h", NOW_MS - 2 * HOUR_MS),
        ("-2h", NOW_MS - 2 * HOUR_MS),
        ("1h30m", NOW_MS - HOUR_MS * 3 // 2),
        ("90s", NOW_MS - 90_000),
        ("250ms", NOW_MS - 250),
        ("1D", NOW_MS - 24 * HOUR_MS),
        ("1w", NOW_MS - 7 * 24 * HOUR_MS),
        (" 5m ", NOW_MS - 300_000),
        ("2026-01-01", NOW_MS),
        ("2026-01-01T00:00Z", NOW_MS),
        ("2026-01-01 00:00:00", NOW_MS),
        ("2026-01-01T01:00:00.250+01:00", NOW_MS + 250),
        ("1970-01-01", 0),
        ("1767225600000", NOW_MS),
        ("0", 0),
        ("0-0", 0),
    ],
)
def test_a_time_is_its_first_stream_id(text: str, ms: int) -> None:
    assert parse_when(text, NOW_MS) == EntryId(ms, 0)


def test_a_stream_id_is_itself() -> None:
    assert parse_when("1767225600000-7", NOW_MS) == EntryId(1_767_225_600_000, 7)


@given(st.integers(10**11, 10**14 - 1), st.integers(0, 2**63))
def test_every_stream_id_of_this_age_is_itself(ms: int, n: int) -> None:
    assert parse_when(str(EntryId(ms, n)), NOW_MS) == EntryId(ms, n)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a time"),
        ("-", "is not a time"),
        ("yesterday", "is not a time; write 2h"),
        ("2 h", "is not a time"),
        ("2x", "is not a time"),
        ("--2h", "is not a time"),
        ("2026-01", "is not a time"),
        ("2026-13-01", "is not a time"),
        ("٢h", "is not a time"),
        ("1767225600", "in milliseconds that is 1767225600000"),
        ("20260101", "is not a time in Unix milliseconds"),
        ("1969-12-31", "is before 1970"),
        ("9999999w", "is before 1970"),
    ],
)
def test_what_is_no_time_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse_when(text, NOW_MS)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_clear_error(text: str) -> None:
    try:
        found = parse_when(text, NOW_MS)
    except SettingsError as error:
        found, message = None, str(error)
    assert (message and "\n" not in message) if found is None else found >= EntryId(0, 0)
