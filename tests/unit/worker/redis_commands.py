"""Packed Redis commands read back."""

from __future__ import annotations

from marketdata.entries import Entry, EntryId


def arguments(packed: bytes) -> list[bytes]:
    """The words of one command in RESP."""
    head, rest = packed.split(b"\r\n", 1)
    assert head[:1] == b"*"
    words = []
    for _ in range(int(head[1:])):
        length, rest = rest.split(b"\r\n", 1)
        assert length[:1] == b"$"
        size = int(length[1:])
        words.append(rest[:size])
        assert rest[size : size + 2] == b"\r\n"
        rest = rest[size + 2 :]
    assert rest == b""
    return words


def written(packed: bytes) -> tuple[str, EntryId, Entry]:
    """Stream, id and entry of an XADD of a market's stream."""
    words = arguments(packed)
    assert words[0] == b"XADD"
    at = 3 if words[2] == b"NOMKSTREAM" else 2
    return words[1].decode(), EntryId.parse(words[at]), Entry.from_fields(words[at + 1 :])
