"""Exact decimals: the venue's strings and the same numbers in millionths.

Prices and sizes stay the strings that the venue wrote; they become integers (millionths, called micros)
only to be compared or summed. Binary floats are never used.
"""

import re
from typing import Final

from marketdata.errors import DecimalError

MICROS: Final = 1_000_000
"""Millionths in one unit."""

_DECIMAL: Final = re.compile(r"(\d{0,15})(?:\.(\d{0,12}))?", re.ASCII)
_CACHE_LIMIT: Final = 50_000
_cache: dict[str, int] = {}


def to_micros(text: str) -> int:
    """The number that `text` spells, in millionths.

    Takes the spellings of the venue: "0.5", ".48", "12816.02", "0", "1". No sign, no exponent.

    Raises:
        DecimalError: not a decimal number, or more than six places that are not zero.
    """
    known = _cache.get(text)
    if known is not None:
        return known
    match = _DECIMAL.fullmatch(text)
    if match is None or text in ("", "."):
        raise DecimalError(f"not a decimal number: {text[:40]!r}")
    whole, places = match[1] or "0", match[2] or ""
    if len(places) > 6 and places[6:].strip("0"):
        raise DecimalError(f"more than six decimal places: {text[:40]!r}")
    micros = int(whole) * MICROS + int(places[:6].ljust(6, "0"))
    if len(_cache) >= _CACHE_LIMIT:
        _cache.clear()
    _cache[text] = micros
    return micros


def from_micros(micros: int) -> str:
    """The shortest spelling of a number of millionths: 500000 is "0.5"."""
    sign = "-" if micros < 0 else ""
    whole, places = divmod(abs(micros), MICROS)
    return f"{sign}{whole}.{places:06d}".rstrip("0").rstrip(".") if places else f"{sign}{whole}"


def with_leading_zero(text: str) -> str:
    """The venue's spelling with a zero in front of a bare point: ".48" is "0.48"."""
    return "0" + text if text.startswith(".") else text
