"""From the markets of one partition to all sets of purchases that pay for certain. Pure.

Selling a token is buying its mirror, so every edge is a set of purchases and has one name: its tokens, sorted.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

from consumers.arbitrage.payout import Payout, Tie, bet, payout_of
from consumers.arbitrage.terms import Terms
from marketdata.decimals import to_micros

Kind = Literal["complement", "negrisk-yes", "negrisk-no", "trio", "reverse-trio", "ladder"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MOST_BUCKETS: Final = 3
"""Adjacent buckets between the two thresholds of a trio."""

MOST_LADDERS: Final = 2_000
"""Pairs of thresholds in one family, those with the fewest strikes between them first."""

MOST_TRIOS: Final = 2_000
"""Trios of one family, those over the fewest ranges first; as many reverse ones."""

_CERTAIN: Final = ()


class BasketLeg(NamedTuple):
    """One purchase."""

    token: str
    condition_id: str
    outcome: int


@dataclass(frozen=True, slots=True)
class Basket:
    """Purchases, one share of each, that together pay at least `payout` dollars.

    Attributes:
        basket_id: 20 hex digits, made of the sorted tokens.
        kind: which logic binds them.
        group: the family, or the event's neg-risk id, or the market.
        events: slugs of the events that its markets belong to.
        legs: in the order of the tokens.
        payout, ties: see `Payout`.
    """

    basket_id: str
    kind: Kind
    group: str
    events: tuple[str, ...]
    legs: tuple[BasketLeg, ...]
    payout: int
    ties: tuple[Tie, ...]

    @property
    def guarantee(self) -> str:
        """`strict`, or `except-tie` where some strike pays less."""
        return "except-tie" if self.ties else "strict"


class Note(NamedTuple):
    """Why something forms no basket."""

    group: str
    why: str


@dataclass(frozen=True, slots=True)
class Formed:
    """What a set of markets forms.

    Attributes:
        baskets: in the order of their ids.
        notes: what was left out, and why.
    """

    baskets: tuple[Basket, ...]
    notes: tuple[Note, ...]

    def kinds(self) -> Counter[Kind]:
        """How many there are of each kind."""
        return Counter(basket.kind for basket in self.baskets)


_Found = tuple[Kind, str, list[tuple[Terms, int]], Payout]
_Say = Callable[[Note], None]


def formed(markets: Iterable[Terms]) -> Formed:
    """All baskets of these markets.

    A market whose fee or minimum order is not known takes no part, nor does one that the catalog left out of its
    family; a neg-risk event forms none unless it is complete, not augmented, and all still in it can be bought.

    Args:
        markets: of one partition, events and families whole; `state` and `winner` as of now.
    """
    usable: list[Terms] = []
    everything = sorted(markets, key=lambda one: one.condition_id)
    notes: list[Note] = []
    for one in everything:
        if why := one.refusal():
            notes.append(Note(one.condition_id, why))
        elif one.tradable and one.outcome is None:
            usable.append(one)
    found: list[_Found] = [
        ("complement", one.condition_id, [(one, 0), (one, 1)], Payout(1, _CERTAIN)) for one in usable
    ]
    for group, event in _grouped(everything, lambda one: one.neg_risk_market_id):
        found += _neg_risk(group, event, notes.append)
    for group, family in _grouped(usable, lambda one: one.family if one.is_price else ""):
        found += _priced(group, family, notes.append)
    named: dict[str, Basket] = {}
    for kind, group, legs, payout in found:
        basket = _basket(kind, group, legs, payout)
        named.setdefault(basket.basket_id, basket)
    return Formed(tuple(named[one] for one in sorted(named)), tuple(notes))


def components(markets: Sequence[Terms]) -> list[tuple[Terms, ...]]:
    """The markets cut into sets that share no basket, so that a change of one leaves the others alone."""
    found: list[tuple[set[str], list[Terms]]] = []
    at: dict[str, int] = {}
    for one in markets:
        names = {f"family {one.family}", f"event {one.neg_risk_market_id or one.condition_id}"}
        mine = [one]
        for place in sorted({at[name] for name in names if name in at}, reverse=True):
            names |= found[place][0]
            mine = [*found[place][1], *mine]
            found[place] = (set(), [])
        at |= dict.fromkeys(names, len(found))
        found.append((names, mine))
    return [tuple(sorted(some, key=lambda one: one.condition_id)) for _, some in found if some]


def _neg_risk(group: str, event: list[Terms], say: _Say) -> Iterator[_Found]:
    still_in = [one for one in event if one.outcome != 1]
    sizes = {one.event_size for one in event}
    if sizes != {len(event)}:
        say(Note(group, f"the venue lists {max(sizes)} markets in the event, the catalog holds {len(event)}"))
    elif any(one.neg_risk_augmented for one in event):
        say(Note(group, "outcomes may still be named (augmented), so the set is never complete"))
    elif over := next((one for one in still_in if one.outcome is not None), None):
        say(Note(group, f"it is decided: {over.condition_id} resolved {over.outcome}"))
    elif paused := next((one for one in still_in if not one.tradable), None):
        say(Note(group, f"{paused.condition_id} is {paused.state}, so the set is not whole"))
    elif refused := next((one for one in still_in if one.refusal()), None):
        say(Note(group, f"{refused.condition_id}: {refused.refusal()}"))
    elif len(still_in) < 2:
        say(Note(group, f"{len(still_in)} of its markets is still in it, and a set takes two"))
    else:
        yield "negrisk-yes", group, [(one, 0) for one in still_in], Payout(1, _CERTAIN)
        yield "negrisk-no", group, [(one, 1) for one in still_in], Payout(len(still_in) - 1, _CERTAIN)


def _priced(group: str, family: list[Terms], say: _Say) -> Iterator[_Found]:
    above = sorted((one for one in family if one.family_kind == "threshold"), key=_from)
    yield from _ladders(group, above, say)
    by_strike: dict[int, list[Terms]] = defaultdict(list)
    for one in above:
        by_strike[_from(one)].append(one)
    trios: list[tuple[list[Terms], Terms | None, Terms | None]] = []
    for run in _runs([one for one in family if one.family_kind == "range"]):
        for low in by_strike.get(_from(run[0]), []) if run[0].lower else [None]:
            for high in by_strike.get(_to(run[-1]), []) if run[-1].upper else [None]:
                if low is not None or high is not None:
                    trios.append((run, low, high))
    if len(trios) > MOST_TRIOS:
        say(Note(group, f"{len(trios) - MOST_TRIOS} of {len(trios)} trios, those over the most ranges"))
    for run, low, high in trios[:MOST_TRIOS]:
        yield from _trios(group, run, low, high)


def _runs(buckets: list[Terms]) -> Iterator[list[Terms]]:
    """Buckets that follow one another without a hole, those of fewest first; ranges may overlap and fork."""
    starting: dict[int, list[Terms]] = defaultdict(list)
    for one in sorted(buckets, key=lambda one: (_from(one), one.condition_id)):
        if one.lower:
            starting[_from(one)].append(one)
    runs = [[one] for one in sorted(buckets, key=lambda one: (_from(one), one.condition_id))]
    for _ in range(MOST_BUCKETS):
        yield from runs
        # A range has a width, so that no run comes back to where it was.
        runs = [
            [*run, one]
            for run in runs
            if run[-1].upper and _from(run[-1]) < _to(run[-1])
            for one in starting.get(_to(run[-1]), [])
        ]


def _ladders(group: str, above: list[Terms], say: _Say) -> Iterator[_Found]:
    told = 0
    wanted = sum(_from(low) < _from(high) for place, low in enumerate(above) for high in above[place + 1 :])
    if wanted > MOST_LADDERS:
        say(Note(group, f"{wanted - MOST_LADDERS} of {wanted} ladders, those with the most strikes between"))
    for apart in range(1, len(above)):
        for low, high in zip(above, above[apart:], strict=False):
            if _from(low) < _from(high) and told < MOST_LADDERS:
                told += 1
                yield _price_basket("ladder", group, [(low, 0), (high, 1)])


def _trios(group: str, run: list[Terms], low: Terms | None, high: Terms | None) -> Iterator[_Found]:
    """Lower Yes, upper No and the buckets' No, and the three mirrors; an open side has no threshold."""
    ends = [(low, 0), (high, 1)]
    thresholds = [(one, outcome) for one, outcome in ends if one is not None]
    yield _price_basket("trio", group, [*thresholds, *((bucket, 1) for bucket in run)])
    mirrors = [(one, 1 - outcome) for one, outcome in thresholds]
    yield _price_basket("reverse-trio", group, [*mirrors, *((bucket, 0) for bucket in run)])


def _price_basket(kind: Kind, group: str, legs: list[tuple[Terms, int]]) -> _Found:
    bets = [bet(one.family_kind, one.lower, one.upper, outcome) for one, outcome in legs]
    return kind, group, legs, payout_of(bets)


def _basket(kind: Kind, group: str, legs: list[tuple[Terms, int]], payout: Payout) -> Basket:
    bought = sorted(BasketLeg(one.tokens[outcome], one.condition_id, outcome) for one, outcome in legs)
    name = hashlib.sha256("-".join(leg.token for leg in bought).encode()).hexdigest()[:20]
    events = tuple(sorted({one.event_slug for one, _ in legs if one.event_slug}))
    return Basket(name, kind, group, events, tuple(bought), payout.dollars, payout.ties)


def _from(one: Terms) -> int:
    return to_micros(one.lower) if one.lower else -1


def _to(one: Terms) -> int:
    return to_micros(one.upper)


def _grouped(markets: Iterable[Terms], key: Callable[[Terms], str]) -> list[tuple[str, list[Terms]]]:
    groups: dict[str, list[Terms]] = defaultdict(list)
    for one in markets:
        if name := key(one):
            groups[name].append(one)
    return sorted(groups.items())
