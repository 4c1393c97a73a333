"""Two connections, each late in its own way: whenever a market is switched, nothing is missing or doubled."""

from __future__ import annotations

import random
from dataclasses import dataclass
from random import Random

from tests.gamma_rows import market
from tests.unit.worker.two_lines import TwoLines
from tests.venue_frames import MS, US, Row, book, frame, trade
from worker.streams import Update
from worker.switching import Decision

ONE = market("one")
LOOKED_AT_US = 20_000
LONGEST_LAG_S = 2.0
SEEDS = 80


@dataclass
class Delivery:
    """A message on its way over one connection."""

    at_us: int
    row: Row


def timeline(chance: Random) -> list[Row]:
    """What the venue says in 14 seconds: changes of books, and fills, each two books and then its trade."""
    rows: list[Row] = []
    ms, number = MS, 0
    while ms < MS + 14_000:
        number += 1
        ms += chance.choice((1, 30, 200, 900))
        bids = (("0.4", str(number)), ("0.48", str(chance.randint(1, 3))))
        rows += [book(ONE, outcome, bids=bids, ms=ms, hash="") for outcome in (0, 1)]
        if chance.random() < 0.4:
            ms += chance.randint(30, 45)
            rows += [trade(ONE, ms=ms, size=str(number))] * chance.choice((1, 1, 2))
    return rows


def on_its_way(chance: Random, rows: list[Row], since_ms: int) -> list[Delivery]:
    """In order, later than sent, the subscription's books first."""
    lag_s = chance.choice((0.01, 0.3, LONGEST_LAG_S))
    first = [[row for row in rows if row["asset_id"] == token and "bids" in row] for token in ONE.tokens]
    snapshot = [[row for row in some if int(row["timestamp"]) <= since_ms][-1:] for some in first]
    sent = [(since_ms, row) for some in snapshot for row in some]
    sent += [(int(row["timestamp"]), row) for row in rows if int(row["timestamp"]) > since_ms]
    found: list[Delivery] = []
    at_us = 0
    for ms, row in sent:
        at_us = max(at_us, ms * 1000 + round(chance.uniform(0.002, lag_s) * 1e6))
        found.append(Delivery(at_us, row))
    return found


def told(updates: list[Update]) -> list[tuple[object, ...]]:
    return [(u.kind, u.outcome, u.venue_ms, u.bid, u.bid_size, u.ask_size) for u in updates]


def carried(seed: int) -> tuple[Decision, list[Update], list[Update]]:
    """What became of the market, what was written, and what one connection alone would have written."""
    chance = Random(seed)
    rows = timeline(chance)
    two = TwoLines(ONE, *(book(ONE, outcome, ms=MS - 1, hash="") for outcome in (0, 1)), patience_s=9)
    alone = TwoLines(ONE, *(book(ONE, outcome, ms=MS - 1, hash="") for outcome in (0, 1))).old
    alone.said.clear()
    for row in rows:
        alone.hear_bytes(frame(row))
    old = on_its_way(chance, rows, MS - 1)
    new = on_its_way(chance, rows, MS + chance.randint(10, 2_000))
    written: list[Update] = []
    decision, now_us = Decision.WAIT, US
    while old or new:
        now_us += LOOKED_AT_US
        for line, deliveries in ((two.old, old), (two.new, new)):
            while deliveries and deliveries[0].at_us <= now_us:
                line.now_us = deliveries[0].at_us
                said = line.hear_bytes(frame(deliveries.pop(0).row))
                if line is two.new or decision is not Decision.SWITCH:
                    written += said
            line.now_us = now_us
        if decision is Decision.WAIT:
            decision = two.switch.decide(now_us)
            if decision is Decision.SWITCH:
                assert two.differing() == []
                two.new_feed.muted = False
                old.clear()
    return decision, written, alone.said


def test_whenever_a_market_is_switched_nothing_is_missing_and_nothing_comes_twice() -> None:
    first = random.randrange(10**9)
    print(f"seeds from {first}")
    decisions = []
    for seed in range(first, first + SEEDS):
        decision, written, wanted = carried(seed)
        decisions.append(decision)
        for outcome in (0, 1):
            got = [one for one in told(written) if one[1] == outcome]
            want = [one for one in told(wanted) if one[1] == outcome]
            assert got == want, f"seed {seed}"
    assert decisions.count(Decision.SWITCH) > SEEDS / 4, "else nothing was tried"
