"""Whose end is asked after, and when: each in turn, whatever else comes and stays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from marketdata.market import Market
from tests.gamma_rows import market
from worker.discovery.found import Resolution, Resolutions
from worker.endings import ASKED_AT_ONCE, Endings


class Venue:
    """Knows which markets are over, and remembers which it was asked about."""

    def __init__(self) -> None:
        self.over: dict[str, Resolution] = {}
        self.asked: list[set[str]] = []

    async def resolutions(self, condition_ids: Iterable[str]) -> Resolutions:
        asked = set(condition_ids)
        self.asked.append(asked)
        return Resolutions({one: end for one, end in self.over.items() if one in asked}, [])


class Written:
    """Takes what is written of catalog and streams."""

    def __init__(self) -> None:
        self.condition_ids: set[str] = set()
        self.records: list[Market] = []
        self.ends: list[tuple[str, str]] = []

    async def put(self, markets: Iterable[Market]) -> None:
        self.records += markets

    async def finish(self, ended: Market, note: str) -> None:
        self.ends.append((ended.condition_id, note))


def endings(venue: Venue) -> tuple[Endings, Written]:
    written = Written()
    lent: Any = written
    return Endings(cast(Any, venue), lent, lent, asyncio.Lock()), written


def closed(first: int, count: int) -> dict[str, Market]:
    some = [market(f"m{number}", closed=True) for number in range(first, first + count)]
    return {one.condition_id: one for one in some}


async def test_those_that_keep_coming_do_not_keep_the_first_one_waiting() -> None:
    venue = Venue()
    asking, _ = endings(venue)
    known = closed(0, ASKED_AT_ONCE // 2)
    first = next(iter(known))
    for number in range(4):
        known |= closed(1_000 * (number + 1), ASKED_AT_ONCE // 2)
        await asking.poll(known, set(), range(64))
    for _ in range(3):
        await asking.poll(known, set(), range(64))
    assert all(len(asked) <= ASKED_AT_ONCE for asked in venue.asked)
    assert sum(first in asked for asked in venue.asked[:4]) >= 2, (
        "asked again although new ones came each time"
    )
    assert set().union(*venue.asked) == set(known), "and each of those was asked after"


async def test_those_that_are_known_to_be_over_are_asked_after_no_more_and_forgotten() -> None:
    venue = Venue()
    asking, written = endings(venue)
    known = closed(0, 4)
    one, two, three, _ = known
    venue.over = {
        one: Resolution("resolved", 1),
        two: Resolution("resolved", "split"),
        three: Resolution("closed", None),
    }
    await asking.poll(known, set(), range(64))
    assert written.ends == [(one, "1"), (two, "split")]
    assert {record.condition_id: (record.state, record.winner) for record in written.records} == {
        one: ("resolved", 1),
        two: ("resolved", "split"),
        three: ("closed", None),
    }
    known |= {record.condition_id: record for record in written.records}
    await asking.poll(known, set(), range(64))
    assert venue.asked[-1] == set(known) - {one, two}
    assert set(asking._asked) == set(known) - {one, two}


async def test_neither_what_trades_nor_what_others_own_is_asked_after() -> None:
    venue = Venue()
    asking, _ = endings(venue)
    known = closed(0, 8)
    trades, *others = known
    ours = {known[one].partition for one in others[:3]} - {known[trades].partition}
    await asking.poll(known, {trades}, ours)
    assert venue.asked == [{one for one in others if known[one].partition in ours}]
