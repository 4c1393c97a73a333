"""Once a second: every connection sees the time, hashes are checked in turn, the clocks say what is proven."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from marketdata.keys import Keys
from marketdata.market import Market
from tests.gamma_rows import market
from tests.unit.worker.moving import House, clock_of, moving
from tests.venue_frames import MS, Row, book, item, price_change
from worker import heartbeat as module
from worker.heartbeat import Heartbeat
from worker.ownership import Ownership
from worker.publisher import Publisher
from worker.streams import Update

MARKETS = [market(f"m{number}") for number in range(6)]


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House(*MARKETS, tokens_per_connection=6, max_age_s=3600)
    clock_of(house, monkeypatch)
    monkeypatch.setattr(module, "now_us", lambda: house.now_us)
    return house


class Beating:
    """A heartbeat whose owner has these partitions."""

    def __init__(self, house: House, marked: set[int], checks_per_s: float = 0) -> None:
        self.clocks: list[Update] = []
        owner: Any = SimpleNamespace(marked=marked, epochs=dict.fromkeys(marked, 3))
        publisher: Any = SimpleNamespace(offer=self.clocks.append)
        self.heartbeat = Heartbeat(
            keys=Keys(""),
            worker_id="w1",
            shards=house.shards,
            moves=house.moves,
            ownership=cast(Ownership, owner),
            publisher=cast(Publisher, publisher),
            hash_checks_per_s=checks_per_s,
        )
        self._house = house

    async def beat(self) -> None:
        self._house.now_us += 1_000_000
        await self.heartbeat.beat()


def books(one: Market) -> list[Row]:
    return [book(one, 0), book(one, 1)]


def off(one: Market) -> Row:
    """A step whose hash is not that of the book."""
    return price_change(one, item(one, 0, "BUY", "0.4", "12", ("0.48", "0.52"), "0" * 40), ms=MS + 9)


async def test_a_clock_counts_each_token_of_a_marked_partition_once(house: House) -> None:
    one = MARKETS[0]
    async with moving(house):
        await house.follow(0, one, books=books)
        await house.follow(1, MARKETS[1], books=lambda one: books(one)[:1])
        house.moves.rescue(house.at(0), one.condition_id, one.tokens[0])
        new = await house.wire("c1")
        new.says(*books(one))
        partitions = {one.partition, MARKETS[1].partition}
        beating = Beating(house, {one.partition})
        await beating.beat()
        same = len(partitions) == 1
        assert [(u.kind, u.stream.key, u.note) for u in beating.clocks] == [
            ("clock", f"clock:{{{one.partition:02d}}}", "w1 3 3 1" if same else "w1 3 2 0")
        ]


async def test_hashes_are_checked_in_turn_so_many_a_second(house: House) -> None:
    async with moving(house):
        for shard in (0, 1):
            await house.follow(shard, *MARKETS[3 * shard : 3 * shard + 3], books=books)
        tokens = [feed for shard in (0, 1) for feed in house.at(shard).protocol.books.tokens.values()]
        before = [feed.check.matches for feed in tokens]
        beating = Beating(house, set(), checks_per_s=5)
        for beat in range(1, 13):
            await beating.beat()
            checks = [feed.check.matches - was for feed, was in zip(tokens, before, strict=True)]
            assert sum(checks) == 5 * beat
            assert max(checks) - min(checks) <= 1, "nobody's turn comes twice before everybody's did"


async def test_what_a_step_left_to_be_checked_is_checked_though_no_message_closes_it(house: House) -> None:
    async with moving(house):
        wire = await house.follow(0, *MARKETS[:2], books=books)
        (feed, *_) = house.at(0).protocol.books.tokens.values()
        wire.says(off(MARKETS[0]))
        feed.check_due = True
        await Beating(house, set()).beat()
        assert house.counters.hash_mismatches == 1


async def test_quotes_pass_between_the_checks_of_one_large_connection(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKED_AT_ONCE", 2)
    async with moving(house):
        await house.follow(0, *MARKETS[:3], books=books)
        seen: list[int] = []
        feeds = list(house.at(0).protocol.books.tokens.values())
        before = sum(feed.check.matches for feed in feeds)

        async def quote() -> None:
            for number in range(1, 99):
                seen.append(sum(feed.check.matches for feed in feeds) - before)
                await asyncio.sleep(0)
                assert number < 98, "the checks never end"
                if seen[-1] >= 6:
                    return

        quoting = asyncio.create_task(quote())
        await Beating(house, set(), checks_per_s=100).beat()
        await quoting
        assert {2, 4} <= set(seen)


async def test_a_market_that_is_let_go_between_two_checks_is_not_checked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECKED_AT_ONCE", 1)
    async with moving(house):
        await house.follow(0, *MARKETS[:2], books=books)
        last = house.feed(0, MARKETS[1])

        async def let_go() -> None:
            house.at(0).protocol.remove([MARKETS[1].condition_id])
            last.free()

        going = asyncio.create_task(let_go())
        before = [feed.check.matches for feed in last.tokens]
        beating = Beating(house, set(), checks_per_s=100)
        await beating.beat()
        await going
        assert [feed.check.matches for feed in last.tokens] == before


async def test_with_no_connection_at_all_the_clock_goes_on(house: House) -> None:
    beating = Beating(house, {7}, checks_per_s=100)
    await beating.beat()
    await beating.beat()
    assert [update.note for update in beating.clocks] == ["w1 3 0 0"] * 2
    assert beating.clocks[0].stream is beating.clocks[1].stream
    assert beating.clocks[0].recv_us < beating.clocks[1].recv_us


async def test_every_connection_sees_the_time_and_old_ones_are_replaced(house: House) -> None:
    async with moving(house):
        wires = [await house.follow(shard, MARKETS[shard], books=books) for shard in (0, 1)]
        await house.pass_time(3600)
        await Beating(house, set()).beat()
        for wire in wires:
            await house.until(lambda wire=wire: "PING" in wire.sent, "it was pinged")  # type: ignore[misc]
        assert house.shards.arriving() != {}
