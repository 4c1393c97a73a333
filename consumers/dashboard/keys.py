"""From the bytes that a terminal sends to keys (pure)."""

from __future__ import annotations

import re
from typing import Final

ESC_WAIT_S: Final = 0.05
"""A lone escape byte is the key esc if nothing follows it for this long: arrows begin with the same byte."""

_ESC: Final = 0x1B
_NAMED: Final = {
    b"\x1b": "esc",
    b"\r": "enter",
    b"\n": "enter",
    b"\t": "tab",
    b"\x7f": "backspace",
    b"\x08": "backspace",
    b"\x15": "ctrl-u",
    b"\x17": "ctrl-w",
    b"\x0c": "ctrl-l",
    b"\x06": "page-down",
    b"\x02": "page-up",
    b"\x04": "half-down",
    b"\x03": "ctrl-c",
    b" ": "space",
}
_SEQUENCES: Final = {
    b"A": "up",
    b"B": "down",
    b"C": "right",
    b"D": "left",
    b"H": "home",
    b"F": "end",
    b"M": "enter",
    b"Z": "back-tab",
    b"1~": "home",
    b"7~": "home",
    b"4~": "end",
    b"8~": "end",
    b"3~": "delete",
    b"5~": "page-up",
    b"6~": "page-down",
}
_CSI: Final = re.compile(rb"\x1b(?:\[|O)([0-9;?<>= ]{0,30})([@-~])")
_BEGINNING: Final = re.compile(rb"\x1b(?:(?:\[|O)[0-9;?<>= ]{0,30})?")


class KeyDecoder:
    """Takes bytes as they come, gives names of keys: "a", "enter", "up", "esc".

    Sequences that mean nothing here (the mouse, the focus, answers of the terminal) vanish whole, so that their tail
    is never taken for keys.
    """

    def __init__(self) -> None:
        self._held = b""

    @property
    def waits(self) -> bool:
        """Whether the bytes so far end in what may be esc or the beginning of a longer key: call `flush` if nothing
        comes for `ESC_WAIT_S`."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[str]:
        """The keys that are complete with these bytes."""
        data, self._held = self._held + data, b""
        keys: list[str] = []
        at = 0
        while at < len(data):
            key, taken = _first(data[at:])
            if not taken:
                self._held = data[at:]
                break
            if key:
                keys.append(key)
            at += taken
        return keys

    def flush(self) -> list[str]:
        """The time is up: what was held is what it looks like."""
        held, self._held = self._held, b""
        return ["esc"] if held == b"\x1b" else []


def _first(data: bytes) -> tuple[str, int]:
    """The first key (empty: none that means anything) and its length; 0: more bytes are wanted."""
    if data[0] == _ESC:
        return _escaped(data)
    if data[:1] in _NAMED:
        return _NAMED[data[:1]], 1
    if data[0] < 0x20:
        return "", 1
    length = _utf8_length(data[0])
    if len(data) < length and all(byte & 0xC0 == 0x80 for byte in data[1:]):
        return "", 0
    try:
        letter = data[:length].decode()
    except UnicodeDecodeError:
        return "", 1
    return (letter if letter.isprintable() else ""), length


def _escaped(data: bytes) -> tuple[str, int]:
    if match := _CSI.match(data):
        parameters, final = match[1], match[2]
        if final == b"~":
            key = _SEQUENCES.get(parameters.split(b";")[0] + b"~", "")
        else:
            # Held modifiers ("1;5A") change nothing: ctrl-up is up.
            key = _SEQUENCES.get(final, "") if parameters in (b"",) or parameters.startswith(b"1;") else ""
        return key, match.end()
    if _BEGINNING.fullmatch(data):
        return "", 0
    if data[1] == _ESC:
        return "esc", 1
    # Alt and a letter: the letter is not what was meant.
    _, taken = _first(data[1:])
    return "", 1 + taken if taken else 0


def _utf8_length(first: int) -> int:
    if first < 0x80:
        return 1
    if first >= 0xF0:
        return 4
    return 3 if first >= 0xE0 else 2
