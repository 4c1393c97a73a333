"""What a connection knows of a market when it takes it on."""

from __future__ import annotations

import gc

from tests.gamma_rows import market
from tests.venue_frames import feed_of
from worker.feeds import TokenFeed, TokenState
from worker.streams import Update


def test_a_market_brings_its_facts_and_two_waiting_tokens() -> None:
    one = market("one", orderMinSize=15, negRisk=True, orderPriceMinTickSize=0.001)
    feed = feed_of(one)
    facts = feed.facts
    assert (facts.condition_id, facts.min_order_size, facts.neg_risk) == (one.condition_id, "15", True)
    assert [token.check.tick_size for token in feed.tokens] == ["0.001", "0.001"]
    assert [(token.token, token.outcome, token.market) for token in feed.tokens] == [
        (one.tokens[0], 0, feed),
        (one.tokens[1], 1, feed),
    ]
    assert {token.state for token in feed.tokens} == {TokenState.WAITING}
    assert feed.by_token == dict(zip(one.tokens, feed.tokens, strict=True))


def test_the_protocol_version_takes_part_in_hashes_from_v2_on() -> None:
    assert feed_of(market("one")).facts.version == ""
    v2 = market("two", version="v2", clobTokenIds=None, positionIds=["1", "2"])
    assert feed_of(v2).facts.version == "v2"


def test_an_update_belongs_to_the_generation_in_which_it_was_made() -> None:
    stream = feed_of(market("one")).stream
    stream.gen = 3
    update = Update(stream, "top", 0, recv_us=1)
    stream.gen = 4
    assert update.gen == 3


def test_a_market_that_is_let_go_is_freed_without_the_garbage_collector() -> None:
    one = market("one")

    def tokens_in_memory() -> int:
        return sum(isinstance(thing, TokenFeed) and thing.token in one.tokens for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        feed = feed_of(one)
        assert tokens_in_memory() == 2
        feed.free()
        del feed
        assert tokens_in_memory() == 0
    finally:
        gc.enable()
