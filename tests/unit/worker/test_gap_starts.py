"""A gap begins where the book was last known to be right, not where its wrongness was noticed."""

from __future__ import annotations

from tests.gamma_rows import market
from tests.venue_frames import ASKS, BIDS, MS, Line, Row, book, item, price_change, wire_hash
from worker.policy import ProtocolPolicy
from worker.shapes import Book
from worker.streams import Update

ONE = market("one")
CHECKED = ProtocolPolicy(check_every_step=True)


def live() -> Line:
    line = Line([ONE], CHECKED)
    line.hear(book(ONE, 0), book(ONE, 1), array=True)
    line.wait(1)
    return line


def step(
    size: str, ms: int, *, wrong: bool = False, best: tuple[str, str] = ("0.48", "0.52"), outcome: int = 0
) -> Row:
    """A step on 0.4, below the top; `wrong`: signed as if another message had been lost before."""
    bids = (("0.4", size + "1" if wrong else size), BIDS[1])
    signature = wire_hash(ONE, outcome, ms, bids, ASKS)
    return price_change(ONE, item(ONE, outcome, "BUY", "0.4", size, best, signature), ms=ms)


def starts_us(updates: list[Update]) -> list[int]:
    return [int(update.note.split(" ")[1]) for update in updates if update.kind == "gap"]


def test_wrong_best_prices_after_a_mismatch_end_the_book_from_its_last_proof_on() -> None:
    line = live()
    line.hear(step("12", MS + 10))
    proven_us = line.now_us
    line.wait(0.1)
    line.hear(step("13", MS + 20, wrong=True))
    line.wait(0.1)
    line.hear(step("14", MS + 30, wrong=True, best=("0.47", "0.52")))
    assert line.counters.hash_mismatches == 1
    assert starts_us(line.tick(0.3)) == [proven_us]


def test_a_connection_that_ends_in_doubt_leaves_a_gap_from_the_last_proof_on() -> None:
    line = live()
    line.hear(step("12", MS + 10))
    proven_us = line.now_us
    line.wait(0.1)
    line.hear(step("13", MS + 20, wrong=True))
    line.wait(0.1)
    line.hear(step("14", MS + 30, wrong=True))
    assert line.counters.hash_mismatches == 1
    assert starts_us(line.close())[0] == proven_us


def test_a_connection_that_ends_without_a_doubt_leaves_a_gap_from_its_last_frame_on() -> None:
    line = live()
    line.hear(step("12", MS + 10))
    line.wait(0.1)
    line.hear(step("13", MS + 20))
    last_us = line.now_us
    line.wait(0.1)
    assert starts_us(line.close())[0] == last_us


def test_a_connection_that_ends_leaves_an_earlier_gap_for_a_book_that_rest_contradicts() -> None:
    line = live()
    line.hear(step("12", MS + 10))
    changed_us = line.now_us
    line.wait(40)
    newer = Book(
        ONE.condition_id,
        ONE.tokens[0],
        MS + 40_000,
        "",
        [(400_000, "0.4", "99"), (480_000, "0.48", "30.0")],
        [(520_000, "0.52", "25")],
        "",
        None,
        "",
    )
    feed = line.protocol.books.tokens[ONE.tokens[0]]
    feed.asked_us = line.now_us
    assert line.protocol.rescues.silent_book_said(ONE.tokens[0], newer, line.now_us) is not None
    line.hear(step("12", MS + 10, outcome=1))
    assert starts_us(line.close())[0] == changed_us
