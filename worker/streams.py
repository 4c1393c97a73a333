"""A market's stream as its writer sees it, and the updates that wait to be written (pure data)."""

from __future__ import annotations

from typing import Literal

from marketdata.entries import EntryId, Kind


class MarketStream:
    """What the writer of one stream must remember.

    Attributes:
        key: the stream's key.
        partition: the unit of ownership.
        gen: generation, rising at each new subscription or owner.
        packed_gen: that of the newest entry that was given an id; what is written never falls below it.
        seq: the counter of each of the two tokens.
        entries: how many entries of it were acknowledged.
        trades: how many trades were told to be written.
        exists: whether Redis is believed to hold the stream.
        last_id: the newest id that Redis acknowledged or was found to hold.
        over: whether its market was resolved: nothing follows that entry.
        forgotten_us: since when a `redis` gap is owed to this stream, Unix microseconds; 0: none is.
    """

    __slots__ = (
        "condition_id",
        "entries",
        "exists",
        "forgotten_us",
        "gen",
        "key",
        "last_id",
        "over",
        "packed_gen",
        "partition",
        "seq",
        "skipped",
        "trades",
    )

    def __init__(self, condition_id: str, key: str, partition: int) -> None:
        self.condition_id = condition_id
        self.key = key
        self.partition = partition
        self.gen = 0
        self.packed_gen = 0
        self.seq = [0, 0]
        self.skipped = [0, 0]
        """Updates of each token that were dropped and must be counted by its next entry."""
        self.entries = 0
        self.trades = 0
        self.exists = False
        self.last_id = EntryId(0, 0)
        self.over = False
        self.forgotten_us = 0


class Update:
    """One thing to be written to one stream. Its id and seq are given when it goes out."""

    __slots__ = (
        "ask",
        "ask_size",
        "bid",
        "bid_size",
        "gen",
        "kind",
        "note",
        "outcome",
        "recv_us",
        "skipped",
        "stream",
        "venue_ms",
    )

    def __init__(
        self,
        stream: MarketStream,
        kind: Kind | Literal["clock"],
        outcome: int | None,
        *,
        recv_us: int,
        bid: str = "",
        bid_size: str = "",
        ask: str = "",
        ask_size: str = "",
        venue_ms: int | None = None,
        note: str = "",
        skipped: int = 0,
    ) -> None:
        self.stream = stream
        self.kind = kind
        self.outcome = outcome
        self.bid = bid
        self.bid_size = bid_size
        self.ask = ask
        self.ask_size = ask_size
        self.venue_ms = venue_ms
        self.recv_us = recv_us
        self.gen = stream.gen
        self.skipped = skipped
        self.note = note
