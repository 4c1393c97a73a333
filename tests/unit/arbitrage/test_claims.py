"""What was told, held against the gaps that came later."""

from __future__ import annotations

import pytest

from consumers.arbitrage.claims import NOT_KEPT, Claims, Verdict
from consumers.arbitrage.judge import Found
from marketdata.entries import EntryId
from tests.arbitrage_bench import START_MS, Hand, above

LOW, HIGH = above("80000"), above("82000")
BEFORE = EntryId(START_MS - 1, 0)
KEPT = {LOW.condition_id: BEFORE, HIGH.condition_id: BEFORE}


def told() -> tuple[Hand, Claims]:
    """One opportunity: opened at +103 ms with $10, told again at +203 ms with $20, closed by its price at +303 ms."""
    hand = Hand([LOW, HIGH])
    hand.ask(LOW, 0, "0.5")
    hand.ask(HIGH, 1, "0.4", later_ms=100)
    hand.ask(HIGH, 1, "0.3", later_ms=100)
    hand.ask(HIGH, 1, "0.9", later_ms=100)
    return hand, claimed(hand.found)


def claimed(found: list[Found]) -> Claims:
    claims = Claims()
    for one in found:
        claims.add(one.id, one.opportunity)
    return claims


def verdict(claims: Claims, kept: dict[str, EntryId] = KEPT) -> dict[str, object]:
    made = Verdict()
    made.add(claims.all, kept)
    return made.to_dict()


def row(opened: int, net: str) -> dict[str, object]:
    return {"opened": opened, "net": net}


def test_it_remembers_what_caused_the_first_and_the_last_word() -> None:
    hand, claims = told()
    (one,) = claims.all
    opened, updated, _ = hand.found
    assert (one.opened, one.told) == (EntryId(opened.id.ms, 3), EntryId(updated.id.ms, 4))
    assert (one.best_net_micros, one.is_whole) == (20_000_000, True)
    assert claims.since() == dict.fromkeys(KEPT, one.opened)


@pytest.mark.parametrize(
    ("start_ms", "disproved"),
    [(50, True), (101, True), (102, True), (200, True), (202, False), (250, False), (900, False)],
)
@pytest.mark.parametrize("outcome", [0, None])
def test_a_gap_disproves_what_was_told_since_it_began(
    start_ms: int, disproved: bool, outcome: int | None
) -> None:
    """Moments at which it was told: +102 and +202 ms of the clock's entry, which is the hand's first."""
    hand, claims = told()
    first_ms = hand.found[0].id.ms - 102
    claims.gap(EntryId(first_ms + 5_000, 9), LOW.condition_id, outcome, first_ms + start_ms, "stale")
    expected = row(1, "20") | {"by_cause": {"stale": 1}} if disproved else row(0, "0") | {"by_cause": {}}
    assert verdict(claims) == {
        "disproved": expected,
        "cannot_be_known": row(0, "0"),
        "standing": row(0, "0") if disproved else row(1, "20"),
    }


def test_a_gap_of_the_other_token_or_that_was_known_by_then_disproves_nothing() -> None:
    hand, claims = told()
    opened = hand.found[0].id
    claims.gap(EntryId(opened.ms + 5_000, 9), LOW.condition_id, 1, 0, "stale")
    claims.gap(EntryId(opened.ms - 1, 1), LOW.condition_id, 0, 0, "disconnect")
    claims.gap(EntryId(opened.ms + 5_000, 9), "0xelsewhere", 0, 0, "stale")
    assert verdict(claims)["standing"] == row(1, "20")


def test_the_first_gap_gives_the_cause() -> None:
    hand, claims = told()
    later = hand.found[0].id.ms + 5_000
    claims.gap(EntryId(later, 1), HIGH.condition_id, 1, 0, "desync")
    claims.gap(EntryId(later + 1, 2), LOW.condition_id, 0, 0, "stale")
    assert verdict(claims)["disproved"] == row(1, "20") | {"by_cause": {"desync": 1}}


def test_what_was_trimmed_cannot_be_known_and_is_never_fine() -> None:
    hand, claims = told()
    at = claims.all[0].opened
    assert verdict(claims, KEPT | {LOW.condition_id: at})["standing"] == row(1, "20")
    for kept in (KEPT | {LOW.condition_id: EntryId(at.ms, at.n + 1)}, {HIGH.condition_id: BEFORE}):
        found = verdict(claims, kept)
        assert (found["cannot_be_known"], found["standing"]) == (row(1, "20"), row(0, "0"))
    # A gap that is still there disproves it all the same.
    claims.gap(EntryId(hand.ms + 5_000, 9), HIGH.condition_id, 1, 0, "stale")
    assert verdict(claims, {})["disproved"] == row(1, "20") | {"by_cause": {"stale": 1}}


def test_a_close_whose_opening_was_trimmed_cannot_be_known() -> None:
    hand, _ = told()
    claims = claimed(hand.found[2:])
    assert claims.all[0].opened == EntryId(hand.found[0].id.ms, 3)
    assert verdict(claims)["cannot_be_known"] == row(1, "20")
    assert verdict(claimed(hand.found[1:]))["standing"] == row(1, "20")


def test_a_close_that_tells_of_the_doubt_is_believed_without_the_gap() -> None:
    hand = Hand([LOW, HIGH])
    hand.ask(LOW, 0, "0.5")
    hand.ask(HIGH, 1, "0.4")
    (closed,) = hand.gap(LOW, 0, back_ms=50)
    claims = claimed(hand.found)
    assert verdict(claims, {})["disproved"] == row(1, "10") | {"by_cause": {NOT_KEPT: 1}}
    claims.gap(EntryId(closed.id.ms, 4), LOW.condition_id, 0, closed.id.ms - 50, "stale")
    assert verdict(claims)["disproved"] == row(1, "10") | {"by_cause": {"stale": 1}}


def test_each_time_a_basket_opens_is_judged_by_itself_and_open_ones_too() -> None:
    hand, _ = told()
    hand.ask(HIGH, 1, "0.3", later_ms=2_000)
    claims = claimed(hand.found)
    last = hand.found[-1].id
    claims.gap(EntryId(last.ms + 900, 99), LOW.condition_id, 0, last.ms - 10, "stale")
    assert verdict(claims) == {
        "disproved": row(1, "20") | {"by_cause": {"stale": 1}},
        "cannot_be_known": row(0, "0"),
        "standing": row(1, "20"),
    }
