"""Whether those who speak once a second have fallen silent (pure).

No clocks of two machines are compared: a word counts as heard when it differs from the one before.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, Literal, TypeVar

from marketdata.groups.messages import SILENT_AFTER_S

Change = Literal["silent", "back", ""]
K = TypeVar("K", bound=Hashable)


class Silence(Generic[K]):
    """Remembers when each speaker was heard last.

    Attributes:
        silent: those who have said nothing new for SILENT_AFTER_S.
        since_s: when the first of them was heard last, or first listened to.
    """

    def __init__(self) -> None:
        self.silent: frozenset[K] = frozenset()
        self.since_s = 0.0
        self._heard: dict[K, tuple[object, float]] = {}
        self._told: frozenset[K] = frozenset()
        self._is_told = False

    def look(self, words: Mapping[K, object], now_s: float) -> Change:
        """Takes everybody's newest word, about once a second.

        Returns:
            "silent" when some have fallen silent, and when others join them; one look later, so that those who
            fall silent together are told together. "back" when all are heard again.
        """
        self._heard = {
            speaker: known
            if (known := self._heard.get(speaker)) is not None and known[0] == word
            else (word, now_s)
            for speaker, word in words.items()
        }
        before, self.silent = (
            self.silent,
            frozenset(one for one, (_, heard_s) in self._heard.items() if now_s - heard_s >= SILENT_AFTER_S),
        )
        self._told &= self.silent
        if self._is_told and not self.silent:
            self._is_told = False
            return "back"
        if self.silent - self._told and self.silent == before:
            if not self._is_told:
                self.since_s = min(self._heard[one][1] for one in self.silent)
            self._told, self._is_told = self.silent, True
            return "silent"
        return ""

    def was_deaf(self, now_s: float) -> None:
        """Nobody could be heard until now: whoever was not silent before gets the whole time once more."""
        self._heard = {
            one: known if one in self.silent else (known[0], now_s) for one, known in self._heard.items()
        }
