"""What a worker received of each token, read from its raw capture by a reading of its own."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from marketdata.raw_files import raw_files
from marketdata.zstd import ZstdDecompressor

Key = tuple[str, int, str]
"""Token, venue_ms, and what tells things of one time apart: a step's hash, or the words of a trade or tick."""


@dataclass
class Received:
    """Everything that a token was told of, with the times of receiving in Unix microseconds, in order.

    Attributes:
        changes, books: the messages of a step.
        beside: trades ("price size") and ticks ("tick size").
        best: what the messages of a step last said of its best prices; read with `says`.
        trades: how often one connection told a trade, the most of any.
        steps: of each token in order: time of receiving, venue_ms, hash.
        frames: of all connections.
    """

    changes: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))
    books: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))
    beside: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))
    best: dict[Key, tuple[str, str]] = field(default_factory=dict)
    trades: Counter[Key] = field(default_factory=Counter)
    steps: dict[str, list[tuple[int, int, str]]] = field(default_factory=lambda: defaultdict(list))
    frames: int = 0

    def has_step(self, key: Key, since_us: int, before_us: float) -> bool:
        """Whether a step was received whole in a time: `since_us` included, `before_us` not."""
        token, venue_ms, _ = key
        # A hash that was doctored names the step no more, its time does.
        changes = self.changes.get(key) or self.changes.get((token, venue_ms, ""), [])
        books = self.books.get(key, [])
        return bool(changes and since_us <= changes[-1] < before_us) or _any(books, since_us, before_us)

    def says(self, key: Key, bid: str, ask: str) -> bool:
        """Whether the messages of a step, if there were any, named these best prices."""
        told = self.best.get(key)
        # The venue spells an empty side as 0, as 1, or not at all.
        return told is None or (Decimal(told[0] or "0"), Decimal(told[1] or "1") or Decimal(1)) == (
            Decimal(bid or "0"),
            Decimal(ask or "1"),
        )

    def when(self, key: Key) -> int:
        """When the last message of a step was received, Unix microseconds."""
        token, venue_ms, _ = key
        return (self.changes.get(key) or self.changes.get((token, venue_ms, "")) or self.books[key])[-1]

    def has_beside(self, key: Key, since_us: int, before_us: float) -> bool:
        """Whether a trade or a tick was received in a time."""
        return _any(self.beside.get(key, []), since_us, before_us)


def _any(times: list[int], since_us: int, before_us: float) -> bool:
    first = bisect_left(times, since_us)
    return first < len(times) and times[first] < before_us


def read(folder: Path) -> Received:
    """Reads a raw capture."""
    found = Received()
    on_one: Counter[tuple[str, Key]] = Counter()
    for line in raw_lines(folder):
        record = orjson.loads(line)
        assert record["dir"] != "lost", record
        data = record.get("data")
        if record["dir"] != "recv" or data is None:
            continue
        found.frames += 1
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        us = unix_us(record["t"])
        for message in parsed if isinstance(parsed, list) else [parsed]:
            if isinstance(message, dict):
                _note(found, on_one, record["conn"], message, us)
    for (_, key), count in on_one.items():
        found.trades[key] = max(found.trades[key], count)
    return found


def _note(
    found: Received,
    on_one: Counter[tuple[str, Key]],
    connection: str,
    message: dict[str, Any],
    us: int,
) -> None:
    kind = message.get("event_type")
    if kind not in ("book", "price_change", "last_trade_price", "tick_size_change"):
        return
    ms = int(message["timestamp"])
    if kind == "price_change":
        for one in message["price_changes"]:
            token, book_hash = one["asset_id"], one["hash"]
            found.changes[token, ms, book_hash].append(us)
            found.changes[token, ms, ""].append(us)
            found.best[token, ms, book_hash] = one["best_bid"], one["best_ask"]
            found.steps[token].append((us, ms, book_hash))
        return
    token = message["asset_id"]
    if kind == "book":
        found.books[token, ms, message["hash"]].append(us)
        found.steps[token].append((us, ms, message["hash"]))
    elif kind == "tick_size_change":
        found.beside[token, ms, message["new_tick_size"]].append(us)
    else:
        key = token, ms, f"{message['price']} {message['size']}"
        found.beside[key].append(us)
        on_one[connection, key] += 1


def raw_lines(folder: Path) -> Iterator[bytes]:
    for file in raw_files(folder):
        left = b""
        data = (folder / file.name).read_bytes()
        while data:
            unpacker = ZstdDecompressor()
            text = left + unpacker.decompress(data)
            data = unpacker.unused_data
            *whole, left = text.split(b"\n")
            yield from whole
        assert not left, f"{file.name} is cut"


def unix_us(text: str) -> int:
    """`2026-11-22T11:00:00.123456Z` as Unix microseconds."""
    second = int(datetime.fromisoformat(text[:19] + "+00:00").timestamp())
    return second * 1_000_000 + int(text[20:26])
