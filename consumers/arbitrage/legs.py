"""One token as a leg: its best ask, what that costs, and whether it may be counted on. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from consumers.arbitrage.fees import CHARGE_STEP_MICROS, FREE, Fees, share_cost
from consumers.arbitrage.opportunity import Reason, ToldLeg
from marketdata.decimals import MICROS, from_micros
from marketdata.entries import EntryId

if TYPE_CHECKING:
    from consumers.arbitrage.evaluate import Live

NEVER: Final = EntryId(0, 0)


class Leg:
    """A token.

    Attributes:
        fees, min_order_micros: of its market.
        price, size: the best ask in millionths; 0 where there is none.
        gapped: whether a gap lies between the last top and now.
        doubted_ms: behind a gap: from when on its updates may be missing, Unix milliseconds; None where nobody said.
        top_at: id of the last top.
        seen_ms: of the last entry that said that the top still holds.
        torn_until_ms: its market's other token says that the ask is another by now; until then its own word is
            waited for. 0 where both agree, or the wait was in vain.
        usable: whether it has an ask and no gap; how fresh it is, is asked when it matters.
        unit: cost of a share with its fee, see `unit_cost`; 0 while it is not usable.
        fee_above, fee_below: the charged fee of `size` is size * above / below, rounded up, times the step.
        baskets: those it is a leg of, in the order of their ids.
    """

    __slots__ = (
        "baskets",
        "condition_id",
        "doubted_ms",
        "fee_above",
        "fee_below",
        "fees",
        "gapped",
        "min_order_micros",
        "outcome",
        "price",
        "seen_ms",
        "size",
        "token",
        "top_at",
        "torn_until_ms",
        "unit",
        "usable",
    )

    def __init__(self, token: str, condition_id: str, outcome: int) -> None:
        self.token = token
        self.condition_id = condition_id
        self.outcome = outcome
        self.price = self.size = 0
        self.gapped = False
        self.doubted_ms: int | None = None
        self.top_at = NEVER
        self.seen_ms = 0
        self.torn_until_ms = 0
        self.usable = False
        self.unit = 0
        self.baskets: list[Live] = []
        self.min_order_micros = 0
        self.subject_to(FREE, 0)

    def subject_to(self, fees: Fees, min_order_micros: int) -> None:
        """Takes the terms of its market."""
        self.fees = fees
        self.min_order_micros = min_order_micros
        self.fee_below = MICROS ** (2 * fees.exponent + 1) * CHARGE_STEP_MICROS
        self.reckon()

    def reckon(self) -> None:
        """Works out what follows from price, size and gap."""
        price = self.price
        self.usable = 0 < price <= MICROS and self.size > 0 and not self.gapped
        if self.usable:
            self.fee_above, self.unit = share_cost(price, self.fees)
        else:
            self.fee_above = self.unit = 0

    def why_not(self, clock_ms: int, floor_ms: int, top_floor_ms: int) -> Reason:
        """Why it takes no part; empty if it does.

        Args:
            clock_ms: of the last clock entry.
            floor_ms, top_floor_ms: what vouches for it, and its own top, must not be older than these.
        """
        if self.gapped:
            return "gap"
        if not self.usable:
            return "empty"
        if max(self.seen_ms, clock_ms) < floor_ms:
            return "stale"
        return "old" if self.top_at.ms < top_floor_ms else ""

    def told(self, now_ms: int, clock_ms: int) -> ToldLeg:
        """As an opportunity shows it."""
        return ToldLeg(
            token=self.token,
            market=self.condition_id,
            outcome=self.outcome,
            price=from_micros(self.price) if self.price else "",
            size=from_micros(self.size) if self.size else "",
            age_ms=now_ms - self.top_at.ms if self.top_at != NEVER else 0,
            vouched_ms=now_ms - max(self.seen_ms, 0 if self.gapped else clock_ms) if self.seen_ms else 0,
            entry=str(self.top_at) if self.top_at != NEVER else "",
        )
