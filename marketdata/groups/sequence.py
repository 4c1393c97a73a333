"""Notices by the proof rule that entries of a stream were never read (pure)."""

from __future__ import annotations

from marketdata.entries import COUNTED_KINDS, EntryId
from marketdata.groups.messages import Values


class Sequence:
    """The last seq of each token, and the last id of each stream."""

    def __init__(self) -> None:
        self._tokens: dict[tuple[str, int], tuple[int, EntryId]] = {}

    def follow(self, stream: str, entry_id: EntryId, entry: Values) -> EntryId | None:
        """Takes the next entry; the id behind which entries of its token are missing, or None."""
        if entry.kind == "gap":
            for outcome in (0, 1) if entry.outcome is None else (entry.outcome,):
                # Whatever is missing up to here is told by the gap.
                self._tokens.pop((stream, outcome), None)
            return None
        if entry.kind not in COUNTED_KINDS or entry.outcome is None:
            return None
        token = stream, entry.outcome
        known = self._tokens.get(token)
        self._tokens[token] = entry.seq, entry_id
        if known is not None and entry.seq > known[0] + 1 + entry.skipped:
            return known[1]
        return None
