"""Text of strangers, made fit for one cell of a table on any terminal (pure)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from rich.cells import cell_len

_LEFT_TO_RIGHT: Final = "\u200e"
_RIGHT_TO_LEFT_CLASSES: Final = frozenset({"R", "AL"})
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_CACHED: Final = 8192


def sought(text: str) -> str:
    """What is searched, and what is searched for, made alike: however it was written, what looks the same is."""
    return unicodedata.normalize("NFKC", plain(text)).casefold()


@lru_cache(_CACHED)
def plain(text: str) -> str:
    """One line without anything that moves the cursor or that terminals measure differently.

    Control and format characters go (a question may hold an escape sequence, or turn the writing direction of the
    line around); joined emoji fall apart into their parts, flags become their letters: both are one or two cells
    wide depending on the terminal, and everything to their right would shift. Spacing marks (vowel signs of Indic
    scripts) are measured differently, too, but no word is left without them: see `loose_cells`.
    """
    if text.isascii() and text.isprintable():
        return text
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(_plain_letter(letter) for letter in composed).split())


def _plain_letter(letter: str) -> str:
    code = ord(letter)
    if 0x1F1E6 <= code <= 0x1F1FF:
        return chr(ord("A") + code - 0x1F1E6)
    if 0xFE00 <= code <= 0xFE0F or 0x1F3FB <= code <= 0x1F3FF or code == 0x20E3:
        return ""
    if unicodedata.category(letter) in _DROPPED_CATEGORIES:
        return " " if letter.isspace() else ""
    return " " if letter.isspace() else letter


@lru_cache(_CACHED)
def loose_cells(text: str) -> int:
    """How many cells the text may take beyond rich's measure: some terminals give spacing marks one of their own."""
    if text.isascii():
        return 0
    return sum(unicodedata.category(letter) == "Mc" and not cell_len(letter) for letter in text)


def cells(text: str) -> int:
    """How many cells the text takes on the terminal that gives it most."""
    return len(text) if text.isascii() else cell_len(text) + loose_cells(text)


def cut(text: str, width: int) -> str:
    """As much of the text's beginning as fits in `width` cells; no letter loses a mark."""
    if text.isascii():
        return text[: max(width, 0)]
    used = end = 0
    for at, letter in enumerate(text):
        used += cells(letter)
        if used > width:
            break
        end = at + 1
    while 0 < end < len(text) and _is_mark(text[end]):
        end -= 1
    return text[:end]


@lru_cache(_CACHED)
def fit(text: str, width: int, right: bool = False, ellipsis: str = "…") -> str:
    """The text in exactly `width` cells as rich counts: cut with an ellipsis, or padded on the side away from its edge.

    It is cut so that it fits on every terminal: as many spaces as the text has `loose_cells` can be spared.

    Args:
        text: without control characters, see `plain`.
        width: cells.
        right: to the right edge.
        ellipsis: one cell.
    """
    if width <= 0:
        return ""
    if cells(text) > width:
        text = cut(text, width - 1).rstrip() + ellipsis
    padding = " " * (width - cell_len(text))
    if not text.isascii() and _turns_direction(text):
        # Else the numbers of the next columns would be drawn as part of the right-to-left words.
        text += _LEFT_TO_RIGHT
    return padding + text if right else text + padding


@lru_cache(_CACHED)
def shorten(text: str, width: int, ellipsis: str = "…") -> str:
    """At most `width` cells: without the words that begin most questions, then cut in the middle.

    Questions of a family begin alike and differ towards their end: a strike, a name, a date.
    """
    if cells(text) <= width or width < 12:
        return text
    for words in ("Will the ", "Will "):
        text = text.removeprefix(words)
    text = text.removesuffix("?")
    return cut_middle(text, width, ellipsis)


@lru_cache(_CACHED)
def cut_middle(text: str, width: int, ellipsis: str = "…") -> str:
    """At most `width` cells, of which the text's end has the larger part."""
    if cells(text) <= width:
        return text
    tail_cells = (width - 1) * 7 // 10
    tail = text
    while cells(tail) > tail_cells or (tail and _is_mark(tail[0])):
        tail = tail[max((len(tail) - tail_cells) // 2, 1) :]
    head = cut(text, width - 1 - cells(tail)).rstrip()
    return head + ellipsis + tail.lstrip()


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter) in ("Mc", "Mn")


def _turns_direction(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT_CLASSES for letter in text)
