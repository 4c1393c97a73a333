"""One connection's rules, with a clock in memory: what is sent, what is written, what is given up and when."""

from __future__ import annotations

from typing import TypeVar

import pytest

from tests.gamma_rows import market
from tests.venue_frames import (
    ASKS,
    BIDS,
    MS,
    US,
    Line,
    book,
    frame,
    item,
    price_change,
    resolved,
    tick_size_change,
    trade,
    wire_hash,
)
from worker.feeds import TokenState
from worker.notices import Close, Ended, Move, Quarantined, Witness
from worker.policy import ProtocolPolicy
from worker.protocol import ConnectionState
from worker.shapes import NewMarket
from worker.streams import Update

T = TypeVar("T")

ONE = market("one")
TWO = market("two")


def live(*markets: object, policy: ProtocolPolicy | None = None) -> Line:
    """An open connection on which both tokens of each market have their book."""
    followed = [m for m in (markets or (ONE,)) if isinstance(m, type(ONE))]
    line = Line(followed, policy)
    line.hear(*(book(one, outcome) for one in followed for outcome in (0, 1)), array=True)
    line.sent()
    line.noticed(object)
    line.said.clear()
    return line


def read(value: T) -> T:
    """A value as it is now; without this a type checker takes it to stay what it was."""
    return value


def kinds(updates: list[Update]) -> list[tuple[str, int | None]]:
    return [(update.kind, update.outcome) for update in updates]


def causes(updates: list[Update]) -> list[tuple[str, int | None]]:
    return [(update.note.split(" ")[0], update.outcome) for update in updates if update.kind == "gap"]


def starts_us(updates: list[Update]) -> list[int]:
    return [int(update.note.split(" ")[1]) for update in updates if update.kind == "gap"]


def signed(line: Line, outcome: int, bids: object, asks: object, ms: int, **facts: str) -> str:
    return wire_hash(ONE, outcome, ms, bids, asks, **facts)  # type: ignore[arg-type]


# -- subscribing --------------------------------------------------------------------------------------------


def test_it_subscribes_in_frames_of_at_most_100_ids_and_only_the_first_is_an_initial_one() -> None:
    followed = [market(f"m{n}") for n in range(125)]
    line = Line(followed)
    sent = line.sent()
    assert [len(one["assets_ids"]) for one in sent] == [100, 100, 50]
    assert sent[0]["type"] == "market"
    assert "operation" not in sent[0]
    assert all(one["operation"] == "subscribe" and "type" not in one for one in sent[1:])
    assert all(one["custom_feature_enabled"] is True for one in sent)
    assert [token for one in sent for token in one["assets_ids"]] == [t for m in followed for t in m.tokens]


def test_nothing_is_sent_before_the_first_subscription_however_long_it_takes() -> None:
    line = Line()
    line.tick(3600)
    assert line.protocol.commands == []
    line.add(ONE)
    assert line.sent()[0]["type"] == "market", (
        "an open connection without tokens subscribes when it gets some"
    )
    line.tick(15)
    assert line.sent() == ["PING"]


def test_markets_added_before_the_connection_opens_wait_for_it() -> None:
    line = Line([ONE], is_open=False)
    line.protocol.connecting()
    line.add(TWO)
    assert line.protocol.commands == []
    line.open()
    assert [len(one["assets_ids"]) for one in line.sent()] == [4]


def test_markets_added_to_a_live_connection_are_subscribed_to_at_once() -> None:
    line = live()
    line.add(TWO)
    assert [(one["operation"], one["assets_ids"]) for one in line.sent()] == [("subscribe", list(TWO.tokens))]
    assert line.protocol.state is ConnectionState.LIVE


def test_removed_markets_are_unsubscribed_and_forgotten() -> None:
    line = live(ONE, TWO)
    line.protocol.remove([ONE.condition_id, "0xunknown"])
    assert [(one["operation"], one["assets_ids"]) for one in line.sent()] == [
        ("unsubscribe", list(ONE.tokens))
    ]
    assert set(line.protocol.books.tokens) == set(TWO.tokens)
    assert line.hear(book(ONE, 0, ms=MS + 1)) == []
    assert line.counters.foreign == 1
    assert causes(line.close()) == [("disconnect", 0), ("disconnect", 1)], "gaps of the other market only"


def test_removing_on_a_closed_connection_sends_nothing() -> None:
    line = Line([ONE], is_open=False)
    line.protocol.remove([ONE.condition_id])
    assert line.protocol.commands == []


# -- heartbeat ----------------------------------------------------------------------------------------------


def test_ping_goes_out_every_interval_after_the_subscription() -> None:
    line = live(policy=ProtocolPolicy(ping_interval_s=15))
    pings = []
    for second in range(1, 61):
        line.tick(1)
        if "PING" in line.sent():
            pings.append(second)
            line.hear_bytes(b"PONG")
    assert pings == [15, 30, 45, 60]
    assert line.closes() == []


def test_pong_missing_for_its_timeout_closes_the_connection() -> None:
    line = live(policy=ProtocolPolicy(ping_interval_s=15, pong_timeout_s=30))
    for _ in range(44):
        line.tick(1)
    assert line.closes() == []
    line.tick(1)
    assert line.closes() == [Close(1001, "no PONG for 30 s")]
    assert line.counters.pong_timeouts == 1


def test_data_is_no_pong() -> None:
    line = live(policy=ProtocolPolicy(ping_interval_s=10, pong_timeout_s=20))
    for second in range(1, 31):
        line.hear(book(ONE, 0, ms=MS + second))
        line.tick(1)
    assert len(line.closes()) == 1


def test_a_pong_is_timed_from_the_ping_that_it_answers() -> None:
    line = live(policy=ProtocolPolicy(ping_interval_s=10, pong_timeout_s=30))
    line.hear_bytes(b"PONG")
    assert read(line.protocol.pong_us) is None, "nobody asked"
    line.tick(10)
    line.tick(10)
    assert line.sent() == ["PING", "PING"]
    line.wait(0.5)
    line.hear_bytes(b"PONG\n")
    assert line.protocol.pong_us == 10_500_000
    line.tick(20)
    assert line.closes() == []


def test_the_wait_for_a_pong_ends_with_the_connection() -> None:
    line = live(policy=ProtocolPolicy(ping_interval_s=10, pong_timeout_s=20))
    line.tick(10)
    line.close()
    line.wait(100)
    line.open()
    line.tick(1)
    assert line.closes() == []


# -- generations and gaps -----------------------------------------------------------------------------------


def test_each_subscription_is_a_new_generation() -> None:
    line = Line([ONE])
    stream = line.protocol.books.markets[ONE.condition_id].stream
    assert stream.gen == line.protocol.generation == 1
    assert [update.gen for update in line.hear(book(ONE, 0))] == [1]
    assert [update.gen for update in line.close()] == [1], "the gap belongs to the generation that ended"
    line.open()
    assert stream.gen == line.protocol.generation == 2
    assert [update.gen for update in line.hear(book(ONE, 0))] == [2]


def test_a_closed_connection_leaves_one_gap_a_live_token_from_the_last_frame_on() -> None:
    line = Line([ONE, TWO])
    line.hear(book(ONE, 0))
    line.hear(book(TWO, 1))
    line.wait(2)
    line.hear_bytes(b"PONG")
    last_frame_us = line.now_us
    line.wait(5)
    gaps = line.close()
    assert causes(gaps) == [("disconnect", 0), ("disconnect", 1)]
    assert {update.stream.condition_id for update in gaps} == {ONE.condition_id, TWO.condition_id}
    assert starts_us(gaps) == [last_frame_us, last_frame_us]
    assert all(update.note.split(" ")[2] == "w1" and update.recv_us == line.now_us for update in gaps)
    assert line.counters.gaps == {"disconnect": 2}
    line.open()
    line.wait(1)
    assert line.close() == [], "no second gap while no book came"


def test_a_book_that_was_held_has_been_wrong_since_before_the_connection_closed() -> None:
    line = live()
    good_us = line.now_us
    line.wait(0.001)
    line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.5", "1", ("0.51", "0.52"), "h")))
    line.wait(0.1)
    assert starts_us(line.close()) == [good_us, line.protocol.last_frame_us]


def test_a_retired_connection_leaves_its_gaps_to_others() -> None:
    line = live()
    line.protocol.retired = True
    assert line.close() == []
    assert all(feed.gate.book is None for feed in line.protocol.books.tokens.values())


def test_after_a_reconnect_no_token_is_shown_before_its_own_book() -> None:
    line = live()
    line.close()
    line.open()
    change = price_change(
        ONE,
        item(ONE, 0, "BUY", "0.49", "5", ("0.49", "0.52"), "a"),
        item(ONE, 1, "SELL", "0.51", "5", ("0.48", "0.51"), "b"),
    )
    assert line.hear(change) == []
    assert line.counters.before_book == 2
    assert kinds(line.hear(book(ONE, 1, ms=MS + 2))) == [("top", 1)]
    assert line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.49", "6", ("0.49", "0.52"), "c"))) == []
    assert kinds(line.hear(book(ONE, 0, ms=MS + 2))) == [("top", 0)], "the same top again, after the gap"


def test_a_connection_is_good_with_its_first_book_only() -> None:
    line = Line([ONE])
    line.hear_bytes(b"PONG")
    line.hear(trade(ONE))
    line.hear(book(TWO, 0))
    assert not read(line.protocol.had_good_book)
    assert read(line.protocol.state) is ConnectionState.SUBSCRIBED
    line.hear(book(ONE, 0))
    assert read(line.protocol.had_good_book)
    assert line.protocol.state is ConnectionState.LIVE
    line.close()
    line.protocol.connecting()
    assert not line.protocol.had_good_book


# -- new snapshots ------------------------------------------------------------------------------------------


def break_book(line: Line, outcome: int = 0) -> list[Update]:
    """Prices that the venue says and the book does not have, until the book is given up."""
    line.hear(price_change(ONE, item(ONE, outcome, "BUY", "0.3", "1", ("0.47", "0.52"), "x"), ms=MS + 50))
    line.wait(0.3)
    line.protocol.tick_steps(line.now_us)
    return line.take()


def test_a_wrong_book_is_subscribed_to_again_at_once_and_then_ever_later() -> None:
    line = live(policy=ProtocolPolicy(stale_after_s=3600))
    delays = []
    for _ in range(9):
        assert causes(break_book(line)) == [("desync", 0)]
        asked_us = line.now_us
        while not (sent := [one for one in line.sent() if one != "PING"]):
            line.tick(1)
            line.hear_bytes(b"PONG")
        delays.append((line.now_us - asked_us) // 1_000_000)
        assert [one["operation"] for one in sent] == ["unsubscribe", "subscribe"]
        assert [one["assets_ids"] for one in sent] == [[ONE.tokens[0]]] * 2
        assert kinds(line.hear(book(ONE, 0, ms=MS + 60))) == [("top", 0)]
    assert delays == [0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_new_snapshot_is_a_new_generation_of_the_stream() -> None:
    line = live()
    gap = break_book(line)
    assert [update.gen for update in gap] == [1]
    assert [update.gen for update in line.hear(book(ONE, 0, ms=MS + 60))] == [2]


def test_a_token_that_was_well_for_a_minute_is_asked_for_at_once_again() -> None:
    line = live()
    for _ in range(3):
        break_book(line)
        line.tick(30)
        line.hear(book(ONE, 0, ms=MS + 60))
    line.wait(61)
    line.sent()
    break_book(line)
    assert [one["operation"] for one in line.sent()] == ["unsubscribe", "subscribe"]


def test_a_book_that_comes_by_itself_makes_the_planned_question_needless() -> None:
    line = live()
    break_book(line)
    line.hear(book(ONE, 0, ms=MS + 60))
    break_book(line)
    line.hear(book(ONE, 0, ms=MS + 70))
    line.sent()
    line.tick(40)
    assert [one for one in line.sent() if one != "PING"] == []


def test_a_token_removed_while_its_question_was_planned_is_not_asked_for() -> None:
    line = live()
    feed = line.protocol.books.tokens[ONE.tokens[0]]
    line.protocol.books.desync(feed, line.now_us)
    line.protocol.remove([ONE.condition_id])
    line.sent()
    line.protocol.rescues.resync(line.now_us)
    assert line.protocol.commands == []


def test_on_a_closed_connection_nothing_is_asked() -> None:
    line = live()
    line.protocol.books.desync(line.protocol.books.tokens[ONE.tokens[0]], line.now_us)
    line.close()
    line.protocol.rescues.resync(line.now_us)
    line.tick(100)
    assert line.protocol.commands == []


# -- first books --------------------------------------------------------------------------------------------


def pass_time(line: Line, seconds: float) -> None:
    """Time passes on a connection whose heartbeat is well."""
    line.hear_bytes(b"PONG")
    line.tick(seconds)


def test_a_first_book_that_does_not_come_is_looked_for_by_rest() -> None:
    line = Line([ONE], ProtocolPolicy(first_book_timeout_s=30, stale_after_s=3600))
    line.hear(book(ONE, 0))
    line.sent()
    pass_time(line, 29.9)
    assert line.noticed(Witness) == []
    pass_time(line, 0.2)
    assert line.noticed(Witness) == [Witness((ONE.tokens[1],), "first")]
    assert line.counters.first_books_overdue == 1
    line.protocol.rescues.first_book_said(ONE.tokens[1], listed=True, now_us=line.now_us)
    assert [one["operation"] for one in line.sent() if one != "PING"] == ["unsubscribe", "subscribe"]
    assert line.counters.first_book_retries == 1
    pass_time(line, 4)
    assert line.noticed(Move) == [Move(ONE.condition_id, ONE.tokens[1])], "another connection is to get it"
    assert line.take() == [], "a token that was never live has nothing to mark"


def test_a_token_that_the_venue_does_not_list_is_asked_for_less_often_until_something_is_heard_of_it() -> (
    None
):
    line = Line([ONE], ProtocolPolicy(first_book_timeout_s=30, stale_after_s=3600))
    line.hear(book(ONE, 0))
    pass_time(line, 30)
    token = ONE.tokens[1]
    line.protocol.rescues.first_book_said(token, listed=False, now_us=line.now_us)
    assert line.protocol.books.tokens[token].state is TokenState.UNLISTED
    line.noticed(Witness)
    pass_time(line, 30)
    assert len(line.noticed(Witness)) == 1
    pass_time(line, 299)
    assert line.noticed(Witness) == []
    pass_time(line, 1)
    assert len(line.noticed(Witness)) == 1
    line.hear(price_change(ONE, item(ONE, 1, "BUY", "0.3", "1", ("0.3", "0.6"), "x")))
    pass_time(line, 30)
    assert len(line.noticed(Witness)) == 1
    assert kinds(line.hear(book(ONE, 1))) == [("top", 1)]
    assert line.protocol.books.tokens[token].state is TokenState.LIVE


def test_what_rest_says_of_a_token_that_is_live_or_gone_changes_nothing() -> None:
    line = live()
    for token in (ONE.tokens[0], "123"):
        for listed in (True, False):
            line.protocol.rescues.first_book_said(token, listed=listed, now_us=line.now_us)
    assert line.protocol.commands == []
    assert line.protocol.books.tokens[ONE.tokens[0]].state is TokenState.LIVE
    line.close()
    line.protocol.rescues.first_book_said(ONE.tokens[0], listed=False, now_us=line.now_us)
    assert line.protocol.books.tokens[ONE.tokens[0]].state is TokenState.WAITING


# -- what is not ours, not known, not readable --------------------------------------------------------------


def test_texts_are_counted_and_end_nothing() -> None:
    line = live()
    for text in (b"INVALID OPERATION", b"NO NEW ASSETS", b"hello"):
        assert line.hear_bytes(text) == []
    assert line.counters.events["text:INVALID OPERATION"] == 1
    assert line.counters.events["text:NO NEW ASSETS"] == 1
    assert line.counters.events["text:hello"] == 1
    assert line.protocol.commands == []


def test_an_empty_array_says_nothing() -> None:
    line = live()
    assert line.hear_bytes(b"[]") == []
    assert line.counters.malformed == 0


def test_unknown_and_untyped_objects_are_counted() -> None:
    line = live()
    line.hear({"event_type": "news"}, {"score": "1-0"}, {"error": "no"}, array=True)
    assert line.counters.events == {"unknown:news": 1, "unknown:untyped": 1, "unknown:error": 1}


def test_foreign_markets_and_tokens_are_counted_and_not_used() -> None:
    line = live()
    line.hear(book(TWO, 0))
    line.hear(price_change(TWO, item(TWO, 0, "BUY", "0.5", "1", ("0.5", "0.52"), "x")))
    line.hear(trade(TWO))
    line.hear(tick_size_change(TWO))
    line.hear(resolved(TWO))
    assert line.counters.foreign == 4
    line.hear(price_change(ONE, item(TWO, 0, "BUY", "0.5", "1", ("0.5", "0.52"), "x")))
    line.hear({**book(ONE, 0), "asset_id": TWO.tokens[0]})
    line.hear({**trade(ONE), "asset_id": TWO.tokens[0]})
    assert line.counters.foreign == 7
    assert line.said == []


def test_a_new_market_is_told_on_and_best_bid_ask_is_only_counted() -> None:
    line = live()
    line.hear({"event_type": "new_market", "market": "0xabc", "assets_ids": ["1", "2"]})
    (notice,) = line.noticed(NewMarket)
    assert notice.market == "0xabc"
    row = {"event_type": "best_bid_ask", "market": ONE.condition_id, "asset_id": ONE.tokens[0]}
    assert line.hear({**row, "best_bid": "0.1", "best_ask": "0.9"}) == []
    assert line.counters.events == {"new_market": 1, "best_bid_ask": 1}


def test_a_malformed_message_costs_its_own_market_and_nothing_else() -> None:
    line = live(ONE, TWO)
    bad = price_change(ONE, {**item(ONE, 0, "BUY", "0.5", "1"), "price": None})
    good = price_change(TWO, item(TWO, 0, "BUY", "0.49", "1", ("0.49", "0.52"), "x"))
    updates = line.hear(bad, good, array=True)
    assert causes(updates) == [("desync", 0), ("desync", 1)]
    assert all(u.stream.condition_id == ONE.condition_id for u in updates if u.kind == "gap")
    assert [u.stream.condition_id for u in updates if u.kind == "top"] == [TWO.condition_id]
    assert [one["operation"] for one in line.sent()] == ["unsubscribe", "subscribe"]
    assert line.noticed(Quarantined) == [
        Quarantined(frame(bad, good), "a price is not a string: None"),
    ]


def test_a_frame_is_put_aside_once_however_much_of_it_is_bad() -> None:
    line = live()
    line.hear({"event_type": "book", "market": ONE.condition_id}, {"event_type": "book"}, array=True)
    assert len([one for one in line.protocol.notices if isinstance(one, Quarantined)]) == 1
    assert line.counters.malformed == 2


def test_a_malformed_message_of_a_foreign_market_costs_nothing() -> None:
    line = live()
    assert line.hear({"event_type": "book", "market": TWO.condition_id}) == []
    assert line.noticed(Witness) == []


def test_a_market_without_books_cannot_be_made_worse() -> None:
    line = Line([ONE])
    assert line.hear({"event_type": "book", "market": ONE.condition_id}) == []
    assert line.counters.desyncs == 0


@pytest.mark.parametrize("lost", [b'{"event_type":', b"\xff\xfe", b'{"event_type":"book"}', b"[7]"])
def test_after_a_frame_whose_market_is_unknown_all_books_are_in_doubt(lost: bytes) -> None:
    line = live(ONE, TWO)
    line.protocol.remove([TWO.condition_id])
    assert line.hear_bytes(lost) == []
    assert len(line.noticed(Quarantined)) == 1
    line.hear_bytes(lost)
    assert line.noticed(Witness) == [Witness(ONE.tokens, "lost")]
    assert all(feed.unproven for feed in line.protocol.books.tokens.values())


def test_without_books_there_is_nothing_to_doubt() -> None:
    line = Line([ONE])
    line.hear_bytes(b"{")
    assert line.noticed(Witness) == []


def step(outcome: int, size: str, ms: int, *, lost: bool = False) -> dict[str, object]:
    """A step on 0.4, where it does not touch the top; `lost` signs a book that the reader cannot have."""
    bids = (("0.3", "99"), ("0.4", size), BIDS[1]) if lost else (("0.4", size), BIDS[1])
    signature = wire_hash(ONE, outcome, ms, bids, ASKS)
    return price_change(ONE, item(ONE, outcome, "BUY", "0.4", size, ("0.48", "0.52"), signature), ms=ms)


def test_a_doubtful_book_is_proven_by_the_step_after_the_doubt_not_by_the_one_before() -> None:
    line = live()
    line.hear(step(0, "12", MS + 10))
    line.wait(1)
    line.hear_bytes(b"{")
    doubted_us = line.now_us
    feed = line.protocol.books.tokens[ONE.tokens[0]]
    line.wait(1)
    line.protocol.books.verify([feed], line.now_us)
    assert read(feed.unproven), "its last step says nothing about what was lost after it"
    line.hear(step(0, "13", MS + 20))
    line.wait(1)
    line.protocol.books.verify([feed], line.now_us)
    assert not feed.unproven
    assert line.take() == []
    assert feed.doubted_us == doubted_us
    assert line.counters.hash_matches == 1 + 2, "two snapshots, one proof"


def test_a_check_that_was_due_before_the_doubt_proves_nothing_any_more() -> None:
    line = live(policy=ProtocolPolicy(check_every_step=True))
    line.hear(step(0, "12", MS + 10))
    line.hear_bytes(b"{")
    feed = line.protocol.books.tokens[ONE.tokens[0]]
    line.wait(1)
    line.protocol.books.verify([feed], line.now_us)
    assert feed.unproven
    assert line.counters.hash_matches == 2, "the snapshots only"


def test_a_doubtful_book_that_does_not_verify_is_given_up_from_the_doubt_on() -> None:
    line = live()
    line.wait(1)
    line.hear_bytes(b"{")
    doubted_us = line.now_us
    line.wait(1)
    line.hear_bytes(b"{")
    line.wait(1)
    line.hear(step(0, "13", MS + 20, lost=True))
    line.wait(0.001)
    updates = line.hear(step(0, "14", MS + 21, lost=True))
    assert causes(updates) == [("desync", 0)]
    assert starts_us(updates) == [doubted_us]


def test_after_an_end_of_the_connection_the_gap_begins_with_the_doubt() -> None:
    line = live()
    line.hear_bytes(b"{")
    doubted_us = line.now_us
    line.wait(1)
    line.hear(step(0, "13", MS + 20))
    line.wait(1)
    assert starts_us(line.close()) == [doubted_us, doubted_us]


# -- tick sizes and resolutions -----------------------------------------------------------------------------


def test_a_new_tick_size_is_written_and_proven_by_the_next_step() -> None:
    line = live()
    (update,) = line.hear(tick_size_change(ONE, 0, ".001"))
    assert (update.kind, update.outcome, update.note, update.venue_ms) == ("tick", 0, "0.001", MS + 3)
    bids = (("0.4", "12"), BIDS[1])
    for ms in (MS + 20, MS + 21):
        line.wait(0.01)
        signature = wire_hash(ONE, 0, ms, bids, ASKS, tick=".001")
        row = item(ONE, 0, "BUY", "0.4", "12", ("0.48", "0.52"), signature)
        assert line.hear(price_change(ONE, row, ms=ms)) == []
    assert not line.protocol.books.tokens[ONE.tokens[0]].unproven


def test_a_book_that_does_not_verify_with_the_new_tick_size_is_given_up() -> None:
    line = live()
    line.wait(1)
    line.hear(tick_size_change(ONE, 0, "0.001"))
    changed_us = line.now_us
    line.wait(1)
    line.hear(step(0, "12", MS + 20))
    line.wait(1)
    updates = line.hear(step(0, "13", MS + 21))
    assert causes(updates) == [("desync", 0)]
    assert starts_us(updates) == [changed_us]


def test_a_tick_size_before_the_book_is_written_and_leaves_nothing_to_prove() -> None:
    line = Line([ONE])
    assert kinds(line.hear(tick_size_change(ONE, 1))) == [("tick", 1)]
    assert not line.protocol.books.tokens[ONE.tokens[1]].unproven


def test_a_resolution_is_the_last_word_of_its_market() -> None:
    line = live()
    line.hear(price_change(ONE, item(ONE, 1, "BUY", "0.3", "1", ("0.47", "0.52"), "x")))
    (update,) = line.hear(resolved(ONE, 1))
    assert (update.kind, update.outcome, update.note) == ("resolved", None, "1")
    assert line.noticed(Ended) == [Ended(ONE.condition_id, 1)]
    assert line.hear(book(ONE, 0, ms=MS + 20)) == []
    assert line.hear(trade(ONE)) == []
    assert line.hear(resolved(ONE, 1)) == []
    assert line.hear({"event_type": "book", "market": ONE.condition_id}) == []
    assert line.tick(100) == []
    assert [one for one in line.sent() if one != "PING"] == [], "and nothing is asked about it any more"
    assert line.noticed(Witness) == []
    assert line.close() == []


def test_a_resolution_without_a_winner_is_left_to_the_polling() -> None:
    line = live()
    assert line.hear(resolved(ONE, None)) == []
    assert line.hear({**resolved(ONE), "winning_asset_id": TWO.tokens[0]}) == []
    assert line.noticed(Ended) == []
    assert line.counters.events["market_resolved"] == 2


def test_steps_have_a_time_when_they_want_to_be_looked_at() -> None:
    line = live()
    assert read(line.protocol.due_us) is None
    line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.3", "1", ("0.47", "0.52"), "x")))
    assert line.protocol.due_us == US + 5_000
    line.wait(0.005)
    line.protocol.tick_steps(line.now_us)
    assert line.protocol.due_us == US + 250_000


def test_a_frame_of_many_things_of_no_market_asks_for_witnesses_once() -> None:
    rain = market("rain")
    line = Line([rain])
    line.hear(book(rain, 0), book(rain, 1), array=True)
    line.hear_bytes(b"[" + b"1," * 1_000 + b"1]")
    assert [type(notice) for notice in line.protocol.notices] == [Quarantined, Witness]
    assert line.counters.malformed == 1_001
    assert all(feed.unproven for feed in line.protocol.books.tokens.values())
