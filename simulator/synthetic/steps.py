"""What one step of the exchange did; the wire makes messages of it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Fill:
    """An execution: at outcome 0's price, millionths."""

    price: int
    size: int


@dataclass(slots=True)
class Step:
    """One atomic step of one market. The book is already the one after it.

    Attributes:
        levels: (is a bid of outcome 0, price) of each level that gets a price_change, in the order of the wire:
            the resting remainder first, then what the order consumed.
        fills: executions, the best price first.
        taker_buys: whether the taker ends up longer in outcome 0.
        best_before: best bid and ask before the step, millionths; 0 where there was none.
        old_tick: the tick before, where it changed; else 0.
    """

    levels: list[tuple[bool, int]] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    taker_buys: bool = False
    best_before: tuple[int, int] = (0, 0)
    old_tick: int = 0

    @property
    def shows_books(self) -> bool:
        """Whether both tokens' whole books are sent."""
        return bool(self.fills or self.old_tick)
