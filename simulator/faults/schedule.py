"""Faults by chance: of all kinds that a client must heal from, none of which lasts. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from simulator.faults.fault import Fault

GIVEN_UP_S: Final = 60.0
"""A fault of the message stream that finds no message of its market ends so."""

CLOSE_CODES: Final = (1000, 1001, 1008, 1009, 1011, 1012, 1013, 4000)

Recipe = Callable[[random.Random], dict[str, Any]]

RECIPES: Final[tuple[tuple[str, Recipe], ...]] = (
    ("drop", lambda _: {"connection": "any"}),
    ("close", lambda source: {"connection": "any", "code": source.choice(CLOSE_CODES)}),
    ("half-open", lambda source: {"connection": "any", "for_s": source.uniform(45, 90)}),
    ("stall", lambda source: {"connection": "any", "rescue": "reconnect", "for_s": source.uniform(5, 90)}),
    ("stall", lambda source: {"token": "any", "rescue": "resubscribe", "for_s": source.uniform(5, 90)}),
    ("stall", lambda source: {"token": "any", "rescue": "reconnect", "for_s": source.uniform(5, 90)}),
    ("stall", lambda source: {"token": "any", "rescue": "never", "for_s": source.uniform(5, 60)}),
    ("withhold-books", lambda source: {"token": "any", "for_s": source.uniform(5, 60)}),
    (
        "delay",
        lambda source: {
            "connection": "any",
            "delay_s": source.uniform(0.1, 2),
            "for_s": source.uniform(1, 5),
        },
    ),
    ("reorder", lambda source: {"market": "any", "count": source.randint(1, 5), "for_s": GIVEN_UP_S}),
    ("double", lambda source: {"market": "any", "count": source.randint(1, 5), "for_s": GIVEN_UP_S}),
    (
        "lose",
        lambda source: {
            "market": "any",
            "event": "price_change",
            "count": source.randint(1, 5),
            "for_s": GIVEN_UP_S,
        },
    ),
    ("wrong-hash", lambda source: {"token": "any", "count": source.randint(1, 3), "for_s": GIVEN_UP_S}),
    ("wrong-best", lambda source: {"token": "any", "count": source.randint(1, 3), "for_s": GIVEN_UP_S}),
    ("crossed", lambda source: {"market": "any", "for_s": source.uniform(0.02, 1)}),
    ("garbage", lambda source: {"connection": "any", "form": "any", "count": 1, "for_s": GIVEN_UP_S}),
    (
        "refuse",
        lambda source: {"count": source.randint(1, 3), "retry_after_s": source.randint(0, 2), "for_s": 30},
    ),
    ("accept-close", lambda source: {"code": source.choice(CLOSE_CODES), "count": 1, "for_s": 30}),
    ("rest-error", lambda source: {"status": source.choice((429, 500, 503)), "for_s": source.uniform(1, 5)}),
    ("rest-down", lambda source: {"for_s": source.uniform(1, 5)}),
    ("rest-shell", lambda source: {"for_s": source.uniform(1, 20)}),
)


def random_faults(per_minute: float, source: random.Random) -> Iterator[Fault]:
    """Faults without end, `at_s` rising, so many a minute; none where `per_minute` is 0.

    In every round each recipe comes once, in another order: a run of a few dozen has seen all kinds.
    """
    if per_minute <= 0:
        return
    at_s = 0.0
    while True:
        for kind, recipe in source.sample(RECIPES, len(RECIPES)):
            # Half as long to half as long again: the rate holds over minutes, the moments are not foreseen.
            at_s += 60 / per_minute * source.uniform(0.5, 1.5)
            fault = Fault.model_validate({"kind": kind, **recipe(source)})
            # A venue may run for longer than a schedule that somebody wrote can be.
            yield fault.model_copy(update={"at_s": at_s})
