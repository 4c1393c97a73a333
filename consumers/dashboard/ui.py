"""What the user looks at, and how keys change it (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from consumers.dashboard.choices import PAGES, SORTS, PageName, Sort

_LONGEST_FILTER: Final = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Where the user is in a list: the key of the marked row (empty: the first), and the first row that is shown."""

    key: str = ""
    top: int = 0


@dataclass(frozen=True, slots=True)
class Ui:
    """What the user looks at.

    Attributes:
        page: one of the five.
        opened: condition id of the market whose page lies over the list; empty: none.
        help: whether the help lies over everything.
        sort, backwards: of the books.
        sought: the filter of the books.
        typing: whether keys go into the filter.
        paused: whether the picture is held.
        places: by page, where the user is.
        scroll: of the market's page: entries further back.
        quit: whether to end.
        redraw: how often a full redraw was asked for.
    """

    page: PageName = "books"
    opened: str = ""
    help: bool = False
    sort: Sort = "activity"
    backwards: bool = False
    sought: str = ""
    typing: bool = False
    paused: bool = False
    places: Mapping[PageName, Place] = field(default_factory=dict)
    scroll: int = 0
    quit: bool = False
    redraw: int = 0

    @property
    def place(self) -> Place:
        """On the page of now."""
        return self.places.get(self.page, Place())

    def at(self, place: Place) -> Ui:
        """The same, with the user at another place of the page."""
        return self if place == self.place else replace(self, places={**self.places, self.page: place})


@dataclass(frozen=True, slots=True)
class Listed:
    """What is on the page of now.

    Attributes:
        keys: of all its rows, in order.
        height: how many of them fit.
        scrollable: on a market's page, how many entries there are beyond those that fit.
    """

    keys: Sequence[str] = ()
    height: int = 1
    scrollable: int = 0


def settled(ui: Ui, listed: Listed) -> Ui:
    """The marked row is there and on the screen, whatever happened to the list."""
    keys, height = listed.keys, max(listed.height, 1)
    place = ui.place
    if not keys:
        return ui.at(Place())
    at = keys.index(place.key) if place.key in keys else min(place.top, len(keys) - 1)
    top = min(max(place.top, at - height + 1), at, max(len(keys) - height, 0))
    return ui.at(Place(keys[at] if place.key else "", top))


def press(ui: Ui, key: str, listed: Listed) -> Ui:
    """The next state after a key, see `decode`: "j", "enter", "page-down"."""
    if key == "ctrl-c":
        return replace(ui, quit=True)
    if key == "ctrl-l":
        return replace(ui, redraw=ui.redraw + 1)
    if ui.typing:
        return _typed(ui, key)
    if ui.help:
        return replace(ui, quit=True) if key == "q" else replace(ui, help=False)
    if key in _ACTIONS:
        return _ACTIONS[key](ui)
    if key in ("1", "2", "3", "4", "5"):
        return replace(ui, page=PAGES[int(key) - 1], opened="", scroll=0)
    if ui.opened:
        return _over_market(ui, key, listed)
    if key in ("enter", "right", "l") and ui.page == "books":
        return _open(ui, listed)
    return _moved(ui, key, listed)


def _typed(ui: Ui, key: str) -> Ui:
    if key == "esc":
        return _sought(replace(ui, typing=False), "")
    if key in ("enter", "tab", "up", "down"):
        return replace(ui, typing=False)
    if key in ("backspace", "delete"):
        return _sought(ui, ui.sought[:-1]) if ui.sought else replace(ui, typing=False)
    if key == "ctrl-u":
        return _sought(ui, "")
    if key == "ctrl-w":
        return _sought(ui, ui.sought.rstrip().rpartition(" ")[0])
    letter = " " if key == "space" else key
    if len(letter) == 1 and len(ui.sought) < _LONGEST_FILTER:
        return _sought(ui, ui.sought + letter)
    return ui


def _sought(ui: Ui, text: str) -> Ui:
    return replace(ui, sought=text, places={**ui.places, "books": Place()})


def _open(ui: Ui, listed: Listed) -> Ui:
    if not listed.keys:
        return ui
    key = (
        ui.place.key if ui.place.key in listed.keys else listed.keys[min(ui.place.top, len(listed.keys) - 1)]
    )
    return replace(ui.at(replace(ui.place, key=key)), opened=key, scroll=0)


def _over_market(ui: Ui, key: str, listed: Listed) -> Ui:
    if key in ("left", "h", "backspace"):
        return replace(ui, opened="", scroll=0)
    steps = {**_STEPS, "page-up": -listed.height, "page-down": listed.height, "space": listed.height}
    if key in ("home", "g"):
        return replace(ui, scroll=0)
    if key in ("end", "G"):
        return replace(ui, scroll=listed.scrollable)
    if key in steps:
        return replace(ui, scroll=min(max(ui.scroll + steps[key], 0), listed.scrollable))
    return ui


def _moved(ui: Ui, key: str, listed: Listed) -> Ui:
    keys, height = listed.keys, max(listed.height, 1)
    if not keys:
        return ui
    at = keys.index(ui.place.key) if ui.place.key in keys else ui.place.top
    page = max(height - 1, 1)
    steps = {
        **_STEPS,
        "page-up": -page,
        "page-down": page,
        "space": page,
        "b": -page,
        "half-down": height // 2,
        "home": -len(keys),
        "g": -len(keys),
        "end": len(keys),
        "G": len(keys),
    }
    if key not in steps:
        return ui
    if not ui.place.key and steps[key] > 0 and key in _STEPS:
        # Nothing was marked yet: the first step marks the first row.
        return ui.at(Place(keys[min(at, len(keys) - 1)], ui.place.top))
    to = min(max(at + steps[key], 0), len(keys) - 1)
    return settled(ui.at(Place(keys[to], ui.place.top)), listed)


def _sorted(ui: Ui, *, turn: bool) -> Ui:
    if ui.page != "books" or ui.opened:
        return ui
    places = {**ui.places, "books": Place()}
    if turn:
        return replace(ui, backwards=not ui.backwards, places=places)
    sort = SORTS[(SORTS.index(ui.sort) + 1) % len(SORTS)]
    return replace(ui, sort=sort, backwards=False, places=places)


def _turned(ui: Ui, step: int) -> Ui:
    page = PAGES[(PAGES.index(ui.page) + step) % len(PAGES)]
    return replace(ui, page=page, opened="", scroll=0)


def _escaped(ui: Ui) -> Ui:
    if ui.opened:
        return replace(ui, opened="", scroll=0)
    if ui.sought and ui.page == "books":
        return _sought(ui, "")
    return ui.at(Place())


_STEPS: Final = {"up": -1, "k": -1, "down": 1, "j": 1}
_ACTIONS: Final[Mapping[str, Callable[[Ui], Ui]]] = {
    "q": lambda ui: replace(ui, quit=True),
    "?": lambda ui: replace(ui, help=True),
    "p": lambda ui: replace(ui, paused=not ui.paused),
    "/": lambda ui: replace(ui, page="books", opened="", scroll=0, typing=True),
    "s": lambda ui: _sorted(ui, turn=False),
    "S": lambda ui: _sorted(ui, turn=True),
    "tab": lambda ui: _turned(ui, 1),
    "back-tab": lambda ui: _turned(ui, -1),
    "esc": _escaped,
}
