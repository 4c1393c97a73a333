"""Exact decimals: the venue's strings and the same numbers in millionths.

Prices and sizes stay the strings that the venue wrote; they become integers (millionths, called micros)
only to be compared or summed. Binary floats are never used.
"""

from typing import Final

from marketdata.errors import DecimalError

MICROS: Final = 1_000_000
"""Millionths in one unit."""

_PLACES: Final = 6
_SCALES: Final = tuple(10 ** (_PLACES - places) for places in range(_PLACES + 1))
_LONGEST_WHOLE, _LONGEST_PLACES = 15, 12
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
    whole, _, places = text.partition(".")
    digits = whole + places
    if (
        not (digits.isascii() and digits.isdigit())
        or len(whole) > _LONGEST_WHOLE
        or len(places) > _LONGEST_PLACES
    ):
        raise DecimalError(f"not a decimal number: {text[:40]!r}")
    if len(places) > _PLACES:
        if places[_PLACES:].strip("0"):
            raise DecimalError(f"more than six decimal places: {text[:40]!r}")
        micros = int(whole + places[:_PLACES])
    else:
        micros = int(digits) * _SCALES[len(places)]
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
