"""Text of strangers, made fit for one cell of a table on any terminal (pure)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

from rich.cells import cell_len, set_cell_size

_LEFT_TO_RIGHT: Final = "\u200e"
_RIGHT_TO_LEFT_CLASSES: Final = frozenset({"R", "AL"})
_DROPPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Mc", "Zl", "Zp"})
_CACHED: Final = 8192


@lru_cache(_CACHED)
def plain(text: str) -> str:
    """One line without anything that moves the cursor or that terminals measure differently.

    Control and format characters go (a question may hold an escape sequence, or turn the writing direction of the
    line around); joined emoji fall apart into their parts, flags become their letters: both are one or two cells
    wide depending on the terminal, and everything to their right would shift. For the same reason spacing marks go
    (vowel signs of Indic scripts): some terminals give them a cell of their own, and what is composed stays so.
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
def fit(text: str, width: int, right: bool = False, ellipsis: str = "…") -> str:
    """The text in exactly `width` cells: cut with an ellipsis, or padded on the side away from its edge.

    Args:
        text: without control characters, see `plain`.
        width: cells.
        right: to the right edge.
        ellipsis: one cell.
    """
    if width <= 0:
        return ""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        kept = set_cell_size(text, width - 1).rstrip() + ellipsis
        text, length = kept, cell_len(kept)
    padding = " " * (width - length)
    if not text.isascii() and _turns_direction(text):
        # Else the numbers of the next columns would be drawn as part of the right-to-left words.
        text += _LEFT_TO_RIGHT
    return padding + text if right else text + padding


@lru_cache(_CACHED)
def shorten(text: str, width: int, ellipsis: str = "…") -> str:
    """At most `width` cells: without the words that begin most questions, then cut in the middle.

    Questions of a family begin alike and differ towards their end: a strike, a name, a date.
    """
    if cell_len(text) <= width or width < 12:
        return text
    for words in ("Will the ", "Will "):
        text = text.removeprefix(words)
    text = text.removesuffix("?")
    if cell_len(text) <= width:
        return text
    tail_cells = (width - 1) * 7 // 10
    tail = text
    while cell_len(tail) > tail_cells:
        tail = tail[max((len(tail) - tail_cells) // 2, 1) :]
    head = set_cell_size(text, width - 1 - cell_len(tail)).rstrip()
    return head + ellipsis + tail.lstrip()


def _turns_direction(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT_CLASSES for letter in text)
