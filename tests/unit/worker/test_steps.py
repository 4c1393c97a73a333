"""The step rule against a model that recomputes everything: what is shown, what is held, what is given up."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.market import Market
from tests.exchange_model import Exchange, Side, applied
from tests.gamma_rows import market
from tests.venue_frames import Line, Row
from worker.book import Book
from worker.feeds import TokenState
from worker.policy import ProtocolPolicy
from worker.shapes import Change
from worker.steps import StepGate, StepPolicy, Verdict

ONE = market("one")
QUIET_US, LONGEST_US = 5_000, 250_000
Numbers = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]


@dataclass
class NaiveToken:
    """What a reader of one token must do, in plain words and slowly."""

    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    live: bool = False
    shown: Numbers | None = None
    unequal_since_us: int | None = None
    last_us: int = 0
    step: tuple[str, str] = ("", "")
    step_closed: bool = False
    closes: int = 0
    untold: int = 0

    def book(self, row: Row, now_us: int) -> list[Any]:
        self.bids = {Decimal(level["price"]): Decimal(level["size"]) for level in row["bids"]}
        self.asks = {Decimal(level["price"]): Decimal(level["size"]) for level in row["asks"]}
        self._begin((row["timestamp"], row["hash"]))
        self.live, self.last_us = True, now_us
        return self._show()

    def change(self, row: Row, items: list[Row], now_us: int) -> list[Any]:
        if not self.live:
            return []
        step = (row["timestamp"], items[-1]["hash"])
        if self.unequal_since_us is not None and step != self.step:
            if not self.step_closed and self._close():
                return self._give_up()
            self.step_closed = False
        self._begin(step)
        self.last_us = now_us
        for one in items:
            applied(self.bids, self.asks, one["side"], Decimal(one["price"]), Decimal(one["size"]))
        claimed = Decimal(items[-1]["best_bid"]), Decimal(items[-1]["best_ask"])
        if claimed == (max(self.bids, default=Decimal(0)), min(self.asks, default=Decimal(1))):
            return self._show()
        if self.unequal_since_us is None:
            self.unequal_since_us = now_us
        return []

    def time(self, now_us: int) -> list[Any]:
        if self.unequal_since_us is None:
            return []
        if now_us - self.unequal_since_us >= LONGEST_US:
            return self._give_up()
        if not self.step_closed and now_us - self.last_us >= QUIET_US:
            self.step_closed = True
            if self._close():
                return self._give_up()
        return []

    def _begin(self, step: tuple[str, str]) -> None:
        self.untold += self.unequal_since_us is not None and step != self.step
        self.step = step

    def _close(self) -> bool:
        self.closes += 1
        return self.closes == 2

    def _show(self) -> list[Any]:
        self.unequal_since_us, self.step_closed, self.closes = None, False, 0
        bid, ask = max(self.bids, default=None), min(self.asks, default=None)
        top = (
            bid,
            self.bids[bid] if bid is not None else None,
            ask,
            self.asks[ask] if ask is not None else None,
        )
        if top == self.shown:
            return []
        self.shown = top
        untold, self.untold = self.untold, 0
        return [(top, untold)]

    def _give_up(self) -> list[Any]:
        self.live, self.shown, self.untold = False, None, 0
        self.unequal_since_us, self.step_closed, self.closes = None, False, 0
        return ["gap"]


def numbers(*texts: str) -> tuple[Decimal | None, ...]:
    return tuple(Decimal(text) if text else None for text in texts)


class Compared:
    """A connection and the model, hearing the same."""

    def __init__(self, followed: Market, policy: ProtocolPolicy | None = None) -> None:
        self.market = followed
        self.line = Line([followed], policy)
        self.line.sent()
        self.tokens = (NaiveToken(), NaiveToken())
        self.gaps = 0

    def hear(self, row: Row) -> None:
        """A message; both must say the same of it."""
        now_us = self.line.now_us
        expected: list[list[Any]] = [[], []]
        if row["event_type"] == "book":
            outcome = self.market.tokens.index(row["asset_id"])
            expected[outcome] = self.tokens[outcome].book(row, now_us)
        else:
            for outcome, token in enumerate(self.market.tokens):
                items = [one for one in row["price_changes"] if one["asset_id"] == token]
                expected[outcome] = self.tokens[outcome].change(row, items, now_us)
        self._compare(expected, self.line.hear(row))

    def until(self, target_us: int) -> None:
        """Time passes; steps are looked at when they want to be."""
        due_us = self.line.protocol.due_us
        while due_us is not None and due_us <= target_us:
            self._at(due_us)
            due_us = self.line.protocol.due_us
        self._at(target_us)

    def _at(self, now_us: int) -> None:
        self.line.now_us = max(now_us, self.line.now_us)
        self.line.protocol.tick_steps(self.line.now_us)
        self._compare([token.time(self.line.now_us) for token in self.tokens], self.line.take())

    def _compare(self, expected: list[list[Any]], said: list[Any]) -> None:
        found: list[list[Any]] = [[], []]
        for update in said:
            if update.kind == "gap":
                self.gaps += 1
            found[update.outcome].append(
                "gap"
                if update.kind == "gap"
                else (numbers(update.bid, update.bid_size, update.ask, update.ask_size), update.skipped)
            )
        assert found == expected
        for feed, token in zip(
            self.line.protocol.books.markets[self.market.condition_id].tokens, self.tokens, strict=True
        ):
            assert (feed.state is TokenState.LIVE) is token.live
            assert feed.gate.held is (token.unequal_since_us is not None)

    def asked_for(self) -> list[int]:
        """Outcomes whose book was asked for anew."""
        ids = [
            one["assets_ids"] for one in self.line.sent() if one != "PING" and one["operation"] == "subscribe"
        ]
        return [self.market.tokens.index(token) for chunk in ids for token in chunk]


@settings(max_examples=150)
@given(st.randoms(use_true_random=False))
def test_a_feed_without_faults_is_shown_step_by_step_without_a_gap(random: Random) -> None:
    exchange, both = Exchange(ONE, random), Compared(ONE)
    for outcome in (0, 1):
        both.hear(exchange.book(outcome))
    for _ in range(12):
        for row in exchange.random_step():
            for _ in range(random.choice((1, 1, 1, 2))):
                both.hear(row)
            both.until(both.line.now_us + random.choice((0, 0, 900, 3000)))
        if random.random() < 0.2:
            both.hear(exchange.book(random.randint(0, 1)))
        for outcome, token in enumerate(both.tokens):
            bids, asks = exchange.sides(outcome)
            assert (token.bids, token.asks) == (bids, asks), "the model itself follows the exchange"
            gate = both.line.protocol.books.tokens[ONE.tokens[outcome]].gate
            assert gate.book is not None
            assert {Decimal(price): Decimal(size) for price, size in gate.book.bids.values()} == bids
            assert {Decimal(price): Decimal(size) for price, size in gate.book.asks.values()} == asks
        both.until(both.line.now_us + random.choice((0, 100, 20_000, 1_000_000)))
    assert both.gaps == 0


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_lost_doubled_and_swapped_messages_never_show_a_top_that_the_venue_did_not_say(
    random: Random,
) -> None:
    exchange, both = Exchange(ONE, random), Compared(ONE)
    for outcome in (0, 1):
        if random.random() < 0.9:
            both.hear(exchange.book(outcome))
    for _ in range(15):
        rows = exchange.random_step()
        delivered = []
        for row in rows:
            delivered += [row] * random.choice((0, 1, 1, 1, 1, 1, 2))
        if len(delivered) > 1 and random.random() < 0.2:
            at = random.randrange(len(delivered) - 1)
            delivered[at], delivered[at + 1] = delivered[at + 1], delivered[at]
        for row in delivered:
            both.hear(row)
            both.until(both.line.now_us + random.choice((0, 0, 900, 4999, 5000, 60_000)))
        both.until(both.line.now_us + random.choice((0, 100, 20_000, 249_999, 250_000, 2_000_000)))
        both.line.protocol.tick(both.line.now_us)
        for outcome in both.asked_for():
            if random.random() < 0.8:
                both.hear(exchange.book(outcome))


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.booleans())
def test_with_every_step_checked_no_lost_level_stays_unnoticed(random: Random, whole_step: bool) -> None:
    exchange = Exchange(ONE, random)
    line = Line([ONE], ProtocolPolicy(check_every_step=True))
    line.hear(exchange.book(0), exchange.book(1), array=True)
    # Sizes that no level had before: a lost one is always missed.
    deep = [("BUY", Decimal("0.31"), Decimal("60000000.5")), ("SELL", Decimal("0.7"), Decimal("60000000.5"))]
    rows = exchange.step(deep)
    for row in [] if whole_step else rows[1:]:
        line.hear(row)
    for size in range(100, 104):
        line.wait(0.3)
        for row in exchange.step([("BUY", Decimal("0.3"), Decimal(size))]):
            line.hear(row)
    gaps = {update.outcome for update in line.said if update.kind == "gap"}
    assert gaps == {0, 1}


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_with_every_step_checked_a_whole_feed_verifies(random: Random) -> None:
    exchange = Exchange(ONE, random)
    line = Line([ONE], ProtocolPolicy(check_every_step=True))
    line.hear(exchange.book(0), exchange.book(1), array=True)
    steps = 10
    for _ in range(steps):
        for row in exchange.random_step():
            line.hear(row)
        line.wait(random.choice((0.0, 0.01)))
    assert [update for update in line.said if update.kind == "gap"] == []
    assert line.counters.hash_mismatches == line.counters.hash_unable == 0
    assert line.counters.hash_matches >= 2 * steps


# -- the rule itself, move by move --------------------------------------------------------------------------

POLICY = StepPolicy()


def change(price: str, size: str, best: tuple[str | None, str | None], book_hash: str = "h") -> list[Change]:
    micros = int(Decimal(price) * 1_000_000)
    return [Change("1", True, micros, price, int(Decimal(size) * 1_000_000), size, book_hash, *best)]


def gate() -> StepGate:
    fresh = StepGate()
    fresh.snapshot(Book([(480_000, "0.48", "30")], [(520_000, "0.52", "25")]), 1, "a", 1_000)
    return fresh


def test_nothing_is_shown_before_the_first_snapshot() -> None:
    empty = StepGate()
    assert empty.change(change("0.5", "1", ("0.5", "0.52")), 2, 10) is Verdict.NOTHING
    assert empty.tick(10**9, POLICY) is Verdict.NOTHING
    assert empty.due_us(POLICY) is None
    assert empty.shown is None


def test_the_same_top_is_shown_once_however_it_is_spelt() -> None:
    one = gate()
    again = Book([(480_000, ".480", "30.0")], [(520_000, "0.52", "25")])
    assert one.snapshot(again, 2, "b", 2_000) is Verdict.NOTHING


def test_without_best_prices_each_message_is_a_step() -> None:
    one = gate()
    assert one.change(change("0.5", "1", (None, None)), 2, 10) is Verdict.PUBLISH
    assert one.shown is not None
    assert one.shown.bid == "0.5"


def test_a_late_message_of_a_step_that_was_quiet_heals_it() -> None:
    one = gate()
    assert one.change(change("0.49", "1", ("0.5", "0.52")), 2, 10_000) is Verdict.NOTHING
    assert one.due_us(POLICY) == 15_000
    assert one.tick(14_999, POLICY) is Verdict.NOTHING
    assert one.tick(15_000, POLICY) is Verdict.NOTHING, "the first unequal close"
    assert one.due_us(POLICY) == 260_000
    assert one.change(change("0.5", "1", ("0.5", "0.52")), 2, 16_000) is Verdict.PUBLISH
    assert not one.held


def test_unequal_at_two_closes_is_the_end() -> None:
    one = gate()
    one.change(change("0.49", "1", ("0.5", "0.52"), "b"), 2, 10_000)
    assert one.change(change("0.47", "1", ("0.5", "0.52"), "c"), 3, 11_000) is Verdict.NOTHING
    assert one.change(change("0.46", "1", ("0.5", "0.52"), "d"), 3, 12_000) is Verdict.DESYNC


def test_a_quiet_close_and_a_close_by_the_next_step_are_two() -> None:
    one = gate()
    one.change(change("0.49", "1", ("0.5", "0.52"), "b"), 2, 10_000)
    assert one.tick(15_000, POLICY) is Verdict.NOTHING
    assert one.change(change("0.47", "1", ("0.5", "0.52"), "c"), 3, 20_000) is Verdict.NOTHING
    assert one.tick(25_000, POLICY) is Verdict.DESYNC


def test_a_quarter_of_a_second_is_the_end() -> None:
    one = gate()
    one.change(change("0.49", "1", ("0.5", "0.52"), "b"), 2, 10_000)
    one.tick(15_000, POLICY)
    assert one.tick(259_999, POLICY) is Verdict.NOTHING
    assert one.tick(260_000, POLICY) is Verdict.DESYNC


def test_a_book_ends_any_hold() -> None:
    one = gate()
    one.change(change("0.49", "1", ("0.5", "0.52"), "b"), 2, 10_000)
    fresh = Book([(500_000, "0.5", "1")], [(520_000, "0.52", "25")])
    assert one.snapshot(fresh, 3, "c", 11_000) is Verdict.PUBLISH
    assert not one.held
    assert one.quiet(16_000, POLICY)
    assert not one.quiet(15_999, POLICY)


def test_a_step_that_ends_held_is_counted_until_something_is_shown() -> None:
    one = gate()
    one.change(change("0.49", "1", ("0.5", "0.52"), "b"), 2, 10_000)
    assert one.unshown == 0, "its next message may agree"
    one.change(change("0.5", "1", ("0.5", "0.52"), "b"), 2, 10_100)
    assert one.unshown == 0
    one.change(change("0.51", "1", ("0.515", "0.52"), "c"), 3, 11_000)
    assert one.change(change("0.51", "0", ("0.5", "0.52"), "d"), 4, 12_000) is Verdict.NOTHING
    assert one.unshown == 1, "the top is the one before, and the step was still not told"
    one.clear()
    assert one.unshown == 0, "a gap says it"


def test_of_several_changes_of_a_message_the_last_one_says_the_best_prices() -> None:
    one = gate()
    made = [*change("0.49", "1", ("0.49", "0.52"), "b"), *change("0.5", "1", ("0.5", "0.52"), "c")]
    assert one.change(made, 2, 10_000) is Verdict.PUBLISH
    assert one.hash == "c"
