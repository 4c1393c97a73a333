"""Points in time as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from marketdata.entries import EntryId
from marketdata.errors import SettingsError

WAYS_TO_SAY_WHEN: Final = (
    "2h (also 90s, 15m, 1d, 1h30m: that long ago), now, 2026-01-31T12:00Z, or a stream id"
)
"""What `parse_when` takes, for messages."""

_UNIT_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGO: Final = re.compile(r"-?((?:\d{1,12}(?:ms|[smhdw]))+)", re.ASCII)
_AGO_PART: Final = re.compile(r"(\d+)(ms|[smhdw])", re.ASCII)
# Streams hold times from 2001 on, so shorter numbers are seconds or dates that were meant otherwise.
_STREAM_ID: Final = re.compile(r"(?:\d{12,14}(?:-\d{1,19})?|0(?:-0)?)", re.ASCII)


def parse_when(text: str, now_ms: int) -> EntryId:
    """The first stream id of a point in time.

    Args:
        text: "2h" or "-2h" (both: two hours ago; units ms, s, m, h, d, w, also joined as "1h30m"), "now",
            an ISO 8601 date or time (without a zone: UTC), or a stream id ("1700000000000-3",
            "1700000000000", "0": from the beginning).
        now_ms: what "now" and "ago" refer to, Unix milliseconds.

    Raises:
        SettingsError: none of these, or a time before 1970.
    """
    word = text.strip()
    if word.lower() == "now":
        return EntryId(now_ms, 0)
    if _STREAM_ID.fullmatch(word):
        return EntryId.parse(word)
    if ago := _AGO.fullmatch(word.lower()):
        back_ms = sum(int(number) * _UNIT_MS[unit] for number, unit in _AGO_PART.findall(ago[1]))
        return _since_1970(now_ms - back_ms, text)
    if word.isascii() and word.isdigit():
        meant = f"; in milliseconds that is {word}000" if len(word) == 10 else ""
        raise SettingsError(f"{text[:40]!r} is not a time in Unix milliseconds{meant}")
    try:
        moment = datetime.fromisoformat(word)
    except ValueError:
        raise SettingsError(f"{text[:40]!r} is not a time; write {WAYS_TO_SAY_WHEN}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since_1970 = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return _since_1970(
        (since_1970.days * 86_400 + since_1970.seconds) * 1000 + since_1970.microseconds // 1000, text
    )


def _since_1970(ms: int, text: str) -> EntryId:
    if ms < 0:
        raise SettingsError(f"{text[:40]!r} is before 1970")
    return EntryId(ms, 0)
