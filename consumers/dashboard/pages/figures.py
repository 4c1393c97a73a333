"""Numbers in few characters (pure)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from marketdata.decimals import to_micros
from marketdata.errors import DecimalError

NOTHING: Final = "-"
_STEPS: Final = (("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12))


def count(number: float | None) -> str:
    """At most six characters: "1,234", "98,765", "123k", "1.23M"; "-" for None."""
    if number is None:
        return NOTHING
    if number < 99_999.5:
        return f"{number:,.0f}"
    return _short(number)


def _short(number: float) -> str:
    for name, size in _STEPS:
        scaled = number / size
        if scaled < 999.5:
            return f"{scaled:.3g}{name}" if scaled < 99.95 else f"{scaled:.0f}{name}"
    return f"{number:.0e}"


@lru_cache(16_384)
def size(text: str) -> str:
    """A size in at most five characters, rounded: "30", "1,234", "12.8k", "123k", "1.2M"; "<1" for a part of one."""
    try:
        number = to_micros(text) / 1e6
    except DecimalError:
        return "?"
    if number < 9_999.5:
        return f"{number:,.0f}" if number >= 1 or not number else "<1"
    for name, scale in _STEPS[:-1]:
        if number < 999_500 * scale / 1000:
            return (
                f"{number / scale:.1f}{name}"
                if number < 99_950 * scale / 1000
                else f"{number / scale:.0f}{name}"
            )
    return "huge"


def exact(text: str) -> str:
    """A size in thirteen characters, nothing left out, so that points stand below each other: "  1234.5     "."""
    whole, _, places = text.partition(".")
    return f"{whole:>6}.{places:<6}" if places else f"{whole:>6}{'':7}" if text else ""


@lru_cache(4_096)
def cents(text: str) -> str:
    """Dollars to the cent, in at most eight characters up to 99,999: "1,234.56", "<0.01"; "?" for no number."""
    try:
        micros = to_micros(text)
    except DecimalError:
        return "?" if text else ""
    return "<0.01" if 0 < micros < 10_000 else f"{micros // 10_000 / 100:,.2f}"


def per_s(number: float | None) -> str:
    """A rate in at most six characters: "0", "0.3", "12", "1,234"."""
    if number is None:
        return NOTHING
    return f"{number:.1f}" if 0.05 <= number < 9.95 else count(number)


def millis(number: float | None) -> str:
    """Milliseconds in at most five characters: "0.52", "12.4", "1,310"."""
    if number is None:
        return NOTHING
    if number < 9.995:
        return f"{number:.2f}"
    return f"{number:.1f}" if number < 99.95 else count(number)


def memory(number: int) -> str:
    """Bytes: "812 kB", "12.3 MB", "1.07 GB"."""
    name, scale = next(
        ((name, scale) for name, scale in (("kB", 1e3), ("MB", 1e6)) if number < 999.5 * scale), ("GB", 1e9)
    )
    scaled = number / scale
    return f"{scaled:.{2 if scaled < 9.995 else 1 if scaled < 99.95 else 0}f} {name}"


def percent(part: int, whole: int) -> str:
    """At most five characters: "100%", "99.9%"; never "100%" for less than all; "-" of nothing."""
    if whole <= 0:
        return NOTHING
    if part >= whole:
        return "100%"
    return f"{min(int(1000 * part / whole), 999) / 10:.1f}%"


def dollars(number: float) -> str:
    """At most six characters: "$1,234", "$12.8k"."""
    return f"${number:,.0f}" if number < 9_999.5 else f"${_short(number)}"


def span(ms: float) -> str:
    """A time span in at most four characters: "0s", "41s", "7m", "2h", "3d"."""
    seconds = max(ms, 0) // 1000
    for unit, size_s, limit in (("s", 1, 120), ("m", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds < limit:
            return f"{seconds // size_s:.0f}{unit}"
    return f"{seconds // 86_400:.0f}d"
