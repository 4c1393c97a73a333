"""From the raw fields of an entry to what the engine is told. Pure, and the hot path: nothing is decoded in vain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from consumers.arbitrage.engine import Engine, Found
from marketdata.entries import FIELDS, Entry, EntryId
from marketdata.errors import EntryError
from marketdata.market import Winner

_NAMES: Final = [name.encode() for name in FIELDS]
_OUTCOMES: Final = {b"": None, b"0": 0, b"1": 1}
_WINNERS: Final[dict[str, Winner]] = {"0": 0, "1": 1, "split": "split"}
# Places of the values in the flat list of names and values.
_KIND, _OUTCOME, _ASK, _ASK_SIZE, _NOTE = 1, 3, 9, 11, 23


def feed(engine: Engine, at: EntryId, condition_id: str, fields: Sequence[bytes]) -> list[Found]:
    """Hands an entry of a market's stream to the engine; its opportunities.

    Args:
        fields: names and values in turn, as Redis gives them.

    Raises:
        EntryError: it does not follow the contract; the engine did not see it.
    """
    if len(fields) != 24 or fields[::2] != _NAMES:
        # Fields of a later contract, or in another order: the slow way, which also says what is wrong.
        return feed(engine, at, condition_id, _in_order(Entry.from_fields(fields)))
    kind, outcome = fields[_KIND], _OUTCOMES.get(fields[_OUTCOME], -1)
    if kind == b"top" and (outcome == 0 or outcome == 1):
        return engine.top(at, condition_id, outcome, fields[_ASK].decode(), fields[_ASK_SIZE].decode())
    if kind in (b"trade", b"tick") and outcome != -1:
        return engine.seen(at, condition_id, outcome)
    if kind == b"gap" and outcome != -1:
        return engine.gap(at, condition_id, outcome)
    if kind == b"resolved" and (winner := _WINNERS.get(fields[_NOTE].decode())) is not None:
        return engine.resolved(at, condition_id, winner)
    raise EntryError(
        f"kind {fields[_KIND][:20]!r}, outcome {fields[_OUTCOME][:20]!r}, note {fields[_NOTE][:20]!r}: not an entry"
    )


def _in_order(entry: Entry) -> list[bytes]:
    return [part.encode() for pair in entry.to_fields().items() for part in pair]
