"""When a child that died is started again (pure)."""

from __future__ import annotations

from typing import Final

FIRST_DELAY_S: Final = 0.5
LONGEST_DELAY_S: Final = 10.0
PROVEN_AFTER_S: Final = 20.0
"""A child that lived this long was a good start: its death is answered quickly again."""

UNUSABLE: Final = 2
"""Exit code of a command whose settings cannot be used: starting it again would end the same way."""


class Restarts:
    """Growing delays between the starts of one child."""

    def __init__(self) -> None:
        self._delay_s = FIRST_DELAY_S

    def after_death(self, lived_s: float) -> float:
        """Seconds to wait before the next start, after a life of `lived_s`."""
        if lived_s >= PROVEN_AFTER_S:
            self._delay_s = FIRST_DELAY_S
        delay_s = self._delay_s
        self._delay_s = min(delay_s * 2, LONGEST_DELAY_S)
        return delay_s
