"""Whatever the venue sends, a connection's rules go on, write legal entries, and are right again with the next book.

BOOKSTREAM_FUZZ_FRAMES says how many frames, BOOKSTREAM_FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random, SystemRandom

import pytest

from marketdata.entries import EntryId
from marketdata.market import Market
from marketdata.proof import ProofChecker
from simulator.captured.capture import PlayedFrame, load_capture
from tests.gamma_rows import market, token
from tests.unit.fuzz.mutations import MUTATIONS
from tests.unit.worker.redis_commands import written
from tests.venue_frames import US, Line, book, item, price_change
from worker.batches import build_batch
from worker.feeds import MarketFeed, TokenState
from worker.ids import IdClock
from worker.messages import UnreadableFrameError, parse_frame
from worker.notices import Close, Ended, Send
from worker.pending import Pending
from worker.shapes import Book

FRAMES = int(os.environ.get("BOOKSTREAM_FUZZ_FRAMES", "100000"))
CAPTURES = Path(__file__).parents[2] / "data" / "captures"
ANY_LIMIT = 10**15


class Fuzzed:
    """A connection that is sent frames, good ones and bad ones, and what a reader makes of its entries."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.markets: list[Market] = []
        self.frames: list[bytes] = []
        for path in sorted(CAPTURES.rglob("*.json*")):
            self._read(path)
        self.markets = list({one.condition_id: one for one in self.markets}.values())
        self.line = Line(self.markets)
        self.good_books = self._books()
        self.checkers: dict[str, ProofChecker] = {}
        self.ids = IdClock()
        self.tops = self.live_at_ticks = self.ends = 0
        self._pending = Pending(10**6)
        self._next_tick_us = US

    def _read(self, path: Path) -> None:
        capture = load_capture(path)
        for condition_id, pair in capture.pairs.items():
            ids = [*pair, *(token(f"{condition_id} {n}") for n in range(2 - len(pair)))]
            self.markets.append(market(condition_id, conditionId=condition_id, clobTokenIds=json.dumps(ids)))
        self.frames += [step.frame.data for step in capture.steps if isinstance(step, PlayedFrame)]

    def _books(self) -> dict[str, bytes]:
        """A recorded frame with a book of each token, where there is one."""
        found: dict[str, bytes] = {}
        for data in self.frames:
            for message in parse_frame(data):
                if isinstance(message, Book):
                    found.setdefault(message.token, data)
        return found

    def run(self, frames: int) -> None:
        """Sends so many frames; none may raise."""
        for number in range(frames):
            data = self.random.choice(self.frames)
            if self.random.random() < 0.8:
                data = self.random.choice(MUTATIONS)(data, self.random)
            try:
                self.line.protocol.frame(data, self.line.now_us)
                self._time()
            except Exception as error:
                raise AssertionError(f"frame {number} of {frames} raised: {data[:3000]!r}") from error
            self._settle()
            if self.random.random() < 0.0005:
                self.line.protocol.closed(self.line.now_us)
                self.line.open()

    def _time(self) -> None:
        line = self.line
        line.now_us += self.random.choice((0, 50, 1_000, 6_000, 300_000))
        due_us = line.protocol.due_us
        if due_us is not None and due_us <= line.now_us:
            line.protocol.tick_steps(line.now_us)
        if line.now_us >= self._next_tick_us:
            self._next_tick_us = line.now_us + 1_000_000
            line.protocol.tick(line.now_us)
            books = line.protocol.books
            books.verify(list(books.tokens.values())[:: self.random.randint(1, 5)], line.now_us)
            line.protocol.rescues.resync(line.now_us)
            self._heal()

    def _heal(self) -> None:
        """The venue answers what it was asked for; else all that was left to fuzz would be the waiting."""
        protocol = self.line.protocol
        for command in protocol.commands:
            if isinstance(command, Close):
                protocol.closed(self.line.now_us)
                self.line.open()
                break
            assert isinstance(command, Send)
        protocol.commands.clear()
        live = [feed for feed in protocol.books.tokens.values() if feed.state is TokenState.LIVE]
        self.live_at_ticks += bool(live)
        for feed in list(protocol.books.tokens.values()):
            if (
                feed.state is not TokenState.LIVE
                and feed.token in self.good_books
                and self.random.random() < 0.3
            ):
                protocol.frame(self.good_books[feed.token], self.line.now_us)

    def _settle(self) -> None:
        """What a worker and a reader do with the outcome."""
        protocol = self.line.protocol
        for notice in protocol.notices:
            if isinstance(notice, Ended):
                self.ends += 1
                over = protocol.books.markets[notice.condition_id]
                protocol.remove([notice.condition_id])
                followed = next(one for one in self.markets if one.condition_id == notice.condition_id)
                protocol.add([MarketFeed(followed, over.stream)], self.line.now_us)
        protocol.notices.clear()
        updates = self.line.take()
        self.line.said.clear()
        for update in updates:
            self._pending.append(update)
            if update.kind == "top":
                self.tops += 1
        if len(self._pending) > 500:
            self.read()

    def read(self) -> None:
        """Every entry is legal and every stream proves itself."""
        while len(self._pending):
            limits = {one.partition: ANY_LIMIT for one in self.markets}
            for one in build_batch(self._pending, self.ids, limits, str).batch.items:
                key, entry_id, entry = written(one.packed)
                hole = self.checkers.setdefault(key, ProofChecker(key)).feed(entry_id, entry)
                assert hole is None, str(hole)
                assert isinstance(entry_id, EntryId)


@pytest.mark.timeout(60 + FRAMES // 1000)
def test_no_frame_ends_a_connection_or_writes_an_entry_that_is_none() -> None:
    seed = int(os.environ.get("BOOKSTREAM_FUZZ_SEED", SystemRandom().randrange(2**32)))
    print(f"BOOKSTREAM_FUZZ_SEED={seed}")
    fuzz(FRAMES, seed)


def fuzz(frames: int, seed: int) -> Fuzzed:
    """Sends so many frames and holds what came of them to the promise; raises AssertionError where it fails."""
    fuzzed = Fuzzed(Random(seed))
    fuzzed.run(frames)
    fuzzed.read()

    counters = fuzzed.line.counters
    assert counters.frames >= frames
    assert counters.malformed > frames // 20, "many frames were bad"
    assert min(fuzzed.tops, counters.desyncs, counters.price_changes, fuzzed.live_at_ticks) > frames // 500
    assert len(counters.events) <= 60, "what is counted by name is bounded"
    books = fuzzed.line.protocol.books
    assert len(books.tokens) == 2 * len(fuzzed.markets)
    assert books.resync == []

    for followed in fuzzed.markets:
        is_right_again(fuzzed.line, followed)
    return fuzzed


def is_right_again(line: Line, followed: Market) -> None:
    """A good book, then a good step, are shown as they are."""
    line.now_us += 1_000_000
    ms = line.now_us // 1000
    for outcome in (0, 1):
        bids, asks = (("0.30", "1"), ("0.4", f"{ms}")), (("0.7", "3"), ("0.6", "2"))
        updates = line.hear(book(followed, outcome, bids, asks, ms))
        assert [(u.kind, u.bid, u.bid_size, u.ask, u.ask_size) for u in updates] == [
            ("top", "0.4", f"{ms}", "0.6", "2")
        ]
        assert line.protocol.books.tokens[followed.tokens[outcome]].state is TokenState.LIVE
        updates = line.hear(
            price_change(
                followed, item(followed, outcome, "BUY", "0.45", "8", ("0.45", "0.6"), "x"), ms=ms + 1
            )
        )
        assert [(u.kind, u.outcome, u.bid, u.bid_size) for u in updates] == [("top", outcome, "0.45", "8")]


def test_the_mutations_reach_every_way_a_frame_can_be_bad() -> None:
    random = Random(1)
    fuzzed = Fuzzed(random)
    seen = set()
    for _ in range(3000):
        data = random.choice(MUTATIONS)(random.choice(fuzzed.frames), random)
        try:
            seen |= {type(message).__name__ for message in parse_frame(data)}
        except UnreadableFrameError:
            seen.add("unreadable")
    assert {"unreadable", "Malformed", "Unknown", "Text", "Book", "PriceChange", "Trade"} <= seen
    assert {"TickSizeChange", "NewMarket", "MarketResolved", "BestBidAsk"} <= seen
