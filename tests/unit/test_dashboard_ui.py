"""From keys to what the user looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.dashboard.choices import PAGES, SORTS
from consumers.dashboard.ui import Listed, Place, Ui, press, settled

ROWS = [f"row{number}" for number in range(100)]
LISTED = Listed(ROWS, 10)


def after(*keys: str, ui: Ui | None = None, listed: Listed = LISTED) -> Ui:
    ui = ui or Ui()
    for key in keys:
        ui = press(ui, key, listed)
    return ui


def test_numbers_and_tab_turn_pages() -> None:
    assert [after(str(number)).page for number in range(1, 6)] == list(PAGES)
    assert after("tab").page == PAGES[1]
    assert after("back-tab").page == PAGES[-1]
    assert after(*["tab"] * 5).page == PAGES[0]


def test_the_marked_row_moves_and_takes_the_screen_along() -> None:
    assert after("down").place == Place("row0", 0)
    assert after("j", "j", "k").place == Place("row0", 0)
    assert after(*["down"] * 11).place == Place("row10", 1)
    assert after("G").place == Place("row99", 90)
    assert after("G", "g").place == Place("row0", 0)
    assert after("page-down", "page-down").place == Place("row18", 9)
    assert after("down", "esc").place == Place()


def test_a_row_that_moves_in_the_list_stays_marked() -> None:
    ui = after("down", "down", "down")
    moved = settled(ui, Listed([*ROWS[3:50], *ROWS[:3], *ROWS[50:]], 10))
    assert moved.place == Place("row2", 40)
    gone = settled(ui, Listed(ROWS[50:], 10))
    assert gone.place.key in ROWS[50:]


def test_the_filter_is_typed_kept_and_cleared() -> None:
    typing = after("/", "b", "space", "é", "q", "1")
    assert (typing.typing, typing.sought, typing.quit) == (True, "b éq1", False)
    assert after("backspace", "backspace", ui=typing).sought == "b é"
    kept = after("enter", ui=typing)
    assert (kept.typing, kept.sought) == (False, "b éq1")
    assert after("esc", ui=kept).sought == ""
    assert after("esc", ui=typing) == Ui(places={"books": Place()})
    assert after("ctrl-w", ui=typing).sought == "b"
    assert not after("/", "backspace").typing
    assert after("3", "/").page == "books"


def test_a_filter_does_not_grow_for_ever() -> None:
    assert len(after("/", *["x"] * 500).sought) <= 60


def test_a_market_opens_and_closes() -> None:
    assert after("enter").opened == "row0"
    opened = after("down", "down", "enter")
    assert opened.opened == "row1"
    assert after("esc", ui=opened).opened == ""
    assert after("esc", ui=opened).place.key == "row1", "back where it was"
    assert after("2", ui=opened).opened == ""
    assert after("enter", listed=Listed()).opened == ""
    assert after("2", "enter").opened == ""


def test_the_entries_of_a_market_scroll() -> None:
    opened = after("enter")
    entries = Listed(height=20, scrollable=35)
    assert after("down", "down", "up", ui=opened, listed=entries).scroll == 1
    assert after("page-down", "page-down", "page-down", ui=opened, listed=entries).scroll == 35
    assert after("G", "g", ui=opened, listed=entries).scroll == 0


def test_sorting_goes_round_and_only_where_there_is_something_to_sort() -> None:
    seen: list[str] = []
    ui = Ui()
    for _ in SORTS:
        seen.append(ui.sort)
        ui = press(ui, "s", LISTED)
    assert (seen, ui.sort) == (list(SORTS), SORTS[0])
    assert after("S") == Ui(backwards=True, places={"books": Place()})
    assert not after("S", "S").backwards
    assert not after("S", "s").backwards
    assert after("2", "s").sort == SORTS[0]


def test_help_pause_and_quit() -> None:
    assert after("?").help
    assert after("?", "x") == Ui()
    assert after("p").paused
    assert not after("p", "p").paused
    assert after("q").quit
    assert after("?", "q").quit
    assert after("/", "q").typing
    assert after("/", "ctrl-c").quit


NAMED = (
    "up down home end page-up page-down half-down enter esc tab back-tab space backspace left right ctrl-u"
)
KEYS = st.sampled_from([*"jkgG12345qpsS?/xéb", *NAMED.split(), "ctrl-w", "ctrl-l"])


@given(st.lists(st.tuples(KEYS, st.integers(0, 30), st.integers(0, 12)), max_size=40))
def test_whatever_is_pressed_the_place_is_in_the_list(steps: Iterable[tuple[str, int, int]]) -> None:
    ui = Ui()
    for key, rows, height in steps:
        keys: Sequence[str] = ROWS[:rows]
        listed = Listed(keys, height, scrollable=rows)
        ui = settled(press(ui, key, listed), listed)
        assert 0 <= ui.place.top <= max(rows - 1, 0)
        assert ui.place.key == "" or ui.place.key in keys
        assert 0 <= ui.scroll <= 30


@pytest.mark.parametrize("height", [0, 1, 5])
def test_no_rows_is_no_place(height: int) -> None:
    assert settled(after("G"), Listed((), height)).place == Place()
