"""What a price market settles on, and when.

Source of the rules: descriptions of the venue's markets, "the Binance 1 minute candle for BTC/USDT 12:00 in
the ET timezone (noon) ... has a final "Close" price ...".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from marketdata.errors import StrikeError

NEW_YORK: Final = ZoneInfo("America/New_York")
"""The venue says ET and means the clock on the wall: UTC-4 in summer, UTC-5 in winter."""

NOMINAL: Final = timedelta(hours=24)
"""An endDate may be the day only; further than this from the settlement it names another day."""

_SYMBOLS: Final = {
    "Bitcoin": "BTC",
    "Ethereum": "ETH",
    "Solana": "SOL",
    "XRP": "XRP",
    "Dogecoin": "DOGE",
    "BNB": "BNB",
    "Cardano": "ADA",
    "Chainlink": "LINK",
    "Hyperliquid": "HYPE",
}
_NAMES: Final = {word.lower(): name for name, symbol in _SYMBOLS.items() for word in (name, symbol)}
_PAIR: Final = re.compile(r"\b([A-Z0-9]{2,10}?)[/_]?(USDT|USDC|FDUSD|USD)\b")
_CANDLE: Final = re.compile(r"\b(any )?(?:Binance )?(\d+)[- ](minute|hour|day)s? candle", re.I)
_FIELD: Final = re.compile(r"final [\"“”']?(\w+)[\"“”']? price", re.I)
_CLOCK: Final = re.compile(r"\b(\d{1,2}):(\d{2}) (?:in the )?ET\b")
_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_WHEN: Final = re.compile(
    r"([a-z]{3,9})\.?[ -](\d{1,2})(?:,?[ -](\d{4}))?"
    r"(?:(?:,| at|-)?[ -]?(\d{1,2})(?::(\d{2}))?[ -]?(am|pm)[ -]et)?",
    re.I | re.ASCII,
)


class When(NamedTuple):
    """A day, perhaps with its year and a time of day in New York."""

    month: int
    day: int
    year: int | None
    clock: time | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a description says; empty or None where it says nothing.

    Attributes:
        source: "Binance BTC/USDT", or the address of another source without its scheme.
        base: "BTC", the pair's first half.
        clock: time of day in New York.
        objection: why the market does not settle on one price at one moment.
    """

    source: str
    base: str
    clock: time | None
    objection: str


def rules_of(description: str, resolution_source: str) -> Rules:
    """What a market's or event's texts say about its settlement."""
    source, base = _source(description, resolution_source)
    candle, field, clock = _CANDLE.search(description), _FIELD.search(description), _CLOCK.search(description)
    objection = ""
    if candle and candle[1]:
        objection = "it settles on any candle of a time, not on one"
    elif candle and (candle[2], candle[3].lower()) != ("1", "minute"):
        objection = f"it settles on a {candle[2]} {candle[3]} candle, not on a 1 minute one"
    elif field and field[1].lower() != "close":
        objection = f"it settles on a candle's {field[1]}, not on its Close"
    return Rules(source, base, _time(int(clock[1]), int(clock[2])) if clock else None, objection)


def _source(description: str, resolution_source: str) -> tuple[str, str]:
    if "binance" in description.lower() and (pair := _PAIR.search(description)):
        return f"Binance {pair[1]}/{pair[2]}", pair[1]
    address = urlsplit(resolution_source.strip())
    if not address.hostname:
        return "", ""
    if address.hostname.endswith("binance.com") and (pair := _PAIR.search(address.path.rsplit("/", 1)[-1])):
        return f"Binance {pair[1]}/{pair[2]}", pair[1]
    return f"{address.hostname}{address.path}".rstrip("/"), ""


def asset_name(text: str) -> str:
    """One spelling an asset: "$ETH", "ETH" and "ethereum" are "Ethereum"; unknown ones stay as they are."""
    bare = text.strip().removeprefix("$")
    return _NAMES.get(bare.lower(), bare)


def wrong_pair(asset: str, base: str) -> bool:
    """Whether a pair's first half is known not to be the symbol of this asset (of `asset_name`)."""
    known = _SYMBOLS.get(asset)
    return bool(base) and known is not None and known != base


def when_of(text: str) -> When:
    """Reads "March 11", "June 25, 2026", "April 5, 3PM ET", "april-5-2026-3pm-et", "Apr 25".

    Raises:
        StrikeError: not a day.
    """
    match = _WHEN.fullmatch(text.strip())
    months = [n for n, name in enumerate(_MONTHS, 1) if match and name.startswith(match[1].lower())]
    if match is None or len(months) != 1:
        raise StrikeError(f"not a day: {text[:60]!r}")
    clock = None
    if match[4]:
        hour = int(match[4]) % 12 + (12 if match[6].lower() == "pm" else 0)
        clock = _time(hour if int(match[4]) <= 12 else 24, int(match[5] or 0))
        if clock is None:
            raise StrikeError(f"not a time of day: {text[:60]!r}")
    return When(months[0], int(match[2]), int(match[3]) if match[3] else None, clock)


def _time(hour: int, minute: int) -> time | None:
    return time(hour, minute) if hour < 24 and minute < 60 else None


def utc(text: str) -> datetime | None:
    """An ISO time of the venue as an aware UTC time; None where it is none."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def settlement_time(when: When, clock: time | None, end: datetime | None) -> datetime | None:
    """The moment of settlement in UTC; None where the texts leave it open.

    Args:
        when: the day in the title.
        clock: the time of day in New York that the description gives; None: the title's, else the end's.
        end: the market's endDate, which is nominal.

    Raises:
        StrikeError: day, time and end contradict one another.
    """
    if clock and when.clock and clock != when.clock:
        raise StrikeError(f"the title says {when.clock:%H:%M} ET, the description {clock:%H:%M} ET")
    clock = clock or when.clock
    years = (when.year,) if when.year else (end.year - 1, end.year, end.year + 1) if end else ()
    days = [day for year in years if (day := _date(year, when.month, when.day))]
    if not days:
        if years:
            raise StrikeError(f"no such day: month {when.month}, day {when.day}")
        return None
    if clock is None:
        local = end.astimezone(NEW_YORK) if end else None
        if end and local and local.date() in days:
            return end
        moments = [datetime.combine(day, time(12), NEW_YORK).astimezone(UTC) for day in days]
        _nearest(moments, end)
        return None
    return _nearest([datetime.combine(day, clock, NEW_YORK).astimezone(UTC) for day in days], end)


def _nearest(moments: list[datetime], end: datetime | None) -> datetime:
    if end is None:
        return moments[0]
    best = min(moments, key=lambda moment: abs(moment - end))
    if abs(best - end) > NOMINAL:
        raise StrikeError(f"the title's day settles at {spell(best)}, but the end date is {spell(end)}")
    return best


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def spell(moment: datetime) -> str:
    """ISO, in UTC, to the second: "2026-03-11T16:00:00Z"."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
