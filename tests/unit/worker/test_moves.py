"""Markets change connections: which one takes them, what is written, and what is left behind when things go wrong."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from marketdata.market import Market
from tests.gamma_rows import market
from tests.unit.worker.moving import House, Wire, clock_of, moving, names
from tests.venue_frames import BIDS, MS, Row, book, feed_of, item, price_change, resolved, trade
from worker.feeds import Step, TokenFeed, TokenState
from worker.moves import AVOIDED_FOR_S, RESCUE_PATIENCE_S, ROTATION_PATIENCE_S
from worker.rescues import MOVE_WAIT_S
from worker.switching import OVERLAP_US

ONE, TWO, THREE = market("one"), market("two"), market("three")
OVERLAP_S = OVERLAP_US / 1e6
MAX_AGE_S = 3600.0

MakeHouse = Callable[..., House]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> MakeHouse:
    def make(*markets: Market, **given: Any) -> House:
        house = House(*(markets or (ONE, TWO, THREE)), **given)
        clock_of(house, monkeypatch)
        return house

    return make


def books(one: Market, ms: int = MS) -> list[Row]:
    return [book(one, 0, ms=ms), book(one, 1, ms=ms)]


def silence(house: House, shard: int, one: Market, *outcomes: int) -> None:
    """These tokens are stale, and subscribing again did not help: another connection is to get them."""
    connection = house.at(shard)
    protocol = connection.protocol
    for outcome in outcomes:
        feed = protocol.books.tokens[one.tokens[outcome]]
        protocol.books.gap(feed, "stale", house.now_us, house.now_us)
        protocol.books.forget(feed)
        protocol.rescues._try(feed, Step.MOVE, house.now_us)
    connection.flush()


def asked_for(wire: Wire) -> set[str]:
    """What is subscribed to on a socket now."""
    asked: set[str] = set()
    for one in wire.sent:
        if one == "PING":
            continue
        if one.get("operation") == "unsubscribe":
            asked.difference_update(one["assets_ids"])
        else:
            asked.update(one["assets_ids"])
    return asked


# -- a rescue -----------------------------------------------------------------------------------------------


async def test_a_silent_token_comes_back_by_another_connection_and_its_sibling_has_no_gap(
    make: MakeHouse,
) -> None:
    async with moving(make()) as house:
        old = await house.follow(0, ONE, TWO, books=books)
        gen = house.feed(0, ONE).stream.gen
        silence(house, 0, ONE, 0)
        assert list(names(house.take()))[-1] == ("gap", 0)
        new = await house.wire("c1")
        assert asked_for(new) == set(ONE.tokens)
        new.says(book(ONE, 0, bids=BIDS[:1], ms=MS + 99), book(ONE, 1))
        await house.pass_time(0)
        row = price_change(ONE, item(ONE, 1, "BUY", "0.5", "3", ("0.5", "0.52"), "x"), ms=MS + 100)
        old.says(row)
        new.says(row)
        assert list(names(house.take())) == [("top", 1)], "told once, by the old one"
        assert sum(1 for feed in house.shards.feeds() if feed.condition_id == ONE.condition_id) == 1
        await house.pass_time(OVERLAP_S)
        (top,) = house.take()
        assert (top.kind, top.outcome, top.bid, top.gen) == ("top", 0, "0.4", gen + 1)
        assert dict(house.counters.rescues) == {"move": 1}
        assert dict(house.counters.gaps) == {"stale": 1}
        assert (house.counters.moves, house.counters.move_gaps) == (1, 0)
        assert house.markets_on(0) == {TWO.condition_id}
        assert house.markets_on(1) == {ONE.condition_id}
        await house.until(lambda: asked_for(old) == set(TWO.tokens), "the old one is asked for no more")
        new.says(trade(ONE, ms=MS + 200))
        assert list(names(house.take())) == [("trade", 0)]


async def test_a_sibling_that_never_agrees_gets_a_gap_from_when_it_was_last_right(make: MakeHouse) -> None:
    async with moving(make()) as house:
        old = await house.follow(0, ONE, TWO, books=books)
        await house.pass_time(1)
        right_us = house.now_us
        old.says(price_change(ONE, item(ONE, 1, "BUY", "0.4", "3", ("0.48", "0.52"), "x"), ms=MS + 50))
        await house.pass_time(1)
        silence(house, 0, ONE, 0)
        new = await house.wire("c1")
        new.says(*books(ONE, MS + 99))
        house.take()
        await house.pass_time(RESCUE_PATIENCE_S - 2)
        # The old one's book disagrees with itself just when the time is over: its step is still open.
        old.says(price_change(ONE, item(ONE, 1, "BUY", "0.4", "3", ("0.49", "0.52"), "y"), ms=MS + 51))
        await house.pass_time(2)
        gap, *tops = house.take()
        assert (gap.kind, gap.outcome, gap.note) == ("gap", 1, f"disconnect {right_us} w1")
        assert list(names(tops)) == [("top", 0), ("top", 1)]
        assert (house.counters.moves, house.counters.move_gaps) == (1, 1)


async def test_what_could_not_be_shown_before_a_move_is_told_after_it_and_once(make: MakeHouse) -> None:
    async with moving(make()) as house:
        old = await house.follow(0, ONE, TWO, books=books)
        # The best prices contradict the book, and the step after them brings the same top.
        old.says(price_change(ONE, item(ONE, 1, "BUY", "0.4", "3", ("0.49", "0.52"), "x"), ms=MS + 50))
        old.says(price_change(ONE, item(ONE, 1, "BUY", "0.4", "4", ("0.48", "0.52"), "y"), ms=MS + 60))
        house.take()
        silence(house, 0, ONE, 0)
        new = await house.wire("c1")
        new.says(book(ONE, 0), book(ONE, 1, bids=(("0.4", "4"), BIDS[1]), ms=MS + 60, hash="y"))
        await house.pass_time(0)
        house.take()
        await house.pass_time(OVERLAP_S)
        house.take()
        assert house.counters.moves == 1
        assert house.counters.move_gaps == 0
        for size, skipped in (("7", 1), ("8", 0)):
            row = item(ONE, 1, "BUY", "0.48", size, ("0.48", "0.52"), f"z{size}")
            new.says(price_change(ONE, row, ms=MS + 70 + int(size)))
            (top,) = house.take()
            assert (top.bid_size, top.skipped) == (size, skipped)


async def test_a_token_that_no_connection_gets_is_quarantined_and_the_new_connection_closed(
    make: MakeHouse,
) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        silence(house, 0, ONE, 0)
        new = await house.wire("c1")
        new.says(book(ONE, 1))
        await house.pass_time(RESCUE_PATIENCE_S)
        await house.until(lambda: new.closed is not None, "the new connection is closed")
        assert new.closed == (1000, "")
        assert list(house.shards.connections) == [0]
        feed = house.at(0).protocol.books.tokens[ONE.tokens[0]]
        assert (feed.state, feed.step) == (TokenState.QUARANTINED, Step.SLOW)
        assert house.feed(0, ONE).tape is None
        assert house.counters.moves == 0


async def test_whoever_moves_a_token_gives_up_before_the_one_that_waits_for_it(make: MakeHouse) -> None:
    assert RESCUE_PATIENCE_S + OVERLAP_S < MOVE_WAIT_S


async def test_when_all_tokens_are_silent_all_markets_move_together_and_the_old_connection_closes(
    make: MakeHouse,
) -> None:
    async with moving(make()) as house:
        old = await house.follow(0, ONE, TWO, THREE, books=books)
        for one in (ONE, TWO, THREE):
            silence(house, 0, one, 0, 1)
        new = await house.wire("c1")
        assert list(house.shards.connections) == [0, 1], "one new connection takes them all"
        house.take()
        new.says(*(row for one in (ONE, TWO, THREE) for row in books(one, MS + 99)))
        await house.until(lambda: old.closed is not None, "the old connection is closed")
        assert list(names(house.take())) == [("top", 0), ("top", 1)] * 3
        assert old.closed == (1000, "")
        assert dict(house.counters.rescues) == {"move": 6}
        assert list(house.shards.connections) == [1]


# -- which connection takes it ------------------------------------------------------------------------------


async def test_the_fullest_connection_that_has_room_takes_it(make: MakeHouse) -> None:
    markets = [market(f"m{number}") for number in range(8)]
    async with moving(make(*markets, tokens_per_connection=6)) as house:
        for shard, some in enumerate((markets[:1], markets[1:4], markets[4:6], markets[6:7])):
            await house.follow(shard, *some, books=books)
        silence(house, 0, markets[0], 0)
        assert house.markets_on(2) >= {markets[0].condition_id}, "the second is full, the fourth emptier"


async def test_a_connection_that_left_tokens_silent_gets_no_others_for_a_while(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        await house.follow(1, TWO, books=books)
        silence(house, 1, TWO, 0)
        house.moves.cancel([TWO.condition_id])
        silence(house, 0, ONE, 0)
        assert ONE.condition_id not in house.markets_on(1)
        assert ONE.condition_id in house.markets_on(2)
        house.moves.cancel([ONE.condition_id])
        await house.until(lambda: 2 not in house.shards.connections, "it is closed")
        await house.pass_time(AVOIDED_FOR_S)
        silence(house, 0, ONE, 0)
        assert ONE.condition_id in house.markets_on(1)


async def test_a_connection_that_is_down_takes_nothing(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        wire = await house.follow(1, TWO, books=books)
        house.refuses.add("c1")
        wire.cut()
        await house.until(lambda: house.at(1).protocol.state.value != "live", "it is down")
        silence(house, 0, ONE, 0)
        assert ONE.condition_id in house.markets_on(2)


async def test_where_no_connection_is_left_the_token_is_quarantined_at_once(make: MakeHouse) -> None:
    async with moving(make(max_connections=1)) as house:
        await house.follow(0, ONE, books=books)
        silence(house, 0, ONE, 0)
        assert house.at(0).protocol.books.tokens[ONE.tokens[0]].state is TokenState.QUARANTINED
        assert list(house.shards.connections) == [0]


async def test_a_market_that_is_not_in_the_catalog_any_more_goes_nowhere(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        house.markets.clear()
        silence(house, 0, ONE, 0)
        assert house.at(0).protocol.books.tokens[ONE.tokens[0]].state is TokenState.QUARANTINED


async def test_a_second_silent_token_joins_the_move_of_its_market(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        silence(house, 0, ONE, 0)
        new = await house.wire("c1")
        silence(house, 0, ONE, 1)
        assert list(house.shards.connections) == [0, 1]
        new.says(book(ONE, 0, ms=MS + 9))
        await house.pass_time(1)
        assert house.counters.moves == 0
        new.says(book(ONE, 1, ms=MS + 9))
        await house.pass_time(0)
        assert dict(house.counters.rescues) == {"move": 2}


# -- what comes in between ----------------------------------------------------------------------------------


async def test_nothing_is_written_behind_the_last_entry_of_a_market_that_ends_meanwhile(
    make: MakeHouse,
) -> None:
    async with moving(make()) as house:
        old = await house.follow(0, ONE, TWO, books=books)
        silence(house, 0, ONE, 0)
        new = await house.wire("c1")
        new.says(*books(ONE, MS + 9))
        house.take()
        old.says(resolved(ONE))
        await house.pass_time(99)
        assert list(names(house.take())) == [("resolved", None)]
        assert house.markets_on(0) == {ONE.condition_id, TWO.condition_id}, "whoever was told lets it go"
        await house.until(lambda: new.closed is not None, "the new connection is closed")
        assert house.counters.quarantined_tokens == 0


async def test_a_market_that_is_let_go_leaves_nothing_on_either_connection(make: MakeHouse) -> None:
    async with moving(make()) as house:
        old = await house.follow(0, ONE, TWO, books=books)
        other = await house.follow(1, THREE, books=books)
        silence(house, 0, ONE, 0)
        await house.until(lambda: set(ONE.tokens) <= asked_for(other), "it is asked for")
        house.moves.cancel([ONE.condition_id, TWO.condition_id, "0x1"])
        house.at(0).protocol.remove([ONE.condition_id])
        house.at(0).flush()
        await house.until(lambda: asked_for(other) == set(THREE.tokens), "and no more")
        await house.until(lambda: asked_for(old) == set(TWO.tokens), "by neither")
        assert house.shards.arriving() == {}
        assert house.shards.feed(ONE.condition_id) is None


async def test_places_of_markets_that_only_arrive_are_kept_and_they_are_told_of_once(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        await house.follow(1, TWO, books=books)
        silence(house, 0, ONE, 0)
        assert house.shards.arriving() == {1: 1}
        assert house.shards.placement() == {0: [ONE.condition_id], 1: [TWO.condition_id]}
        assert [feed.condition_id for feed in house.shards.feeds()] == [ONE.condition_id, TWO.condition_id]
        found = house.shards.feed(ONE.condition_id)
        assert found is not None
        assert found[0] is house.at(0)


async def test_an_end_of_the_old_connection_in_between_makes_the_move_easier(make: MakeHouse) -> None:
    async with moving(make()) as house:
        old = await house.follow(0, ONE, books=books)
        silence(house, 0, ONE, 0)
        new = await house.wire("c1")
        house.take()
        old.cut()
        await house.until(lambda: house.said, "the other token gets its gap")
        new.says(*books(ONE, MS + 9))
        await house.until(lambda: house.counters.moves, "it moves at once")
        assert list(names(house.take())) == [("gap", 1), ("top", 0), ("top", 1)]


async def test_an_end_of_the_new_connection_in_between_leaves_no_gap(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        silence(house, 0, ONE, 0)
        new = await house.wire("c1")
        new.says(book(ONE, 0, ms=MS + 9), book(ONE, 1))
        house.take()
        await house.pass_time(OVERLAP_S - 0.1)
        new.cut()
        again = await house.wire("c1", life=2)
        await house.pass_time(1)
        again.says(book(ONE, 0, ms=MS + 9), book(ONE, 1))
        await house.pass_time(0)
        assert house.take() == []
        await house.pass_time(OVERLAP_S)
        assert list(names(house.take())) == [("top", 0)]


# -- replacing connections of some age ----------------------------------------------------------------------


async def aged(house: House, *markets: Market) -> tuple[Wire, Wire]:
    """A connection that is too old, and the one that is to take its place."""
    old = await house.follow(0, *markets, books=books)
    await house.pass_time(MAX_AGE_S - 1)
    house.moves.rotate()
    assert list(house.shards.connections) == [0]
    await house.pass_time(1)
    house.take()
    house.moves.rotate()
    new = await house.wire("c1")
    house.moves.rotate()
    assert list(house.shards.connections) == [0, 1], "one at a time"
    return old, new


async def test_a_connection_of_some_age_is_replaced_without_a_word_in_the_streams(make: MakeHouse) -> None:
    async with moving(make(max_age_s=MAX_AGE_S)) as house:
        old, new = await aged(house, ONE, TWO)
        new.says(*books(ONE), *books(TWO))
        await house.pass_time(0)
        await house.pass_time(OVERLAP_S)
        await house.until(lambda: old.closed is not None, "the old one is closed")
        assert old.closed == (1000, "")
        assert house.take() == []
        assert (house.counters.rotations, house.counters.moves) == (1, 2)
        assert not house.counters.gaps
        assert house.markets_on(1) == {ONE.condition_id, TWO.condition_id}


async def test_without_an_age_no_connection_is_replaced(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        await house.pass_time(1e6)
        house.moves.rotate()
        assert list(house.shards.connections) == [0]


async def test_a_market_whose_books_do_not_come_stays_and_so_does_its_connection_for_a_while(
    make: MakeHouse,
) -> None:
    async with moving(make(max_age_s=MAX_AGE_S)) as house:
        old, new = await aged(house, ONE, TWO)
        new.says(*books(ONE))
        await house.pass_time(0)
        await house.pass_time(ROTATION_PATIENCE_S)
        await house.until(lambda: house.shards.arriving() == {}, "nothing is under way")
        assert house.take() == []
        assert (house.markets_on(0), house.markets_on(1)) == ({TWO.condition_id}, {ONE.condition_id})
        assert (house.counters.rotations, old.closed) == (0, None)
        house.moves.rotate()
        assert house.shards.arriving() == {}
        await house.pass_time(MAX_AGE_S / 4)
        house.moves.rotate()
        assert house.shards.arriving() == {1: 1}, "it goes where there is room"


async def test_each_of_several_connections_that_cannot_be_replaced_is_left_alone_for_a_while(
    make: MakeHouse,
) -> None:
    async with moving(make(max_age_s=MAX_AGE_S, tokens_per_connection=2)) as house:
        await house.follow(0, ONE, books=books)
        await house.follow(1, TWO, books=books)
        await house.pass_time(MAX_AGE_S)
        for _ in range(2):
            house.moves.rotate()
            await house.wire("c2")
            await house.pass_time(ROTATION_PATIENCE_S)
            await house.until(lambda: 2 not in house.shards.connections, "it is closed")
            house.wires.clear()
        house.moves.rotate()
        assert list(house.shards.connections) == [0, 1]


async def test_a_market_that_has_no_books_does_not_keep_an_old_connection_alive(make: MakeHouse) -> None:
    async with moving(make(max_age_s=MAX_AGE_S)) as house:
        old = await house.follow(0, ONE, TWO, books=lambda one: books(one) if one is ONE else [])
        house.at(0).protocol.books.tokens[TWO.tokens[0]].state = TokenState.UNLISTED
        await house.pass_time(MAX_AGE_S)
        house.moves.rotate()
        new = await house.wire("c1")
        new.says(*books(ONE))
        await house.pass_time(0)
        await house.pass_time(ROTATION_PATIENCE_S)
        await house.until(lambda: old.closed is not None, "the old one is closed")
        assert house.counters.rotations == 1
        feed = house.at(1).protocol.books.tokens[TWO.tokens[0]]
        assert feed.state is TokenState.WAITING
        assert feed.book_due_us > house.now_us, "its first book is waited for on the new one"


async def test_nothing_goes_to_a_connection_that_did_not_come_up(make: MakeHouse) -> None:
    async with moving(make(max_age_s=MAX_AGE_S)) as house:
        await house.follow(0, ONE, TWO, books=lambda one: books(one) if one is ONE else [])
        house.refuses.add("c1")
        await house.pass_time(MAX_AGE_S)
        house.moves.rotate()
        assert house.shards.arriving() == {1: 2}
        await house.pass_time(ROTATION_PATIENCE_S)
        await house.until(lambda: list(house.shards.connections) == [0], "the new one is given up")
        assert house.markets_on(0) == {ONE.condition_id, TWO.condition_id}


async def test_a_token_that_falls_silent_meanwhile_is_rescued_by_the_same_move(make: MakeHouse) -> None:
    async with moving(make(max_age_s=MAX_AGE_S)) as house:
        _, new = await aged(house, ONE)
        silence(house, 0, ONE, 0)
        new.says(*books(ONE))
        await house.pass_time(0)
        await house.pass_time(OVERLAP_S)
        assert dict(house.counters.rescues) == {"move": 1}
        assert list(names(house.take())) == [("gap", 0), ("top", 0)]


async def test_a_connection_whose_markets_were_all_let_go_was_not_replaced(make: MakeHouse) -> None:
    async with moving(make(max_age_s=MAX_AGE_S)) as house:
        await aged(house, ONE)
        house.moves.cancel([ONE.condition_id])
        house.at(0).protocol.remove([ONE.condition_id])
        await house.shards.close([0])
        await house.until(lambda: not house.shards.connections, "both are closed")
        assert house.counters.rotations == 0


async def test_of_closed_connections_nothing_is_kept(make: MakeHouse) -> None:
    async with moving(make()) as house:
        await house.follow(0, ONE, books=books)
        gone = weakref.ref(house.at(0))
        silence(house, 0, ONE, 0, 1)
        new = await house.wire("c1")
        new.says(*books(ONE, MS + 9))
        await house.until(lambda: 0 not in house.shards.connections, "it is closed")
        await house.pass_time(0)
        gc.collect()
        assert gone() is None


async def test_nothing_is_rescued_onto_a_connection_that_is_being_replaced(make: MakeHouse) -> None:
    async with moving(make(max_age_s=MAX_AGE_S)) as house:
        await aged(house, ONE, TWO)
        house.shards.add(2, [feed_of(THREE)])
        (await house.wire("c2")).says(*books(THREE))
        silence(house, 2, THREE, 0)
        assert THREE.condition_id not in house.markets_on(0)
        assert THREE.condition_id in house.markets_on(1)


@pytest.mark.parametrize("agrees", [True, False])
async def test_what_a_connection_knew_of_a_market_goes_with_it_at_once(make: MakeHouse, agrees: bool) -> None:
    def in_memory() -> int:
        return sum(isinstance(thing, TokenFeed) and thing.token in ONE.tokens for thing in gc.get_objects())

    async with moving(make()) as house:
        await house.follow(0, ONE, TWO, books=books)
        gc.collect()
        gc.disable()
        try:
            silence(house, 0, ONE, 0)
            assert in_memory() == 4
            new = await house.wire("c1")
            new.says(*(books(ONE) if agrees else books(ONE)[1:]))
            await house.pass_time(0)
            await house.pass_time(RESCUE_PATIENCE_S)
            assert house.counters.moves == agrees
            assert in_memory() == 2
        finally:
            gc.enable()
