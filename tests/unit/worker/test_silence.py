"""Quiet is not stale: a book is given up only when REST has had a newer one with other levels, twice."""

from __future__ import annotations

import pytest

from tests.gamma_rows import market
from tests.venue_frames import ASKS, BIDS, MS, Levels, Line, book, item, price_change
from worker.feeds import Step, TokenFeed
from worker.notices import Move, Witness
from worker.policy import ProtocolPolicy
from worker.shapes import Book, Level
from worker.silence import (
    LONG_LOOK_S,
    NEWER_MS,
    SECOND_LOOK_S,
    SETTLED,
    STALE,
    UNWITNESSED_AFTER,
    Look,
    Silence,
    after,
    is_shell,
)

ONE = market("one")
STALE_S = 30.0
OTHER_BIDS: Levels = (("0.47", "1"),)


def levels(side: Levels) -> list[Level]:
    return [(round(float(price) * 1e6), price, size) for price, size in side]


def rest(bids: Levels = BIDS, asks: Levels = ASKS, ms: int | None = MS) -> Book:
    """What REST answers."""
    return Book(ONE.condition_id, ONE.tokens[0], ms, "", levels(bids), levels(asks), "", None, "")


class Watched:
    """A live token that nothing is heard of, and the rule that watches it."""

    def __init__(self, venue_ms: int | None = MS) -> None:
        self.policy = ProtocolPolicy(stale_after_s=STALE_S)
        self.line = Line([ONE], self.policy)
        for outcome in (0, 1):
            self.line.hear(book(ONE, outcome, timestamp=None if venue_ms is None else str(venue_ms)))
        self.silence = Silence(self.line.protocol.books, self.policy)

    @property
    def feed(self) -> TokenFeed:
        return self.line.protocol.books.tokens[ONE.tokens[0]]

    def asked(self, after_s: float = STALE_S) -> None:
        self.line.wait(after_s)
        self.feed.asked_us = self.line.now_us

    def compare(self, book: Book | None, after_s: float = 0.0) -> Look:
        self.line.wait(after_s)
        return self.silence.compare(ONE.tokens[0], book, self.line.now_us)


def test_a_token_is_looked_after_when_nothing_was_heard_of_it_and_nobody_asked_for_so_long() -> None:
    one = Watched()
    one.line.wait(STALE_S - 0.001)
    assert not one.silence.is_due(one.feed, one.line.now_us)
    one.asked(0.001)
    assert one.silence.is_due(one.feed, one.line.now_us + 1_000_000) is False, "it has just been asked about"
    one.line.wait(STALE_S)
    assert one.silence.is_due(one.feed, one.line.now_us)
    one.line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.4", "10", ("0.48", "0.52"))))
    assert not one.silence.is_due(one.feed, one.line.now_us), "what changes nothing is heard, too"


def test_a_book_that_rest_agrees_with_is_quiet_not_stale() -> None:
    one = Watched()
    one.asked()
    assert one.compare(rest(ms=MS + NEWER_MS)) == SETTLED
    assert one.feed.agreed_us == one.feed.asked_us


def test_a_newer_book_with_other_levels_is_believed_when_it_is_seen_twice() -> None:
    one = Watched()
    one.asked()
    newer = rest(OTHER_BIDS, ms=MS + NEWER_MS)
    assert one.compare(newer) == Look(SECOND_LOOK_S)
    assert one.compare(newer, SECOND_LOOK_S - 0.5).again_s == pytest.approx(0.5)
    assert one.compare(newer, 0.5) == STALE


def test_a_book_that_is_only_a_little_newer_has_time_to_arrive() -> None:
    one = Watched()
    one.asked()
    newer = rest(OTHER_BIDS, ms=MS + NEWER_MS - 1)
    assert one.compare(newer) == Look(LONG_LOOK_S)
    assert one.compare(newer, LONG_LOOK_S) == STALE


def test_what_arrives_between_two_looks_ends_the_suspicion() -> None:
    one = Watched()
    one.asked()
    one.compare(rest(OTHER_BIDS, ms=MS + NEWER_MS))
    one.line.wait(1)
    one.line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.4", "10", ("0.48", "0.52"))))
    assert one.compare(rest(OTHER_BIDS, ms=MS + NEWER_MS), SECOND_LOOK_S) == SETTLED
    assert one.feed.suspected_us == 0


def test_an_agreement_between_two_looks_ends_the_suspicion() -> None:
    one = Watched()
    one.asked()
    one.compare(rest(OTHER_BIDS, ms=MS + NEWER_MS))
    assert one.compare(rest(), 1) == SETTLED
    assert one.compare(rest(OTHER_BIDS, ms=MS + NEWER_MS), 9) == Look(SECOND_LOOK_S), "the first look again"


@pytest.mark.parametrize(
    "says_nothing",
    [
        None,
        rest(OTHER_BIDS, ms=MS),
        rest(OTHER_BIDS, ms=MS - 60_000),
        rest(OTHER_BIDS, ms=None),
        rest((("0.01", "5"),), (("0.99", "5"),), ms=MS + 60_000),
        rest((), (), ms=MS + 60_000),
    ],
    ids=["no book", "the same moment", "older", "no time", "a shell", "an empty shell"],
)
def test_what_rest_cannot_know_better_condemns_nothing_and_vouches_for_nothing(
    says_nothing: Book | None,
) -> None:
    one = Watched()
    one.asked()
    one.compare(rest(OTHER_BIDS, ms=MS + NEWER_MS))
    assert one.compare(says_nothing, 99) == SETTLED
    assert (one.feed.agreed_us, one.feed.suspected_us) == (0, 0)


def test_a_book_without_a_time_is_older_than_any() -> None:
    one = Watched(venue_ms=None)
    one.asked()
    assert one.compare(rest(OTHER_BIDS)) == Look(SECOND_LOOK_S)


def test_of_a_token_that_is_gone_or_not_live_rest_says_nothing() -> None:
    one = Watched()
    one.asked()
    assert one.silence.compare("5", rest(OTHER_BIDS, ms=MS + NEWER_MS), one.line.now_us) == SETTLED
    one.line.close()
    assert one.compare(rest(OTHER_BIDS, ms=MS + NEWER_MS)) == SETTLED


def test_a_book_that_is_given_up_was_right_until_it_was_last_heard_of_or_vouched_for() -> None:
    one = Watched()
    heard_us = one.line.now_us
    one.line.wait(60)
    assert one.silence.give_up(one.feed, one.line.now_us) is Step.RESUBSCRIBE
    (gap,) = one.line.take()
    assert (gap.kind, gap.outcome, gap.note) == ("gap", 0, f"stale {heard_us} w1")
    assert one.feed.gate.book is None

    two = Watched()
    two.asked()
    asked_us = two.line.now_us
    two.compare(rest(), 3)
    two.line.wait(60)
    two.silence.give_up(two.feed, two.line.now_us)
    (gap,) = two.line.take()
    assert gap.note == f"stale {asked_us} w1", (
        "when REST read its book is not known, only that it was asked before"
    )


@pytest.mark.parametrize(
    ("helped", "next_step"),
    [
        (None, Step.RESUBSCRIBE),
        (Step.RESUBSCRIBE, Step.MOVE),
        (Step.MOVE, Step.SLOW),
        (Step.SLOW, Step.SLOW),
    ],
)
def test_what_helped_with_one_book_and_then_nothing_more_did_not_help(
    helped: Step | None, next_step: Step
) -> None:
    assert after(helped) is next_step
    one = Watched()
    one.feed.rescued_by = helped
    assert one.silence.give_up(one.feed, one.line.now_us) is next_step


def test_a_token_that_told_more_than_one_book_begins_below_the_ladder() -> None:
    one = Watched()
    one.feed.rescued_by = Step.MOVE
    one.line.wait(1)
    one.line.hear(price_change(ONE, item(ONE, 0, "BUY", "0.4", "10", ("0.48", "0.52"))))
    assert one.silence.give_up(one.feed, one.line.now_us) is Step.RESUBSCRIBE


def test_a_shell_has_its_best_prices_at_the_ends() -> None:
    assert is_shell(levels((("0.01", "5"),)), levels((("0.99", "5"),)))
    assert is_shell([], [])
    assert not is_shell(levels((("0.011", "5"), ("0.001", "5"))), levels((("0.99", "5"),)))
    assert not is_shell(levels((("0.01", "5"),)), levels((("0.989", "5"), ("0.999", "1"))))


# -- the same on a connection -------------------------------------------------------------------------------


def quiet(stale_after_s: float = STALE_S) -> Line:
    line = Line([ONE], ProtocolPolicy(stale_after_s=stale_after_s, pong_timeout_s=1e9))
    line.hear(book(ONE, 0), book(ONE, 1), array=True)
    line.noticed(object)
    line.sent()
    return line


def test_the_quietest_tokens_are_asked_about_over_rest_again_and_again() -> None:
    line = quiet()
    line.tick(STALE_S - 1)
    assert line.noticed(Witness) == []
    line.hear(price_change(ONE, item(ONE, 1, "BUY", "0.4", "10", ("0.48", "0.52"))))
    line.tick(1)
    assert line.noticed(Witness) == [Witness((ONE.tokens[0],), "silent")]
    line.tick(1)
    assert line.noticed(Witness) == []
    line.tick(STALE_S - 1)
    assert line.noticed(Witness) == [Witness(ONE.tokens, "silent")]


def test_what_nothing_vouches_for_is_marked_and_asked_for_anew_one_a_second() -> None:
    line = quiet()
    line.tick(UNWITNESSED_AFTER * STALE_S)
    (gap,) = [update for update in line.said if update.kind == "gap"]
    assert (gap.kind, gap.outcome, gap.note.split()[0]) == ("gap", 0, "stale")
    assert [one.get("operation") for one in line.sent() if one != "PING"] == ["unsubscribe", "subscribe"]
    assert line.noticed(Witness) == [Witness((ONE.tokens[1],), "silent")]
    line.hear(book(ONE, 0))
    line.tick(STALE_S)
    assert [update.outcome for update in line.said if update.kind == "gap"] == [0, 1]
    assert line.counters.unwitnessed == 2


def test_while_rest_is_down_quiet_tokens_are_never_driven_up_the_ladder() -> None:
    line = quiet()
    for second in range(3600):
        line.tick(1)
        for sent in line.sent():
            if sent != "PING" and sent["operation"] == "subscribe":
                line.hear(*(book(ONE, ONE.tokens.index(token)) for token in sent["assets_ids"]), array=True)
        assert line.counters.quarantined_tokens == 0, second
    assert line.noticed(Move) == []
    assert line.counters.unwitnessed >= 2 * 3600 // (UNWITNESSED_AFTER * STALE_S) - 2
    assert set(line.counters.rescues) == {"resubscribe"}
