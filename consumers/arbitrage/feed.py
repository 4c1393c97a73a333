"""From an entry to what the engine is told. Pure, and the hot path: only what the engine needs is looked at."""

from __future__ import annotations

from typing import Final

from consumers.arbitrage.engine import Engine
from consumers.arbitrage.judge import Found
from marketdata.entries import EntryId
from marketdata.groups.messages import Values
from marketdata.market import Winner

_WINNERS: Final[dict[str, Winner]] = {"0": 0, "1": 1, "split": "split"}


def feed(engine: Engine, at: EntryId, condition_id: str, entry: Values) -> list[Found]:
    """Hands an entry of a market's stream to the engine; its opportunities."""
    kind, outcome = entry.kind, entry.outcome
    if kind == "top" and outcome is not None:
        return engine.top(at, condition_id, outcome, entry.bid, entry.ask, entry.ask_size)
    if kind == "gap":
        return engine.gap(at, condition_id, outcome, gap_start_ms(entry.note))
    if kind == "resolved":
        # A note that is none of the three ends the market all the same, and its sets with it.
        return engine.resolved(at, condition_id, _WINNERS.get(entry.note, "split"))
    return engine.seen(at, condition_id, outcome)


def gap_start_ms(note: str) -> int:
    """Since when updates may be missing, Unix milliseconds; 0, since ever, where the note of a gap does not say."""
    words = note.split(" ", 2)
    return int(words[1]) // 1000 if len(words) == 3 and words[1].isascii() and words[1].isdigit() else 0
