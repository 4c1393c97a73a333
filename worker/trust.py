"""How many of a market's recent hash checks matched (pure)."""

from __future__ import annotations

from typing import Final

CHECKS_KEPT: Final = 20
CHECKS_NEEDED: Final = 10
"""Fewer checks say nothing."""


class Trust:
    """The outcomes of a market's last hash checks, both tokens together."""

    __slots__ = ("_history", "checks", "matches")

    def __init__(self) -> None:
        self.checks = 0
        """Since the market was taken on."""
        self.matches = 0
        self._history = 1
        """One bit a check, newest lowest; the highest bit set only marks the length."""

    def note(self, *, matched: bool) -> None:
        """One more check."""
        self.checks += 1
        self.matches += matched
        length = min(self._history.bit_length() - 1, CHECKS_KEPT - 1)
        self._history = 1 << (length + 1) | ((self._history << 1 | matched) & ((1 << (length + 1)) - 1))

    def below(self, least: float) -> bool:
        """Whether a smaller share than `least` of the recent checks matched."""
        recent = self._history.bit_length() - 1
        return recent >= CHECKS_NEEDED and (self._history.bit_count() - 1) / recent < least

    def forget(self) -> None:
        """New snapshots were asked for: what was found before says nothing of them."""
        self._history = 1
