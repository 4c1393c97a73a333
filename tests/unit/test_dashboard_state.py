"""From readings to what is shown."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from consumers.dashboard.hearing import Hearing
from consumers.dashboard.quotes import MarketView
from consumers.dashboard.rates import Activity, LastMinute, Rates
from consumers.dashboard.reading import Page
from consumers.dashboard.records import WorkerRecord, parse_record
from consumers.dashboard.state import State
from consumers.dashboard.timeline import Span, gap_cells, gaps, mids
from marketdata.entries import gap_note
from tests.dashboard_world import NOW_MS, busy_state, connection, entry, lines, opportunity, parsed, reading


def told(second: int, entries: dict[str, int] | None = None, **given: Any) -> WorkerRecord:
    by_market = {one: {"entries": count} for one, count in (entries or {}).items()}
    return parsed(now_ms=NOW_MS + 1000 * second, by_market=by_market, **given)


def view(*entries: Any, seen_ms: int = 0) -> MarketView:
    made = MarketView()
    for one in entries:
        made.apply(one, seen_ms, keep=True)
    return made


def test_a_gap_hides_the_top_until_the_next_one() -> None:
    shown = view(
        entry("top", 0, 1, 5), entry("top", 1, 1, 5), entry("gap", None, 1, 6, note=gap_note("stale", 5, "w"))
    )
    assert [quote.gap for quote in shown.quotes] == ["stale", "stale"]
    assert not any(quote.is_trusted for quote in shown.quotes)
    shown.apply(entry("trade", 0, 2, 7, bid="0.5", bid_size="1"), 0, keep=True)
    assert not shown.quotes[0].is_trusted, "a trade proves no top"
    shown.apply(entry("top", 0, 3, 8), 0, keep=True)
    assert [quote.is_trusted for quote in shown.quotes] == [True, False]


def test_a_resolution_stays() -> None:
    shown = view(entry("top", 0, 1, 5), entry("resolved", None, 1, 6, note="1"), entry("top", 0, 2, 7))
    assert shown.quotes[0].resolved == "1"
    assert not shown.quotes[0].is_trusted


def test_changes_are_marked_from_the_second_top_on_and_know_their_direction() -> None:
    shown = view(entry("top", 0, 1, 5), seen_ms=100)
    assert shown.quotes[0].bid.moved_ms == 0, "what was found is no news"
    shown.apply(entry("top", 0, 2, 6, bid="0.5", ask_size="9"), 200, keep=True)
    bid, ask = shown.quotes[0].bid, shown.quotes[0].ask
    assert (bid.moved, bid.moved_ms) == (1, 200)
    assert (ask.moved, ask.moved_ms) == (0, 200)
    shown.apply(entry("top", 0, 3, 7, bid="0.49", ask_size="9"), 300, keep=True)
    assert (shown.quotes[0].bid.moved, shown.quotes[0].ask.moved_ms) == (-1, 200)


def test_spreads_are_exact_and_may_be_unknown() -> None:
    assert view(entry("top", 0, 1, 5, bid="0.1", ask="0.3")).quotes[0].spread == "0.2"
    assert view(entry("top", 0, 1, 5, bid="0.52", ask="0.48")).quotes[0].spread == "-0.04"
    assert view(entry("top", 0, 1, 5, bid="")).quotes[0].spread == ""


def test_rates_come_from_counters_and_forget_who_is_gone() -> None:
    rates = Rates()
    assert rates.get("a") is None
    rates.update({"a": (0, 5)})
    assert rates.get("a") is None
    rates.update({"a": (2000, 9)})
    assert rates.get("a") == 2.0
    rates.update({"a": (2000, 9)})
    assert rates.get("a") == 2.0, "the same word again says nothing new"
    rates.update({})
    assert rates.get("a") is None


def gaps_told(second: int, gaps: int, of_minute: Any = ...) -> WorkerRecord:
    return told(second, counters={"gaps": gaps}, gaps_last_minute=of_minute)


def test_gaps_of_the_last_minute_are_known_at_the_first_look() -> None:
    count = LastMinute()
    assert count.update([], NOW_MS) is None
    assert count.update([gaps_told(0, 50, 7)], NOW_MS) == 7
    assert count.update([gaps_told(10, 53, 10)], NOW_MS + 10_000) == 10
    assert count.update([gaps_told(80, 53, 0)], NOW_MS + 80_000) == 0
    assert count.update([gaps_told(81, 55, 2)], NOW_MS + 81_000) == 2
    assert count.update([], NOW_MS + 90_000) == 2, "of a worker that is gone, what was seen of it"
    assert count.update([], NOW_MS + 200_000) is None


def test_gaps_of_an_older_worker_are_known_once_it_was_watched_for_a_minute() -> None:
    count = LastMinute()
    assert count.update([gaps_told(0, 50)], NOW_MS) is None
    assert count.update([gaps_told(10, 53)], NOW_MS + 10_000) is None
    assert count.update([gaps_told(60, 54)], NOW_MS + 60_000) == 4
    assert count.update([gaps_told(80, 54)], NOW_MS + 80_000) == 1
    assert count.update([gaps_told(200, 54)], NOW_MS + 200_000) == 0


def test_nothing_is_claimed_before_it_was_measured() -> None:
    state = State()
    vitals = state.vitals
    assert (vitals.gaps_last_minute, vitals.updates_per_s, vitals.p50_ms, vitals.p99_ms) == (None,) * 4
    unmeasured = told(0, latency_ms={"p50": 0.0, "p99": 0.0}, gaps_last_minute=3)
    state.take(reading(NOW_MS, workers=[unmeasured]), {})
    assert (vitals.gaps_last_minute, vitals.updates_per_s, vitals.p50_ms, vitals.p99_ms) == (
        3,
        None,
        None,
        None,
    )
    later = told(2, counters={"updates": 10_200}, latency_ms={"p50": 0.4, "p99": 1.5})
    state.take(reading(NOW_MS + 2_000, workers=[later]), {})
    assert (vitals.updates_per_s, vitals.p50_ms, vitals.p99_ms) == (100, 0.4, 1.5)


def test_where_nothing_is_received_nobody_vouches_for_what_is_shown() -> None:
    state = State()
    cut_off = {"silent_s": 6, "seconds": 60, "busy_seconds": 60, "messages": 7_200}
    state.take(reading(NOW_MS, workers=[told(0)]), lines())
    assert not state.is_old(NOW_MS)
    state.take(reading(NOW_MS + 1_000, workers=[told(1, received=cut_off)]), lines())
    assert state.is_old(NOW_MS + 1_000)
    assert state.health(NOW_MS + 1_000).word == "DEGRADED"


def test_what_redis_forgot_with_the_records_is_written_down() -> None:
    state = State()

    def look(second: int, *words: WorkerRecord) -> None:
        state.take(reading(NOW_MS + 1000 * second, workers=words), {})

    look(0, told(0, gaps_by_cause={"redis": 4}))
    look(1)
    look(2, told(2, gaps_by_cause={"redis": 64}))
    assert [(line.what, line.text) for line in state.story.lines[::-1]] == [
        ("worker", "gone: its record is no longer there"),
        ("gap", "60 gaps by redis: Redis lost or refused entries"),
        ("worker", "heard again, running"),
    ]


def test_a_worker_whose_partitions_others_write_is_history() -> None:
    state = State()
    heir = {"worker": "beta-2", "started_ms": NOW_MS - 9_000}

    def look(second: int, *words: WorkerRecord) -> None:
        state.take(reading(NOW_MS + 1000 * second, workers=words), {})

    look(0, told(0), told(0, **heir, state="standby", partitions=0))
    look(3, told(0), told(3, **heir, state="standby", partitions=0))
    assert state.vitals.workers == {"silent": 1, "standby": 1}
    look(5, told(0), told(5, **heir))
    assert state.vitals.workers == {"replaced": 1, "running": 1}
    assert state.health(NOW_MS + 5_000).word == "LIVE"
    texts = [(line.who, line.text) for line in state.story.lines if line.who == "alpha-1"]
    assert texts == [("alpha-1", "silent; others write its partitions"), ("alpha-1", "silent")]


def test_activity_follows_who_is_busy_now() -> None:
    activity = Activity()
    activity.update([told(0, {"a": 1000, "b": 5})])
    assert activity.rank("a") == activity.rank("b"), "counts from before anyone looked say nothing"
    for second in range(1, 20):
        activity.update([told(second, {"a": 1000, "b": 5 + 40 * second})])
    assert activity.rank("b") > activity.rank("a")
    assert 25 < activity.rate("b") < 40
    activity.update([told(20, {"a": 1000})])
    assert activity.rate("b") == 0
    assert "b" not in activity.last_ms


def test_an_older_worker_counts_entries_alone() -> None:
    word = parsed(entries_by_market={"a": 7})
    assert word.markets_counted == {"a": {"entries": 7}}
    assert parse_record(b'{"worker": "x"}') is None
    assert parse_record(b"nonsense") is None


@pytest.mark.parametrize("off_ms", [0, 5_000, -5_000, 86_400_000])
def test_a_worker_is_heard_whatever_its_clock_says(off_ms: int) -> None:
    hearing = Hearing()
    for second in range(3):
        hearing.update(
            [told(second).model_copy(update={"now_ms": NOW_MS + 1000 * second + off_ms})],
            NOW_MS + 1000 * second,
        )
    assert hearing.age_ms("alpha-1", NOW_MS + 2_500) == 500
    assert hearing.age_ms("alpha-1", NOW_MS + 5_000) == 3_000
    assert hearing.behind_ms("alpha-1") == -off_ms


def test_an_old_record_that_is_found_is_old() -> None:
    state = State()
    state.take(reading(NOW_MS + 8_000, workers=[told(0)]), lines())
    assert state.health(NOW_MS + 8_000).word == "DOWN"


def test_the_word_follows_the_worker_within_two_seconds() -> None:
    state = State()
    for second in range(3):
        state.take(reading(NOW_MS + 1000 * second, workers=[told(second)]), lines())
    assert state.health(NOW_MS + 3_200).word == "LIVE", "it speaks once a second"
    assert state.health(NOW_MS + 3_750).word == "DOWN"
    assert state.is_old(NOW_MS + 3_750)


def test_lost_redis_keeps_the_picture_and_says_how_old_it_is() -> None:
    state = busy_state()
    views = dict(state.views)
    state.lost("Redis does not answer", NOW_MS + 500)
    health = state.health(NOW_MS + 4_000)
    assert (health.word, health.why, health.old) == (
        "DOWN",
        "Redis does not answer",
        "what is shown is 4 s old",
    )
    assert state.views == views
    state.take(reading(NOW_MS + 5_000), state.markets)
    assert state.away == ""


def test_markets_that_left_the_screen_are_dropped() -> None:
    state = busy_state()
    kept = list(state.views)[:2]
    state.keep_only(kept)
    assert list(state.views) == kept
    gone = next(one for one in lines() if one not in kept)
    state.take(reading(pages=[Page(gone, [entry("top", 0, 99, NOW_MS)], first=False)]), lines())
    assert gone not in state.views, "news of a market whose end was not read is no picture of it"


@pytest.mark.parametrize("sort", ["activity", "spread", "age", "volume", "name"])
def test_every_order_lists_all(sort: Any) -> None:
    state = busy_state()
    state.rank(sort, "", NOW_MS + 1)
    assert sorted(state.order) == sorted(lines())


def test_orders() -> None:
    state, ids = busy_state(), list(lines())
    assert state.order[0] == ids[0]
    state.rank("age", "", NOW_MS + 1)
    seconds = [state.activity.last_ms[one] // 1000 for one in state.order]
    assert seconds == sorted(seconds, reverse=True)
    state.rank("spread", "", NOW_MS + 2)
    assert state.order[0] == ids[0]
    assert state.order[-1] == ids[3], "without a spread: last"
    state.rank("volume", "", NOW_MS + 3)
    volumes = [state.markets[one].volume_24h for one in state.order]
    assert volumes == sorted(volumes, reverse=True)
    state.rank("name", "", NOW_MS + 4)
    names = [state.markets[one].question.casefold() for one in state.order]
    assert names == sorted(names)


def test_the_filter_looks_into_questions_events_slugs_and_ids() -> None:
    state, ids = busy_state(), list(lines())
    for sought, found in (
        ("fairhaven CUP", 3),
        (ids[2], 1),
        ("bitcoin up down", 2),
        ("köln", 1),
        ("KO\u0308LN", 1),
        ("\uff2b\xf6ln", 1),
        ("नमस्ते", 1),
        ("दुनिया, क्या", 1),
        ("👨\u200d👩\u200d👧 beat 🇺🇸", 1),
        ("zzz", 0),
    ):
        state.rank("name", sought, NOW_MS)
        assert len(state.order) == found, sought
    state.rank("name", "", NOW_MS)
    assert len(state.order) == len(ids)


def test_the_order_does_not_change_with_every_word() -> None:
    state = busy_state()
    before = list(state.order)
    state.rank("activity", "", NOW_MS + 1_000)
    assert list(state.order) == before


def test_a_held_picture_stays_while_the_header_goes_on() -> None:
    state = busy_state()
    held = state.held()
    later = parsed(now_ms=NOW_MS + 1000, connections=[connection(state="closed")], tokens_live=0)
    state.take_vitals(reading(NOW_MS + 1000, workers=[later]))
    assert state.health(NOW_MS + 1000).word == "DOWN"
    assert [one.state for one in held.workers[0].connections] == ["live", "live"]
    state.story.note("new", NOW_MS)
    assert all(line.text != "new" for line in held.story.lines)
    held.rank("name", "bitcoin", NOW_MS + 1000)
    assert len(state.order) == 12


def test_opportunities_open_and_close() -> None:
    state = State()
    found = [
        opportunity("open", 1_000),
        opportunity("update", 2_000, net="9"),
        opportunity("open", 3_000, "b2"),
    ]
    state.take(reading(found=found), {})
    assert [one.newest.basket for one in state.opportunities.open] == ["b2", "b1"]
    assert state.opportunities.open[1].newest.net == "9"
    closed = opportunity("close", 5_000, duration_ms="4000", legs="[]")
    unseen = opportunity("close", 9_000, "b7", duration_ms="500")
    state.take(reading(found=[closed, unseen]), {})
    assert [one.newest.basket for one in state.opportunities.open] == ["b2"]
    last, first = state.opportunities.closed
    assert (first.lasted_ms, len(first.last_priced.legs)) == (4_000, 3)
    assert (last.newest.basket, last.opened_ms) == ("b7", 8_500)


def test_the_log_takes_each_line_once_and_tells_of_the_word() -> None:
    state = State()
    log = [{"ms": NOW_MS - 5, "what": "gap", "text": "one"}]
    for second in range(3):
        state.take(reading(NOW_MS + 1000 * second, workers=[told(second, log=log)]), {})
        state.story.judge(state.health(NOW_MS + 1000 * second), NOW_MS + 1000 * second)
    assert [line.text for line in state.story.lines] == ["LIVE", "one"]
    state.lost("Redis does not answer", NOW_MS + 3_000)
    state.story.judge(state.health(NOW_MS + 3_000), NOW_MS + 3_000)
    state.take(reading(NOW_MS + 6_500, workers=[told(6)]), {})
    state.story.judge(state.health(NOW_MS + 6_500), NOW_MS + 6_500)
    assert [line.text for line in state.story.lines[:4]] == [
        "LIVE again, after 3.5 s",
        "answers again, after 3.5 s",
        "DOWN: Redis does not answer",
        "Redis does not answer",
    ]


def test_time_lines() -> None:
    seen = [
        entry("top", 0, 1, 1_000, bid="0.4", ask="0.6"),
        entry("gap", 0, 1, 5_000, note=gap_note("stale", 4_000_000, "w")),
        entry("top", 0, 2, 7_000, bid="0.6", ask="0.8"),
        entry("gap", None, 2, 9_000, note=gap_note("disconnect", 9_000_000, "w")),
    ]
    span = Span(1_000, 11_000)
    assert mids(seen, 0, span, 10) == pytest.approx([0.5, 0.5, 0.5, 0.5, None, None, 0.7, 0.7, None, None])
    found = gaps(seen)
    assert [(one.cause, one.outcome, one.from_ms, one.to_ms) for one in found] == [
        ("stale", 0, 4_000, 7_000),
        ("disconnect", 0, 9_000, None),
        ("disconnect", 1, 9_000, None),
    ]
    assert "".join("x" if bad else "." for bad in gap_cells(found, 0, span, 10)) == "...xxxx.xx"
    assert "".join("x" if bad else "." for bad in gap_cells(found, 1, span, 10)) == "........xx"


def test_workers_that_come_and_go_and_gaps_by_redis_are_written_down() -> None:
    state = State()

    def look(second: int, *words: WorkerRecord) -> None:
        state.take(reading(NOW_MS + 1000 * second, workers=words), {})

    look(0, told(0, gaps_by_cause={"redis": 4}))
    assert not state.story.lines, "what is found is no news"
    look(1, told(1, gaps_by_cause={"redis": 28, "stale": 3}), told(1, worker="beta-2", state="standby"))
    state.take(reading(NOW_MS + 4_000), {})
    look(5, told(5, gaps_by_cause={"redis": 28}), told(5, worker="beta-2", state="stopped"))
    look(6, told(6, started_ms=NOW_MS + 5_500))
    look(7)
    assert [(line.what, line.who, line.text) for line in state.story.lines[::-1]] == [
        ("gap", "alpha-1", "24 gaps by redis: Redis lost or refused entries"),
        ("worker", "beta-2", "seen for the first time, standing by"),
        ("worker", "alpha-1", "silent"),
        ("worker", "beta-2", "silent"),
        ("worker", "alpha-1", "heard again, running"),
        ("worker", "beta-2", "stopped"),
        ("worker", "alpha-1", "started anew, running"),
        ("worker", "alpha-1", "gone: its record is no longer there"),
    ]


def test_backwards_is_the_other_way_round_and_what_nobody_follows_comes_last() -> None:
    state, ids = busy_state(), list(lines())
    state.rank("volume", "", NOW_MS, backwards=True)
    volumes = [state.markets[one].volume_24h for one in state.order]
    assert volumes == sorted(volumes)
    state.rank("spread", "", NOW_MS, backwards=True)
    assert state.order[-1] == ids[3], "without a spread: last, both ways"
    spreads = [Decimal(state.counted[one].get("spread") or 0) for one in state.order[:-1]]
    assert spreads == sorted(spreads, reverse=True)
    counted = {one: word for one, word in state.counted.items() if one not in ids[:2]}
    state.counted = counted
    for sort in ("activity", "spread", "age", "volume", "name"):
        for backwards in (False, True):
            state.rank(sort, "", NOW_MS, backwards=not backwards)
            state.rank(sort, "", NOW_MS, backwards=backwards)
            assert set(state.order[-2:]) == set(ids[:2]), (sort, backwards)
    assert not state.is_followed(ids[0])
    state.counted = {}
    assert state.is_followed(ids[0]), "an older worker does not say"
