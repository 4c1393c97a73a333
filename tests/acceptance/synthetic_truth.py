"""Streams held against the truth of the synthetic venue: no code of the worker, none of its matching engine.

The end of each step must stand in its token's stream. A step of several messages may show a top before its end:
that one must have the final prices, and may differ in size only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Quote = tuple[str, str, str, str]


class Told(NamedTuple):
    """One thing that a stream tells, or has to."""

    kind: str
    venue_ms: int
    values: tuple[str, ...]


def truth_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Told]]:
    """Rows of `/control/truths` by token, in their order."""
    found: dict[str, list[Told]] = {}
    for row in rows:
        kind = row["kind"]
        values: tuple[str, ...]
        if kind == "tick":
            values = (row["tick_size"],)
        elif kind == "resolved":
            continue
        else:
            values = (row["bid"], row["bid_size"], row["ask"], row["ask_size"])
        found.setdefault(row["token"], []).append(Told(kind, row["venue_ms"], values))
    return found


def mistake(truth: Sequence[Told], found: Sequence[Told], first_book_ms: int) -> str:
    """The first difference between what was true of a token and what its stream tells; empty if there is none.

    Args:
        truth: of the token, from some time before its subscription to the end.
        found: its tops, trades and ticks in the stream; the first is the top of its first book.
        first_book_ms: when the first book was received: trades of before may have been told before the subscription.
    """
    if not found:
        return "" if not truth else "nothing was told"
    first = found[0]
    starts = [
        place
        for place, one in enumerate(truth)
        if (one.kind, one.venue_ms, one.values) == (first.kind, first.venue_ms, first.values)
    ]
    if not starts:
        return f"begins with {first}, which was never true"
    reasons = []
    # Two steps of one millisecond may end alike; then each may be the one that the first book showed.
    for start in starts:
        for since in _since(truth[start + 1 :], first_book_ms):
            reason = _follow(since, found[1:], first.values)
            if not reason:
                return ""
            reasons.append(reason)
    return reasons[0]


def _since(truth: Sequence[Told], first_book_ms: int) -> Iterator[Sequence[Told]]:
    """With and without the trades that were told between the last step before the subscription and the first book.

    In the millisecond of the subscription a trade may be told just before it or just after; those that were told
    before it are never told again, and they come first.
    """
    place = 0
    yield truth
    while place < len(truth) and truth[place].kind == "trade" and truth[place].venue_ms <= first_book_ms:
        place += 1
        yield truth[place:]


def _follow(truth: Sequence[Told], found: Sequence[Told], shown: tuple[str, ...]) -> str:
    place = 0
    for one in found:
        while True:
            while place < len(truth) and truth[place].kind == "top" and truth[place].values == shown:
                place += 1
            if place == len(truth):
                return f"{one} is told, and nothing happened"
            due = truth[place]
            if one == due:
                place += 1
                shown = one.values if one.kind == "top" else shown
                break
            if (
                one.kind == due.kind == "top"
                and one.venue_ms == due.venue_ms
                and _prices(one) == _prices(due)
            ):
                shown = one.values
                break
            return f"{one} is told where {due} is due"
    missing = [due for due in truth[place:] if due.kind != "top" or due.values != shown]
    return f"{missing[0]} is missing" if missing else ""


def _prices(one: Told) -> tuple[str, str]:
    return one.values[0], one.values[2]
