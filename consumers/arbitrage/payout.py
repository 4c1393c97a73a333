"""What a set of purchases pays, wherever the settlement value ends up. Pure.

Source: the venue's rules: "above" is strictly higher; a value exactly on a bucket's bound is in the higher bucket.
Values are looked at on a line of doubled strikes: an even place is a strike itself, an odd one the open interval
behind it, so that all there can be is a short list of whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from marketdata.decimals import from_micros, to_micros
from marketdata.families import FamilyKind


class Bet(NamedTuple):
    """A purchase of one outcome of a price market.

    Attributes:
        kind: threshold or range.
        lower, upper: strikes in millionths; None where the interval is open.
        outcome: 0 for Yes, 1 for No.
    """

    kind: FamilyKind
    lower: int | None
    upper: int | None
    outcome: int

    def pays(self, place: int) -> int:
        """1 or 0 dollars at a place of the doubled line."""
        if self.kind == "threshold":
            yes = self.lower is not None and place > 2 * self.lower
        else:
            yes = (self.lower is None or place >= 2 * self.lower) and (
                self.upper is None or place < 2 * self.upper
            )
        return int(yes == (self.outcome == 0))


class Tie(NamedTuple):
    """What a basket pays if the value settles exactly on a strike.

    Attributes:
        strike: decimal spelling.
        pays: dollars.
    """

    strike: str
    pays: int


class Payout(NamedTuple):
    """What a basket pays.

    Attributes:
        dollars: a share of each leg, the least over all open intervals.
        ties: empty if every strike pays at least that (`strict`); else all strikes at which it pays something else
            than `dollars`, the lowest first.
    """

    dollars: int
    ties: tuple[Tie, ...]

    @property
    def strict(self) -> bool:
        """Whether it pays `dollars` in every case, ties included."""
        return not self.ties


def bet(kind: FamilyKind, lower: str, upper: str, outcome: int) -> Bet:
    """From strikes in decimal spelling, empty where open."""
    return Bet(kind, to_micros(lower) if lower else None, to_micros(upper) if upper else None, outcome)


def payout_of(bets: Sequence[Bet]) -> Payout:
    """The payout of one share of each.

    Raises:
        ValueError: no strike is named, so there is nothing to settle.
    """
    strikes = strikes_of(bets)
    if not strikes:
        raise ValueError("a basket of a price family needs a strike")
    inside = [2 * strikes[0] - 1, *(2 * strike + 1 for strike in strikes)]
    dollars = min(sum(one.pays(place) for one in bets) for place in inside)
    on_strike = [(strike, sum(one.pays(2 * strike) for one in bets)) for strike in strikes]
    if all(pays >= dollars for _, pays in on_strike):
        return Payout(dollars, ())
    return Payout(dollars, tuple(Tie(from_micros(at), pays) for at, pays in on_strike if pays != dollars))


def strikes_of(bets: Iterable[Bet]) -> list[int]:
    """All strikes that are named, in millionths, the lowest first."""
    return sorted({strike for one in bets for strike in (one.lower, one.upper) if strike is not None})
