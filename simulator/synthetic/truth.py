"""What was true when: every end of a step, trade, tick and resolution, for a bounded time. Pure.

A record is packed, for there are millions of them in an hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import Any, Final, NamedTuple

from marketdata.decimals import MICROS, from_micros
from simulator.synthetic.ladder import price_text

KEPT_S: Final = 900.0
"""Older records are forgotten; what holds since then is not."""

MAX_RECORDS: Final = 500_000
"""About 100 bytes each."""

# venue_ms, kind, outcome, bid, ask, bid size, ask size, both hashes.
_RECORD: Final = Struct("<QBBIIQQ20s20s")
_TOP, _TRADE, _TICK, _RESOLVED = range(4)
_KINDS: Final = ("top", "trade", "tick", "resolved")
_NO_HASH: Final = bytes(20)


class Top(NamedTuple):
    """Best bid and ask of a token and their sizes, millionths; zeros where a side is empty."""

    bid: int
    bid_size: int
    ask: int
    ask_size: int

    def mirrored(self) -> Top:
        """The same seen from the other token."""
        bid, ask = (MICROS - self.ask if self.ask else 0), (MICROS - self.bid if self.bid else 0)
        return Top(bid, self.ask_size, ask, self.bid_size)

    def texts(self) -> dict[str, str]:
        """As the entries of a stream spell it; empty where a side is empty."""
        return {
            "bid": price_text(self.bid) if self.bid else "",
            "bid_size": from_micros(self.bid_size) if self.bid else "",
            "ask": price_text(self.ask) if self.ask else "",
            "ask_size": from_micros(self.ask_size) if self.ask else "",
        }


class Truth:
    """The log of a venue.

    Args:
        kept_s: how long a record is kept, in the venue's time.
        max_records: at most so many.

    Attributes:
        next_seq: number of the next record; they count from 0.
    """

    def __init__(self, *, kept_s: float = KEPT_S, max_records: int = MAX_RECORDS) -> None:
        self.next_seq = 0
        self._kept_ms = int(kept_s * 1000)
        self._max = max_records
        self._log: deque[tuple[tuple[str, str], bytes, int]] = deque()

    @property
    def first_seq(self) -> int:
        """Number of the oldest record that is kept."""
        return self.next_seq - len(self._log)

    def top(
        self,
        tokens: tuple[str, str],
        ms: int,
        top: tuple[int, ...],
        hashes: tuple[str, str],
        *,
        since_ms: int,
    ) -> None:
        """A step ended at `ms`: `top` is outcome 0's, in the order of `Top`, the hashes are both tokens'.

        A market that opens with an old book is known since `since_ms` only.
        """
        first, second = hashes
        self._add(
            tokens,
            _RECORD.pack(
                ms,
                _TOP,
                0,
                top[0],
                top[2],
                top[1],
                top[3],
                bytes.fromhex(first),
                bytes.fromhex(second),
            ),
            since_ms,
        )

    def trade(
        self, tokens: tuple[str, str], ms: int, outcome: int, price: int, size: int, *, is_buy: bool
    ) -> None:
        """A trade was told; price and side are those of the message."""
        bid, ask = (0, price) if is_buy else (price, 0)
        bid_size, ask_size = (0, size) if is_buy else (size, 0)
        self._add(
            tokens,
            _RECORD.pack(ms, _TRADE, outcome, bid, ask, bid_size, ask_size, _NO_HASH, _NO_HASH),
            ms,
        )

    def tick(self, tokens: tuple[str, str], ms: int, tick: int) -> None:
        """Both tokens have a new tick size."""
        for outcome in (0, 1):
            self._add(tokens, _RECORD.pack(ms, _TICK, outcome, 0, tick, 0, 0, _NO_HASH, _NO_HASH), ms)

    def resolved(self, tokens: tuple[str, str], ms: int, winner: int) -> None:
        """The market ended."""
        self._add(tokens, _RECORD.pack(ms, _RESOLVED, winner, 0, 0, 0, 0, _NO_HASH, _NO_HASH), ms)

    def rows(self, since: int, limit: int) -> Iterator[dict[str, Any]]:
        """Records from number `since` on, of at most `limit` numbers; a top is two rows, one a token."""
        start = max(since, self.first_seq)
        offset = start - self.first_seq
        for number, (tokens, record, _) in enumerate(islice(self._log, offset, offset + limit)):
            yield from _rows(start + number, tokens, record)

    def top_at(self, token: str, at_ms: int) -> dict[str, Any] | None:
        """The last top of a token at a time, with its time and hash; None before what is kept."""
        for tokens, record, _ in reversed(self._log):
            if token in tokens and record[8] == _TOP and int.from_bytes(record[:8], "little") <= at_ms:
                return next(row for row in _rows(0, tokens, record) if row["token"] == token)
        return None

    def _add(self, tokens: tuple[str, str], record: bytes, ms: int) -> None:
        log = self._log
        log.append((tokens, record, ms))
        self.next_seq += 1
        oldest = ms - self._kept_ms
        while len(log) > self._max or log[0][2] < oldest:
            log.popleft()


def _rows(seq: int, tokens: tuple[str, str], record: bytes) -> Iterator[dict[str, Any]]:
    ms, kind, outcome, bid, ask, bid_size, ask_size, *digests = _RECORD.unpack(record)
    row: dict[str, Any] = {"seq": seq, "kind": _KINDS[kind], "venue_ms": ms}
    match kind:
        case 0:
            top = Top(bid, bid_size, ask, ask_size)
            for place, seen in enumerate((top, top.mirrored())):
                yield {**row, "token": tokens[place], "hash": digests[place].hex(), **seen.texts()}
        case 1:
            yield {**row, "token": tokens[outcome], **Top(bid, bid_size, ask, ask_size).texts()}
        case 2:
            yield {**row, "token": tokens[outcome], "tick_size": price_text(ask)}
        case _:
            yield {**row, "token": tokens[outcome], "winner": outcome}
