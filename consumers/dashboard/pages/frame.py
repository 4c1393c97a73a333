"""One frame: header, page and footer in exactly the cells of the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from consumers.dashboard.pages.books import TITLE_LINES as BOOKS_TITLE
from consumers.dashboard.pages.books import books
from consumers.dashboard.pages.cells import NOT_READ, QUIET, Line, Look, centred
from consumers.dashboard.pages.connections import connections
from consumers.dashboard.pages.connections import rows as connection_rows
from consumers.dashboard.pages.footer import footer, notes
from consumers.dashboard.pages.groups import groups
from consumers.dashboard.pages.groups import list_height as group_height
from consumers.dashboard.pages.groups import rows as group_rows
from consumers.dashboard.pages.header import HEIGHT as HEADER
from consumers.dashboard.pages.header import header
from consumers.dashboard.pages.help import help_page
from consumers.dashboard.pages.log import key_of, log
from consumers.dashboard.pages.market import entry_rows, market_page
from consumers.dashboard.pages.opportunities import list_height, opportunities
from consumers.dashboard.pages.opportunities import listed as listed_opportunities
from consumers.dashboard.pages.placing import placed
from consumers.dashboard.state import State
from consumers.dashboard.ui import Listed, Ui

LEAST_WIDTH: Final = 80
LEAST_HEIGHT: Final = 24

_FOOTER: Final = 1


class Frame:
    """Lines that rich writes as they are."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        return self._segments()

    def on_terminal(self) -> Frame:
        """The same for a terminal, in columns whatever it thinks of spacing marks."""
        return Frame([placed(one) for one in self.lines])

    def _segments(self) -> Iterator[Segment]:
        for at, one in enumerate(self.lines):
            if at:
                yield Segment.line()
            yield from one

    @property
    def text(self) -> str:
        """Without styles."""
        return "\n".join("".join(segment.text for segment in one).rstrip() for one in self.lines)


def listed(state: State, ui: Ui, look: Look) -> Listed:
    """What is on the page, for keys that move in it."""
    height = _room(state, look)
    if ui.opened:
        view = state.views.get(ui.opened)
        rows = entry_rows(height)
        entries = len(view.entries) if view is not None else 0
        return Listed(height=rows, scrollable=max(entries - rows, 0))
    if ui.page == "books":
        return Listed(state.order, height - BOOKS_TITLE)
    if ui.page == "connections":
        return Listed([key for key, _, _ in connection_rows(state)], height - 1)
    if ui.page == "opportunities":
        return Listed([key for key, _ in listed_opportunities(state)], list_height(height))
    if ui.page == "groups":
        return Listed([key for key, _, _ in group_rows(state.groups or ())], group_height(state, height))
    return Listed([key_of(one) for one in state.story.lines], height - 1)


def frame(state: State, ui: Ui, look: Look, vitals: State | None = None) -> Frame:
    """The picture.

    Args:
        state: what the page shows.
        ui: which page.
        look: on what.
        vitals: what the word is of, where the picture is held; else it is the same state.
    """
    if look.width < LEAST_WIDTH or look.height < LEAST_HEIGHT:
        return _too_small(look)
    current = vitals or state
    health = current.health(look.wall_ms)
    told = notes(state, look)
    height = _room(state, look)
    lines = [
        *header(state, health, ui, look),
        *_page(state, ui, look, height),
        *told,
        footer(ui, listed(state, ui, look), look),
    ]
    return Frame(lines)


def _room(state: State, look: Look) -> int:
    return max(look.height - HEADER - _FOOTER - len(notes(state, look)), 1)


def _page(state: State, ui: Ui, look: Look, height: int) -> list[Line]:
    if ui.help:
        return help_page(look, height)
    if ui.paused and not _was_read(state, ui):
        return centred([(NOT_READ, QUIET)], look, height)
    if ui.opened:
        return market_page(state, ui, look, height)
    if ui.page == "books":
        return books(state, ui, look, height)
    if ui.page == "connections":
        return connections(state, ui, look, height)
    if ui.page == "opportunities":
        return opportunities(state, ui, look, height)
    if ui.page == "groups":
        return groups(state, ui, look, height)
    return log(state, ui, look, height)


def _was_read(state: State, ui: Ui) -> bool:
    if ui.opened:
        return ui.opened in state.views
    if ui.page == "opportunities":
        return state.read.opportunities
    return state.read.groups or ui.page != "groups"


def _too_small(look: Look) -> Frame:
    said = [
        ("this terminal is too small", "bold"),
        (f"it is {look.width} x {look.height}, {LEAST_WIDTH} x {LEAST_HEIGHT} are needed", ""),
    ]
    return Frame(centred(said, look, max(look.height, 1)))
