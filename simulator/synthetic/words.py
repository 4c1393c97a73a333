"""Titles, questions and slugs of what the world invents. Pure.

Nothing in them is about a person or a real contest; names of cities and weather stand for all that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Final

from marketdata.families.settlement import NEW_YORK
from simulator.synthetic.categories import (
    CULTURE,
    ECONOMICS,
    GEOPOLITICS,
    POLITICS,
    SPORTS,
    TECH,
    WEATHER,
    Category,
)

CITIES: Final = (
    *(
        "Arden",
        "Bellmore",
        "Carrick",
        "Dunmore",
        "Eastvale",
        "Fairhaven",
        "Glenrock",
        "Harwick",
        "Ironbridge",
    ),
    *("Juniper Bay", "Kingsmere", "Larkfield", "Marlow", "Northgate", "Oakhurst", "Pinecrest", "Quarry Hill"),
    *(
        "Ravenna",
        "Stonefield",
        "Thornbury",
        "Upton",
        "Valewood",
        "Westbrook",
        "Yarrow",
        "Ashgrove",
        "Brightwater",
    ),
    *("Coldwell", "Deepdale", "Elmsworth", "Foxley"),
)
_CONTESTS: Final = (
    (SPORTS, "Winner of the {} Cup", "win the {} Cup"),
    (POLITICS, "{} mayoral election", "win the {} mayoral election"),
    (CULTURE, "{} film festival: best picture", "win best picture at the {} film festival"),
    (TECH, "Best language model in the {} ranking", "lead the {} ranking"),
    (ECONOMICS, "Largest exporter of {} province", "be the largest exporter of {} province"),
)
_YES_NO: Final = (
    (POLITICS, "Will {a} hold a referendum before {when}?"),
    (GEOPOLITICS, "Will {a} and {b} sign a border treaty before {when}?"),
    (TECH, "Will {a} Labs release a new model before {when}?"),
    (ECONOMICS, "Will the {a} central bank cut rates before {when}?"),
    (CULTURE, "Will an album from {a} top the charts before {when}?"),
    (WEATHER, "Will {a} see snow before {when}?"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """Category, and words for one event."""

    category: Category
    title: str
    slug: str
    description: str


def slug_of(text: str) -> str:
    """Words as the venue writes them in an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def day(ms: int) -> str:
    """The day in New York: "November 30"."""
    local = eastern(ms)
    return f"{local:%B} {local.day}"


def day_slug(ms: int) -> str:
    """The same with its year, for a slug: "november-30-2026"."""
    return f"{slug_of(day(ms))}-{eastern(ms).year}"


def clock(ms: int) -> str:
    """The time of day in New York: "5:20AM"."""
    local = eastern(ms)
    return f"{local.hour % 12 or 12}:{local:%M%p}"


def eastern(ms: int) -> datetime:
    """Unix milliseconds on New York's wall."""
    return datetime.fromtimestamp(ms // 1000, UTC).astimezone(NEW_YORK)


def contest(random: Random) -> tuple[Told, str]:
    """An event of which one outcome wins, and what one does to win it ("win the Arden Cup")."""
    category, title, deed = random.choice(_CONTESTS)
    place = random.choice(CITIES)
    told = title.format(place)
    return (
        Told(
            category,
            told,
            slug_of(told),
            f"{told}. A market resolves to Yes if the named one does win it, all others to No.",
        ),
        deed.format(place),
    )


def yes_or_no(random: Random, ends_ms: int) -> Told:
    """A question that stands alone."""
    category, question = random.choice(_YES_NO)
    first, second = random.sample(CITIES, 2)
    when = f"{day(ends_ms)}, {eastern(ends_ms).year}"
    title = question.format(a=first, b=second, when=when)
    return Told(category, title, slug_of(title.removesuffix("?")), f"Resolves to Yes if so by {when}, ET.")


def match(random: Random, ends_ms: int) -> Told:
    """A game that is over soon."""
    first, second = random.sample(CITIES, 2)
    title = f"Will {first} beat {second} in the game that ends at {clock(ends_ms)} ET on {day(ends_ms)}?"
    return Told(
        SPORTS,
        title,
        slug_of(f"{first} {second} {day_slug(ends_ms)} {clock(ends_ms)}"),
        f"Resolves to Yes if {first} has scored more when the game ends.",
    )
