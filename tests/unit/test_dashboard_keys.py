"""From bytes to keys: whatever the terminal sends, in whatever pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.dashboard.keys import KeyDecoder


def decoded(data: bytes) -> list[str]:
    decoder = KeyDecoder()
    return [*decoder.feed(data), *decoder.flush()]


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"jk", ["j", "k"]),
        (b"\r", ["enter"]),
        (b"\n", ["enter"]),
        (b"\t\x1b[Z", ["tab", "back-tab"]),
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        (b"\x1b[1;5A", ["up"]),
        (b"\x1b[5~\x1b[6~", ["page-up", "page-down"]),
        (b"\x1b[H\x1b[F\x1b[1~\x1b[4~\x1bOH", ["home", "end", "home", "end", "home"]),
        (b"\x7f\x08", ["backspace", "backspace"]),
        (b"\x15\x17", ["ctrl-u", "ctrl-w"]),
        ("é東🙂".encode(), ["é", "東", "🙂"]),
        (b"\x1b", ["esc"]),
        (b"\x1b\x1b", ["esc", "esc"]),
        (b"\x1b\x1b[A", ["esc", "up"]),
        (b"\x1bj", []),
        (b"\x1b[<0;10;10Mq", ["q"]),
        (b"\x1b[?62;22cq", ["q"]),
        (b"\x1b[200~/", ["/"]),
        (b"\xff\xfeq", ["q"]),
        (b"\x00\x1c?", ["?"]),
        (b" ", ["space"]),
    ],
)
def test_what_a_terminal_sends(data: bytes, keys: list[str]) -> None:
    assert decoded(data) == keys


@pytest.mark.parametrize("data", [b"\x1b[A", b"\x1bOB", b"\x1b[5~", "東".encode(), b"\x1b[1;5A"])
def test_a_key_in_pieces_is_the_same_key(data: bytes) -> None:
    decoder = KeyDecoder()
    for byte in data[:-1]:
        assert decoder.feed(bytes([byte])) == []
        assert decoder.waits
    assert decoder.feed(data[-1:]) == decoded(data)
    assert not decoder.waits


def test_a_lone_escape_is_a_key_only_when_the_time_is_up() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b") == []
    assert decoder.waits
    assert decoder.flush() == ["esc"]
    assert not decoder.waits
    assert decoder.feed(b"[A") == ["[", "A"], "what comes later is not part of it"


def test_a_broken_sequence_does_not_swallow_what_follows() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b[1;") == []
    assert decoder.flush() == []
    assert decoder.feed(b"q") == ["q"]


@given(st.lists(st.binary(max_size=6), max_size=12))
def test_any_bytes_in_any_pieces(pieces: list[bytes]) -> None:
    whole, split = KeyDecoder(), KeyDecoder()
    expected = whole.feed(b"".join(pieces))
    found = [key for piece in pieces for key in split.feed(piece)]
    assert found == expected
    assert all(len(key) == 1 or key.isascii() for key in found)
    assert whole.flush() == split.flush()
