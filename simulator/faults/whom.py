"""Whom "any" means: one by chance of those who are there. Pure; the random source is handed in."""

from __future__ import annotations

import random
from collections.abc import Sequence

from simulator.faults.fault import Fault
from simulator.venue.conduct import Line

ANY = "any"


def resolved(fault: Fault, lines: Sequence[Line], source: random.Random) -> Fault | None:
    """The fault with every "any" replaced; None: nobody is there that it could mean.

    Connections without a subscription are not chosen. With several "any" they fit together: the token is one of
    the connection, the market one of the token's.
    """
    if ANY not in (fault.connection, fault.token, fault.market):
        return fault
    places = sorted(
        (line.number, market, token)
        for line in lines
        for token, market in line.market_of.items()
        if fault.connection in (None, ANY, line.number)
        and fault.token in (None, ANY, token)
        and fault.market in (None, ANY, market)
    )
    if not places:
        return None
    # By connection, then market, then token: a small connection is as likely as a full one where it is meant.
    number = source.choice(sorted({place[0] for place in places})) if fault.connection == ANY else None
    near = [place for place in places if number in (None, place[0])]
    market = source.choice(sorted({place[1] for place in near})) if ANY in (fault.market, fault.token) else ""
    tokens = sorted({place[2] for place in near if place[1] == market})
    changed: dict[str, object] = {}
    if fault.connection == ANY:
        changed["connection"] = number
    if fault.market == ANY:
        changed["market"] = market
    if fault.token == ANY:
        changed["token"] = source.choice(tokens)
    return fault.model_copy(update=changed)
