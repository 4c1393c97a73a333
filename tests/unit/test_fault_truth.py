"""The comparison that the proofs under faults rest on finds what it is there to find."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from marketdata.entries import Entry, Kind
from tests.acceptance.fault_received import Received
from tests.acceptance.fault_truth import Findings, TokenTruth, compare

MS = 1_790_000_000_000
TOKEN = "1234567890"
QUOTES = [
    ("0.4", "5", "0.6", "7"),
    ("0.41", "5", "0.6", "7"),
    ("0.41", "9", "0.6", "7"),
    ("0.42", "1", "0.6", "7"),
]


def us(place: int) -> int:
    return (MS + 100 * place) * 1000 + 500


def top_row(place: int) -> dict[str, Any]:
    quote = dict(zip(("bid", "bid_size", "ask", "ask_size"), QUOTES[place], strict=True))
    return {"kind": "top", "venue_ms": MS + 100 * place, "hash": f"h{place}", **quote}


TRADE_ROW = {"kind": "trade", "venue_ms": MS + 350, "bid": "", "bid_size": "", "ask": "0.6", "ask_size": "2"}


def entry(kind: Kind, at_us: int, venue_ms: int, *words: str, note: str = "") -> Entry:
    quote = words or ("", "", "", "")
    return Entry(kind, 0, *quote, venue_ms, at_us, 1, 1, 0, note)


def top(place: int, *, at_us: int = 0, quote: tuple[str, ...] = ()) -> Entry:
    return entry("top", at_us or us(place), MS + 100 * place, *(quote or QUOTES[place]))


def gap(start_us: int, at_us: int) -> Entry:
    return entry("gap", at_us, 0, note=f"desync {start_us} w1")


def trade(at_us: int = us(4)) -> Entry:
    return entry("trade", at_us, MS + 350, "", "", "0.6", "2")


def heard(*places: int, trades: int = 1) -> Received:
    received = Received()
    for place in places:
        received.changes[TOKEN, MS + 100 * place, f"h{place}"].append(us(place))
        received.best[TOKEN, MS + 100 * place, f"h{place}"] = QUOTES[place][0], QUOTES[place][2]
    if trades:
        received.beside[TOKEN, MS + 350, "0.6 2"].append(us(4))
        received.trades[TOKEN, MS + 350, "0.6 2"] = trades
    return received


def found(entries: list[Entry], received: Received) -> Findings:
    findings = Findings()
    truth = TokenTruth([*map(top_row, range(4)), TRADE_ROW])
    compare(TOKEN, entries, truth, received, findings)
    return findings


WHOLE = [top(0), top(1), top(2), top(3), trade()]


def test_a_stream_that_tells_all_is_right() -> None:
    findings = found(WHOLE, heard(0, 1, 2, 3))
    assert findings.wrong == []
    assert (findings.tops, findings.trades, findings.segments) == (4, 1, 1)


def test_what_was_received_and_is_not_told_is_noticed() -> None:
    for place in range(1, 5):
        wrong = found(WHOLE[:place] + WHOLE[place + 1 :], heard(0, 1, 2, 3)).wrong
        assert len(wrong) == 1
        assert "received and is not told" in wrong[0]


def test_what_was_never_sent_is_counted() -> None:
    findings = found([top(0), top(1), top(3), trade()], heard(0, 1, 3))
    assert findings.wrong == []
    assert findings.never_sent == 1


def test_a_gap_covers_what_came_after_its_start_and_no_more() -> None:
    received = heard(0, 1, 2, 3)
    wrong_size = top(1, quote=("0.41", "999", "0.6", "7"))
    never = top(2, quote=("0.3", "1", "0.6", "7"))
    assert found([top(0), wrong_size, never, gap(us(1), us(3)), top(3), trade()], received).wrong == []
    assert found([top(0), wrong_size, never, gap(us(2), us(3)), top(3), trade()], received).wrong != []
    assert found([top(0), top(1), never, gap(us(3), us(3)), top(3), trade()], received).wrong != []


def test_a_step_may_end_with_the_book_that_a_gap_counts_from() -> None:
    received = heard(0, 1, 2, 3)
    book = top(1, at_us=us(1) + 200)
    assert found([top(0), book, gap(us(1) + 200, us(3)), top(3), trade()], received).wrong == []
    assert found([top(0), book, gap(us(1) + 100, us(3)), top(3), trade()], received).wrong != []


def test_a_top_that_never_was_is_noticed_wherever_it_stands() -> None:
    never = top(2, quote=("0.3", "1", "0.6", "7"))
    assert "never true" in found([never], heard(2)).wrong[0]
    assert any(
        "never true" in one for one in found([top(0), top(1), never, top(3), trade()], heard(0, 1, 3)).wrong
    )


def test_what_is_told_again_is_noticed() -> None:
    assert "again or too late" in found([*WHOLE, top(1, at_us=us(5))], heard(0, 1, 2, 3)).wrong[0]
    assert "told 2 times, received 1" in found([*WHOLE, trade(us(5))], heard(0, 1, 2, 3)).wrong[0]
    assert found([*WHOLE, trade(us(5))], heard(0, 1, 2, 3, trades=2)).wrong == []


def test_a_trade_that_is_told_in_a_gap_must_have_been_one() -> None:
    assert found([gap(us(0), us(0)), trade()], heard()).wrong == []
    other = entry("trade", us(4), MS + 351, "", "", "0.6", "2")
    assert found([gap(us(0), us(0)), other], heard()).wrong != []


def test_a_step_that_could_not_be_shown_is_told_by_the_entry_after_it() -> None:
    received = heard(0, 1, 2, 3)
    findings = found([top(0), top(1), replace(top(3), skipped=1), trade()], received)
    assert findings.wrong == []
    assert findings.skipped == 1
    wrong = found([top(0), replace(top(3), skipped=1), trade()], received).wrong
    assert len(wrong) == 1, "one is told, two are missing"


def test_a_step_without_one_of_its_messages_may_leave_a_wrong_size_until_the_next() -> None:
    received, rows = heard(0, 1, 2, 3), [*map(top_row, range(4)), TRADE_ROW]
    told = [top(0), top(1), top(3), trade()]
    findings = Findings()
    compare(TOKEN, told, TokenTruth(rows, {MS + 200}), received, findings)
    assert findings.wrong == []
    assert findings.healed == 1
    assert found(told, received).wrong != []


def test_a_step_that_contradicts_itself_may_be_left_out() -> None:
    received = heard(0, 1, 2, 3)
    received.best[TOKEN, MS + 200, "h2"] = "0.40", "0.6"
    findings = found([top(0), top(1), top(3), trade()], received)
    assert findings.wrong == []
    assert findings.contradictory == 1


def test_a_wrong_top_that_heals_soon_is_counted_and_one_that_lasts_is_noticed() -> None:
    # The step that raised the bid was never sent; the next one is, and shows nothing of it until the one after.
    quick = found([top(0), top(3), trade()], heard(0, 2, 3))
    assert quick.wrong == []
    assert (quick.healed, quick.never_sent) == (1, 1)
    late = [top(0), top(3, at_us=us(3) + 3_000_000), trade(us(4) + 3_000_000)]
    rows = [
        top_row(0),
        top_row(1),
        *({**top_row(2), "hash": f"h2{n}"} for n in range(3)),
        top_row(3),
        TRADE_ROW,
    ]
    received = heard(0, 1, 3)
    del received.changes[TOKEN, MS + 100, "h1"]
    for n in range(3):
        received.changes[TOKEN, MS + 200, f"h2{n}"].append(us(2))
    findings = Findings()
    compare(TOKEN, late, TokenTruth(rows), received, findings)
    assert len(findings.wrong) == 1, "two steps may pass unnoticed, not three"
