"""What a Retry-After header asks for, in both of its forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.retry_after import retry_after_s


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("9" * 40, 999_999_999.0),
        ("Sun, 22 Nov 2026 10:00:30 GMT", 30.0),
        ("Sun, 22 Nov 2026 10:00:30 -0000", 30.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("٣", 0.0),
    ],
)
def test_seconds_or_a_date(header: str, seconds: float) -> None:
    assert retry_after_s(header, datetime(2026, 11, 22, 10, tzinfo=UTC)) == seconds
