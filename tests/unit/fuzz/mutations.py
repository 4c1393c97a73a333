"""Recorded frames made wrong, in bytes and in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

EVIL: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    2**63,
    "",
    " ",
    "-1",
    "1e5",
    "0",
    "1",
    "1.0000001",
    "9" * 5000,
    "\ud800",
    "\x00",
    "٣",
    "NaN",
    "0x",
    "book",
    "price_change",
    "BUY",
    [],
    {},
    [[]],
    [None],
    {"price": "0.5"},
    [{"price": "0.5", "size": "1"}],
)
DEEP = "@deep@"


def flipped(data: bytes, random: Random) -> bytes:
    """A few bytes are others."""
    made = bytearray(data)
    for _ in range(random.randint(1, 4)):
        made[random.randrange(len(made))] = random.randrange(256)
    return bytes(made)


def truncated(data: bytes, random: Random) -> bytes:
    """The end is missing, or the beginning."""
    at = random.randrange(len(data))
    return data[:at] if random.random() < 0.7 else data[at:]


def shortened(data: bytes, random: Random) -> bytes:
    """A slice is missing."""
    at = random.randrange(len(data))
    return data[:at] + data[at + random.randint(1, 40) :]


def repeated(data: bytes, random: Random) -> bytes:
    """A slice is there twice."""
    at = random.randrange(len(data))
    end = at + random.randint(1, 60)
    return data[:end] + data[at:end] + data[end:]


def joined(data: bytes, random: Random) -> bytes:
    """Two frames in one, with and without something between."""
    return data + random.choice((b"", b"\n", b",", b"\x00")) + data


def rewritten(data: bytes, random: Random) -> bytes:
    """One to three places of the JSON hold something else, are missing or moved."""
    try:
        document = json.loads(data)
    except ValueError:
        return flipped(data, random)
    holder = [document]
    for _ in range(random.randint(1, 3)):
        _change_a_place(holder, random)
    text = json.dumps(holder[0])
    depth = random.choice((3, 500, 1015, 1100, 5000))
    text = text.replace(f'"{DEEP}"', "[" * depth + "]" * depth)
    if random.random() < 0.1:
        text = _with_a_key_twice(text, random)
    return text.encode()


def _change_a_place(holder: list[Any], random: Random) -> None:
    parent: Any = holder
    key: Any = 0
    while isinstance(parent[key], dict | list) and parent[key] and random.random() < 0.8:
        parent = parent[key]
        key = random.choice(list(parent)) if isinstance(parent, dict) else random.randrange(len(parent))
    kind = random.random()
    if kind < 0.2 and parent is not holder:
        del parent[key]
    elif kind < 0.3:
        parent[key] = DEEP
    elif kind < 0.4:
        parent[key] = [parent[key], parent[key]]
    elif kind < 0.5 and isinstance(parent, dict):
        parent[random.choice((*parent, "error", "changes"))] = parent[key]
    else:
        # A copy: the next change may fall into it.
        parent[key] = deepcopy(random.choice(EVIL))


def _with_a_key_twice(text: str, random: Random) -> str:
    key = random.choice(("event_type", "market", "asset_id", "price_changes", "bids", "timestamp"))
    return text.replace("{", f'{{"{key}": {random.choice(("null", "7", "[]"))}, ', 1)


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    flipped,
    truncated,
    shortened,
    repeated,
    joined,
    *[rewritten] * 6,
)
