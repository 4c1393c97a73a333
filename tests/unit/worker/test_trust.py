"""A market of whose recent hash checks too few matched is not to be trusted."""

from __future__ import annotations

import random
from collections import deque

import pytest

from tests.gamma_rows import market
from tests.venue_frames import ASKS, BIDS, MS, US, Line, Row, book, item, price_change, wire_hash
from worker.feeds import TokenState
from worker.policy import ProtocolPolicy
from worker.streams import Update
from worker.trust import CHECKS_KEPT, CHECKS_NEEDED, Trust

ONE, TWO = market("one"), market("two")


def checked(results: str) -> Trust:
    """+ for a match, - for a mismatch."""
    trust = Trust()
    for one in results:
        trust.note(matched=one == "+")
    return trust


def test_few_checks_say_nothing() -> None:
    assert not checked("-" * (CHECKS_NEEDED - 1)).below(1.0)
    assert checked("-" * CHECKS_NEEDED).below(0.1)


@pytest.mark.parametrize(("results", "below"), [("++++++++--", False), ("+++++++---", True)])
def test_the_least_share_itself_is_enough(results: str, below: bool) -> None:
    assert checked(results).below(0.8) is below


def test_with_a_least_share_of_zero_all_is_trusted() -> None:
    assert not checked("-" * 100).below(0.0)


def test_it_counts_what_a_window_of_the_last_checks_counts() -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    chance = random.Random(seed)
    trust, window = Trust(), deque[bool](maxlen=CHECKS_KEPT)
    for number in range(1, 2_000):
        matched = chance.random() < 0.7
        trust.note(matched=matched)
        window.append(matched)
        least = chance.random()
        assert trust.below(least) == (len(window) >= CHECKS_NEEDED and sum(window) / len(window) < least)
        if chance.random() < 0.01:
            trust.forget()
            window.clear()
        assert trust.checks == number, "all are told of, forgotten or not"


# -- what follows from it -----------------------------------------------------------------------------------


def live() -> Line:
    line = Line([ONE, TWO], ProtocolPolicy(check_every_step=True, trust_min=0.8))
    line.hear(*(book(one, outcome) for one in (ONE, TWO) for outcome in (0, 1)), array=True)
    line.said.clear()
    return line


def step(number: int, *, wrong: bool) -> Row:
    """A step of the first token; `wrong`: with the hash of another book."""
    size, ms = str(100 + number), MS + 10 * number
    right = wire_hash(ONE, 0, ms, [("0.4", size), ("0.48", "30")], ASKS)
    entry = item(ONE, 0, "BUY", "0.4", size, ("0.48", "0.52"), "0" * 40 if wrong else right)
    return price_change(ONE, entry, ms=ms)


def checks(line: Line, results: str, first: int = 1) -> list[Update]:
    """One step each, checked; returns the gaps."""
    said: list[Update] = []
    for number, one in enumerate(results, first):
        said += line.hear(step(number, wrong=one == "-"))
        line.wait(0.05)
        line.protocol.books.verify([line.protocol.books.tokens[ONE.tokens[0]]], line.now_us)
        line.protocol.rescues.resync(line.now_us)
        said += line.take()
    return [update for update in said if update.kind == "gap"]


def test_a_market_that_fails_too_often_if_never_twice_running_gets_gaps_and_new_books() -> None:
    line = live()
    # A mismatch is looked at once more when the next step begins. With the books that came first these are 12
    # matches of 15 checks; the second look at the last one makes them 12 of 16.
    assert checks(line, "++++++++-++-") == []
    line.sent()
    feed = line.protocol.books.tokens[ONE.tokens[0]]
    proven_us = feed.proven_us
    assert proven_us > US
    gaps = checks(line, "+", first=13)
    assert [(gap.outcome, gap.note) for gap in gaps] == [
        (1, f"desync {US} w1"),
        (0, f"desync {proven_us} w1"),
    ]
    assert [(one["operation"], set(one["assets_ids"])) for one in line.sent()] == [
        ("unsubscribe", set(ONE.tokens)),
        ("subscribe", set(ONE.tokens)),
    ]
    assert line.counters.distrusted == 1
    states = [feed.state for feed in line.protocol.books.tokens.values()]
    assert states == [TokenState.WAITING] * 2 + [TokenState.LIVE] * 2, "no other market is touched"
    trust = feed.market.trust
    assert (trust.checks, trust.matches) == (16, 12)
    line.sent()
    line.hear(book(ONE, 0, BIDS, ms=MS + 500), book(ONE, 1, ms=MS + 500), array=True)
    assert checks(line, "-", first=60) == [], "what was found before says nothing of the new books"
