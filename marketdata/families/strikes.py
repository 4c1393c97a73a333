"""Strikes as the venue spells them: in a label, in a question, in a slug.

    label      "64,000"  "84,000-86,000"  "<84,000"  ">86,000"  "0.6"
    question   "Will the price of Bitcoin be above $64,000 on March 11?"
    slug       "bitcoin-above-64k-on-march-11"  "xrp-above-0pt6-on-july-8-2026"  "...-between-76000-78000-on-"

All three become the same pair of decimal strings, so that they can be compared.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from marketdata.decimals import from_micros, to_micros
from marketdata.errors import DecimalError, StrikeError

Shape = Literal["threshold", "range"]


class Strike(NamedTuple):
    """The open interval of the settlement value in which a market's first outcome wins.

    Attributes:
        lower: decimal string, "64000"; empty where there is no lower bound.
        upper: the same for the upper bound.
    """

    lower: str
    upper: str


class Asked(NamedTuple):
    """What a question asks: of which asset, as a threshold or a range, which strikes, when (as written)."""

    asset: str
    shape: Shape
    strike: Strike
    when: str


_FACTORS: Final = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_NUMBER: Final = re.compile(r"\$?\s?((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)\s?([kmb]?)", re.I | re.ASCII)

_N: Final = r"(\$?\s?\d[\d,]*(?:\.\d+)?\s?[kmb]?)"
_DASH: Final = r"\s?[-–—−]\s?"

_QUESTION: Final = re.compile(
    rf"will (?:the )?price of (?P<asset>.+?) be (?:above {_N}|between {_N}(?: and |{_DASH}){_N}"
    rf"|less than {_N}|greater than {_N}) on (?P<when>.+?)\?",
    re.I | re.ASCII,
)
_LABEL: Final = re.compile(rf"(?:{_N}|{_N}{_DASH}{_N}|<\s?{_N}|>\s?{_N})", re.I | re.ASCII)

# "pt" is the point of a slug; a word of digits must end at a dash, or "64k" could be read out of "64kg".
_S: Final = r"(\d+(?:pt\d+)?[kmb]?)"
_SLUG: Final = re.compile(
    rf"(?:^|-)(?:above-{_S}|between-{_S}(?:-and)?-{_S}|less-than-{_S}|greater-than-{_S})-on-", re.ASCII
)


def strike_of_label(label: str) -> Strike | None:
    """The strikes of a groupItemTitle; None where it is not a strike.

    Raises:
        StrikeError: it looks like a strike, and its numbers cannot be read.
    """
    match = _LABEL.fullmatch(label.strip())
    return _strike(match.groups(), label) if match else None


def strike_of_slug(slug: str) -> Strike | None:
    """The strikes that a market's slug names; None where it names none.

    Raises:
        StrikeError: the numbers cannot be read.
    """
    match = _SLUG.search(slug)
    return _strike(tuple(g and g.replace("pt", ".") for g in match.groups()), slug) if match else None


def asked(question: str) -> Asked | None:
    """What a question asks; None where it is of no price family.

    Raises:
        StrikeError: it names strikes that cannot be read.
    """
    match = _QUESTION.fullmatch(question.strip())
    if match is None:
        return None
    numbers = tuple(value for name, value in _by_index(match) if name is None)
    return Asked(
        asset=match["asset"].strip(),
        shape="threshold" if numbers[0] is not None else "range",
        strike=_strike(numbers, question),
        when=match["when"].strip(),
    )


def _by_index(match: re.Match[str]) -> list[tuple[str | None, str | None]]:
    names = {index: name for name, index in match.re.groupindex.items()}
    return [(names.get(index), match[index]) for index in range(1, match.re.groups + 1)]


def _strike(numbers: tuple[str | None, ...], source: str) -> Strike:
    """From the five places of a pattern: above, between's two, less than, greater than."""
    above, low, high, less, greater = (_decimal(text, source) if text else "" for text in numbers)
    if low and to_micros(low) >= to_micros(high):
        raise StrikeError(f"a range that does not rise: {source[:120]!r}")
    return Strike(lower=above or low or greater, upper=high or less)


def _decimal(text: str, source: str) -> str:
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise StrikeError(f"cannot read the number {text[:40]!r} in {source[:120]!r}")
    try:
        return from_micros(to_micros(match[1].replace(",", "")) * _FACTORS[match[2].lower()])
    except DecimalError as error:
        raise StrikeError(f"{error} in {source[:120]!r}") from None
