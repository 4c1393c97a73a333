"""Frames: as they are stored, and whole on every screen."""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from consumers.dashboard.choices import PAGES, PageName
from consumers.dashboard.markets import MarketLine
from consumers.dashboard.names import short_name
from consumers.dashboard.pages import figures
from consumers.dashboard.pages.books import columns
from consumers.dashboard.pages.cells import widths_of
from consumers.dashboard.pages.frame import Frame, frame, listed
from consumers.dashboard.pages.glyphs import ASCII, UNICODE, glyphs_for, sparkline
from consumers.dashboard.picture import paper_size, svg
from consumers.dashboard.plain import cells, cut_middle, fit, loose_cells, plain, shorten
from consumers.dashboard.reading import EngineWord, Wish
from consumers.dashboard.state import State
from consumers.dashboard.ui import Place, Ui, settled
from tests.dashboard_screens import FOLDER, screens, views
from tests.dashboard_world import (
    NOW_MS,
    ODD_QUESTIONS,
    busy_state,
    group,
    lines,
    look,
    opportunity,
    parsed,
    reading,
)


@cache
def shared_state() -> State:
    return busy_state()


def drawn() -> Iterator[tuple[str, Frame, int]]:
    return screens()


def test_screens_are_as_stored() -> None:
    made = {name: svg(one, width, name) for name, one, width in drawn()}
    stored = {path.stem: path.read_text("utf-8") for path in FOLDER.glob("*.svg")}
    different = sorted(name for name in made.keys() | stored.keys() if made.get(name) != stored.get(name))
    assert not different, "look at them, then: python -m tests.dashboard_screens"


def every_view() -> list[Ui]:
    state = shared_state()
    pages = [Ui(page=page) for page in PAGES]
    return [
        *pages,
        *views(state).values(),
        Ui(typing=True, sought="x" * 60),
        Ui(paused=True),
        Ui(opened="0xgone"),
    ]


@settings(deadline=None, max_examples=15)
@given(st.integers(80, 300), st.integers(24, 80), st.booleans())
def test_every_page_fills_every_screen_exactly(width: int, height: int, ascii_only: bool) -> None:
    state = shared_state()
    for ui in every_view():
        made = frame(state, ui, look(width, height, ascii_only=ascii_only))
        assert len(made.lines) == height
        for one in made.lines:
            assert sum(segment.cell_length for segment in one) == width, ("".join(s.text for s in one), ui)
        if ascii_only:
            outside = {letter for one in made.lines for s in one for letter in s.text if not letter.isascii()}
            questions = {letter for question in ODD_QUESTIONS for letter in question}
            assert outside <= questions | {"\u200e"}


def test_no_control_character_ever_reaches_the_screen() -> None:
    state = shared_state()
    for ui in every_view():
        text = frame(state, ui, look(200, 60)).text
        assert all(letter.isprintable() or letter in "\n\u200e" for letter in text)


@pytest.mark.parametrize("size", [(79, 24), (80, 23), (20, 5), (1, 1)])
def test_a_screen_that_is_too_small_says_what_is_needed(size: tuple[int, int]) -> None:
    made = frame(shared_state(), Ui(), look(*size))
    assert len(made.lines) == size[1]
    if size[0] >= 40:
        assert "80 x 24 are needed" in made.text
        assert f"it is {size[0]} x {size[1]}" in made.text


def test_nothing_jumps_when_numbers_change() -> None:
    def heads(state: State) -> list[str]:
        return frame(state, Ui(), look()).text.splitlines()[:6]

    state = busy_state()
    before = heads(state)
    vitals = state.vitals
    vitals.updates_per_s, vitals.p50_ms, vitals.p99_ms, vitals.live = 98_765.4, 12.34, 1_310.0, 9_999
    vitals.gaps_last_minute = 123
    after = heads(state)
    for word in ("updates/s", "latency p50", "p99", "gaps in", "stale", "quarantined"):
        (was,) = {line.index(word) for line in before if word in line}
        (now,) = {line.index(word) for line in after if word in line}
        assert was == now, word


def test_what_is_not_vouched_for_does_not_look_fresh() -> None:
    state = busy_state()
    styles = {str(s.style) for one in frame(state, Ui(), look()).lines[5:17] for s in one}
    assert any("green" in style for style in styles)
    state.lost("Redis does not answer", NOW_MS)
    pages: tuple[tuple[PageName, int], ...] = (("books", 17), ("opportunities", 8), ("groups", 9))
    for page, until in pages:
        made = frame(state, Ui(page=page), look()).lines[5:until]
        styles = {str(segment.style) for one in made for segment in one if segment.text.strip()}
        assert styles == {"dim"}, page


def test_what_a_silent_engine_found_does_not_look_fresh() -> None:
    state, ui = busy_state(), Ui(page="opportunities")

    def shown() -> set[str]:
        rows = frame(state, ui, look()).lines[5:8]
        return {str(segment.style) for one in rows for segment in one if segment.text.strip()}

    assert "bold green" in shown()
    state.take(reading(engine=EngineWord("arb", NOW_MS - 12_000)), lines())
    assert shown() == {"dim"}
    assert "the engine was last heard of 12s ago: what is open may be over" in frame(state, ui, look()).text
    state.take(reading(engine=EngineWord("arb", 0)), lines())
    assert "no engine is running: what is open" in frame(state, ui, look()).text
    state.take(
        reading(
            found_anew=True,
            found=[opportunity("close", NOW_MS - 65_000, "b9", duration_ms="400")],
            engine=EngineWord("arb", NOW_MS - 7_000),
        ),
        lines(),
    )
    text = frame(state, ui, look()).text
    assert "the engine was last heard of 7s ago; start one: bookstream arbitrage" in text
    assert look().clock(NOW_MS - 65_000) in text, "when it closed"


def test_nine_legs_are_told_on_the_least_screen() -> None:
    state = busy_state()
    leg = {"token": "1", "market": next(iter(lines())), "outcome": 0, "price": "0.1", "size": "5"}
    legs = orjson.dumps([leg | {"price": f"0.1{at}"} for at in range(9)]).decode()
    state.take(reading(found=[opportunity("open", NOW_MS, "b9", legs=legs)]), lines())
    text = frame(state, Ui(page="opportunities"), look(80, 24)).text
    assert all(f"x 0.1{at} " in text for at in range(9))
    assert "more" not in text


def test_groups_fit_their_screen_with_their_dead_letters() -> None:
    state = State()
    state.take(reading(groups=group("many", 40, dead=9)), lines())
    ui = Ui(page="groups", places={"groups": Place("many/host-9")})
    for width, height in ((80, 24), (120, 40)):
        made = frame(state, settled(ui, listed(state, ui, look(width, height))), look(width, height))
        assert len(made.lines) == height
        assert "no price in row 4" in made.text
        assert "host-9" in made.text
    state.take(reading(groups=group("gone", 0, lag=5)), lines())
    assert "none is heard" in frame(state, ui, look()).text


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_what_it_is_sorted_by_is_shown(width: int) -> None:
    for sort, title in (("volume", "vol 24h"), ("age", "age"), ("spread", "spread"), ("name", "market")):
        head = frame(shared_state(), Ui(sort=sort), look(width)).text.splitlines()[4]
        assert f"{title}{'▼' if sort == 'volume' else '▲'}" in head
        head = frame(shared_state(), Ui(sort=sort, backwards=True), look(width)).text.splitlines()[4]
        assert f"{title}{'▲' if sort == 'volume' else '▼'}" in head


def test_inside_a_gap_no_price_is_shown() -> None:
    text = frame(shared_state(), Ui(), look()).text
    (line,) = (one for one in text.splitlines() if "stale" in one and "gap:" in one)
    assert " x " not in line


def test_colours_are_left_out_where_they_are_not_wanted() -> None:
    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, width=120, height=40, no_color=True, color_system="truecolor"
    )
    console.print(frame(shared_state(), Ui(places={"books": Place(shared_state().order[1])}), look()))
    assert "\x1b[3" not in out.getvalue()
    assert "▌" in out.getvalue(), "the marked row is told by a sign"


def test_pages_without_data_say_so() -> None:
    state = State()
    assert "nothing was read yet" in frame(state, Ui(), look()).text
    state.take(reading(workers=()), {})
    assert "no worker is here" in frame(state, Ui(), look()).text
    assert "bookstream worker" in frame(state, Ui(), look()).text
    assert "looking for opportunities" in frame(state, Ui(page="opportunities"), look()).text
    state.take(reading(engine=EngineWord()), {})
    assert "no engine is running" in frame(state, Ui(page="opportunities"), look()).text
    state.take(reading(engine=EngineWord("arb", NOW_MS - 2_000)), {})
    assert "the engine runs; it has found nothing" in frame(state, Ui(page="opportunities"), look()).text
    state.take(reading(groups=[]), {})
    assert "no groups" in frame(state, Ui(page="groups"), look()).text
    assert "no worker is here" in frame(state, Ui(page="connections"), look()).text


def test_what_an_older_worker_does_not_tell_is_a_dash() -> None:
    state = State()
    old = {"name": "c0", "state": "live", "tokens": 2, "live": 2}
    state.take(reading(workers=[parsed(connections=[old], tokens_stale=..., tokens_quarantined=...)]), {})
    text = frame(state, Ui(page="connections"), look()).text
    assert "- stale" in text
    (line,) = (one for one in text.splitlines() if " c0 " in one)
    assert line.split().count("-") >= 5


def test_rows_far_down_a_long_list() -> None:
    state = busy_state()
    state.story = State().story
    for number in range(400):
        state.story.note(f"note {number}", NOW_MS - 1_000_000 + number)
    ui = Ui(page="log", places={"log": Place("", 390)})
    text = frame(state, ui, look()).text
    assert "note 9" in text
    assert "391-400 of 400" in text
    assert listed(state, ui, look()).height == 34


@pytest.mark.parametrize("question", ODD_QUESTIONS)
def test_any_script_in_its_cells(question: str) -> None:
    clean = plain(question)
    assert plain(clean) == clean
    assert all(letter.isprintable() for letter in clean)
    for width in range(1, 60):
        for made in (fit(clean, width), fit(clean, width, True)):
            assert cell_len(made) == width
        assert cell_len(shorten(clean, width)) <= max(width, 12) or width < 12


@given(st.text(max_size=40), st.integers(1, 50))
def test_any_text_in_its_cells(text: str, width: int) -> None:
    clean = plain(text)
    assert cell_len(fit(clean, width)) == width
    if width >= 12:
        assert cell_len(shorten(clean, width)) <= width


def test_right_to_left_words_do_not_turn_the_numbers_behind_them() -> None:
    assert fit(plain("مرحبا"), 10).endswith(" ") or "\u200e" in fit(plain("مرحبا"), 10)
    assert "\u200e" in fit(plain("مرحبا"), 10)
    assert "\u200e" not in fit("hello", 10)


def test_questions_keep_what_tells_them_apart() -> None:
    first = shorten("Will the price of Bitcoin be above $95,000 on November 22?", 32)
    other = shorten("Will the price of Bitcoin be above $96,000 on November 22?", 32)
    assert first != other
    assert shorten("Will it rain?", 32) == "Will it rain?"


def strikes() -> list[MarketLine]:
    plain_line, made = next(iter(lines().values())), []
    for day in (23, 24):
        for asset in ("Bitcoin", "Ethereum"):
            for strike in range(78_000, 126_000, 2_000):
                event = f"{asset} above ___ on November {day}?"
                question = f"Will the price of {asset} be above ${strike:,} on November {day}?"
                made.append(replace(plain_line, question=question, title=f"{strike:,}", event=event))
                low, high = f"{strike:,}", f"{strike + 2_000:,}"
                event = f"{asset} price on November {day}?"
                question = f"Will the price of {asset} be between ${low} and ${high} on November {day}?"
                made.append(replace(plain_line, question=question, title=f"{low}-{high}", event=event))
    return made


@pytest.mark.parametrize("width", [80, 100, 120, 160, 200])
def test_no_two_strikes_of_a_family_look_the_same(width: int) -> None:
    room = widths_of(columns(width, "activity"), width - 2)[0]
    made = [short_name(one, room) for one in strikes()]
    assert len(set(made)) == len(made)
    for one, name in zip(strikes(), made, strict=True):
        assert cells(name) <= room
        assert all(bound in name for bound in one.title.split("-")), name


def test_names() -> None:
    above, between = strikes()[:2]
    assert short_name(above, 40) == "Bitcoin above 78,000 on November 23"
    assert short_name(above, 27) == "78,000 · Bitcoi…November 23"
    assert short_name(between, 80) == between.question
    assert short_name(between, 46) == "78,000-80,000 · Bitcoin price on November 23"
    assert short_name(between, 18) == "78,000-80,000"
    lone = replace(above, title=above.question)
    assert short_name(lone, 40) == shorten(above.question, 40)


@pytest.mark.parametrize("live", [0, 400, 98_765])
@pytest.mark.parametrize("bad", [0, 7, 12_340])
@pytest.mark.parametrize("unlisted", [0, 4_321])
def test_the_header_cuts_no_word_off_its_number(live: int, bad: int, unlisted: int) -> None:
    state = busy_state()
    vitals = state.vitals
    vitals.live, vitals.stale, vitals.quarantined, vitals.waiting = live, bad, bad // 2, bad
    vitals.unlisted = unlisted
    vitals.connections = Counter(live=38, connecting=9, subscribed=12, closed=bad % 100)
    vitals.workers = Counter(running=9, standby=3, silent=2, replaced=1)
    vitals.updates_per_s, vitals.gaps_last_minute, vitals.pending = 98_765, 12_345, 99_999
    for width in range(80, 201):
        for text in frame(state, Ui(), look(width)).text.splitlines()[1:3]:
            assert "…" not in text, (width, text)
            if bad:
                for number, words in ((bad, "stale"), (bad // 2, "quar"), (bad, "wait")):
                    assert f"{figures.count(number)} {words}" in text or "tok" not in text, (width, text)


def test_the_way_out_is_cut_whole_or_not_at_all() -> None:
    state = State()
    state.take(reading(workers=[parsed(tokens_live=0)]), {})
    todo = "is the venue reachable? 2 shows the connections"
    for width in range(80, 140):
        head = frame(state, Ui(), look(width)).text.splitlines()[0]
        assert todo in head or "is the" not in head
    assert todo in head


def test_long_notes_are_wrapped_and_leave_after_half_a_minute() -> None:
    state = busy_state()
    told = "the worker, pid 4711, died (signal 9); it is started again in 0.5 s; "
    told += "its log is /home/somebody/.local/share/bookstream/log/worker.log"
    state.story.note(told, NOW_MS)
    made = frame(state, Ui(), look(80, 24))
    assert len(made.lines) == 24
    assert " ".join(" ".join(made.text.splitlines()[-3:-1]).split()).endswith(told)
    assert "died" not in frame(state, Ui(), look(80, 24, now_ms=NOW_MS + 31_000)).text
    for number in range(5):
        state.story.note(f"{number}: " + 40 * "long ", NOW_MS + number)
    text = frame(state, Ui(), look(80, 24)).text
    assert "4: long" in text
    assert len(text.splitlines()) == 24


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (figures.count(None), "-"),
        (figures.count(98_765), "98,765"),
        (figures.count(123_456), "123k"),
        (figures.count(1_234_567), "1.23M"),
        (figures.size("0.004"), "<1"),
        (figures.size("0"), "0"),
        (figures.size("1234.56"), "1,235"),
        (figures.size("12816.02"), "12.8k"),
        (figures.size("999999"), "1.0M"),
        (figures.size("x"), "?"),
        (figures.cents("47.79703"), "47.79"),
        (figures.cents("1234.5"), "1,234.50"),
        (figures.cents("0.00999"), "<0.01"),
        (figures.cents("0"), "0.00"),
        (figures.cents("x"), "?"),
        (figures.cents(""), ""),
        (figures.exact("1234.5"), "  1234.5     "),
        (figures.exact("30"), "    30       "),
        (figures.per_s(0), "0"),
        (figures.per_s(0.26), "0.3"),
        (figures.millis(0.523), "0.52"),
        (figures.millis(1310), "1,310"),
        (figures.memory(345_600_000), "346 MB"),
        (figures.memory(1_073_741_824), "1.07 GB"),
        (figures.percent(0, 0), "-"),
        (figures.percent(9_999, 10_000), "99.9%"),
        (figures.percent(10, 10), "100%"),
        (figures.span(119_999), "119s"),
        (figures.span(7_200_000), "2h"),
        (figures.dollars(12_345), "$12.3k"),
    ],
)
def test_figures(made: str, text: str) -> None:
    assert made == text


@given(st.floats(0, 1e14))
def test_figures_keep_their_width(number: float) -> None:
    assert len(figures.count(number)) <= 6
    assert len(figures.per_s(number)) <= 6
    assert len(figures.size(f"{number:.4f}")) <= 5


def test_sparklines() -> None:
    assert sparkline([], 4, UNICODE) == "    "
    assert sparkline([0, 1, 2, 4], 6, UNICODE) == "  ▁▃▅█"
    assert sparkline([5, 5], 2, UNICODE, from_zero=False) == "▄▄"
    assert sparkline([1, 2, 3], 2, ASCII).isascii()
    assert glyphs_for("utf-8") is glyphs_for("UTF8") is UNICODE
    assert glyphs_for("ascii") is glyphs_for("latin-1") is ASCII
    assert glyphs_for("utf-8", "C") is glyphs_for("utf-8", "POSIX") is ASCII, "Python writes UTF-8 there"
    assert glyphs_for("utf-8", "C.UTF-8") is glyphs_for("utf-8", "de_DE.utf8") is UNICODE


def test_paper() -> None:
    assert paper_size({"COLUMNS": "100", "LINES": "30"}) == (100, 30)
    assert paper_size({"COLUMNS": "x", "LINES": "-3"})[0] > 0
    assert svg(frame(shared_state(), Ui(), look()), 120, "t") == svg(
        frame(shared_state(), Ui(), look()), 120, "t"
    )


def test_that_the_data_has_stopped_is_told_over_a_held_picture() -> None:
    state = busy_state()
    held = state.held()
    state.lost("Redis does not answer", NOW_MS)
    text = frame(held, Ui(paused=True), replace(look(), wall_ms=NOW_MS + 9_000), state).text
    assert text.startswith(" PAUSED since 23:13:20 (9s)  DOWN  Redis does not answer")


def test_a_held_picture_stays_whole_and_says_what_it_has_nothing_of() -> None:
    state, ui = busy_state(), Ui(paused=True)
    state.read = Wish(follow=tuple(state.order))
    held = state.held()
    before = frame(held, ui, look()).text.splitlines()
    later = parsed(now_ms=NOW_MS + 12_000, counters={"updates": 10**6}, tokens_live=0)
    state.take_vitals(reading(NOW_MS + 12_000, workers=[later]))
    state.story.note("new", NOW_MS + 12_000)
    made = frame(held, ui, look(wall_ms=NOW_MS + 12_400), state)
    assert made.text.splitlines()[1:] == before[1:], "figures, ages and marks"
    assert made.text.startswith(" PAUSED since 23:13:20 (12s)  DOWN  no token is live"), made.text[:80]
    assert "LIVE" not in frame(held, ui, look(wall_ms=NOW_MS + 12_400)).text.splitlines()[0]
    styles = {str(s.style) for one in made.lines[5:17] for s in one}
    assert any("green" in style for style in styles), "as fresh as when it was held"
    opened = state.order[3]
    del held.views[opened]
    text = frame(held, ui, look()).text
    assert len(re.findall(r"paused: +not read", text)) == text.count("paused:") == 1
    for other in (
        Ui(paused=True, page="opportunities"),
        Ui(paused=True, page="groups"),
        Ui(paused=True, opened=opened),
        Ui(paused=True, opened=state.order[4]),
    ):
        held.views[state.order[4]].entries.clear()
        text = frame(held, other, look()).text
        assert "paused: not read; p goes on" in text, other
        assert "looking for" not in text
        assert "no entries yet" not in text


@pytest.mark.parametrize("width", [80, 120])
def test_how_old_the_last_picture_is_comes_before_a_long_reason(width: int) -> None:
    state = busy_state()
    state.lost("Redis does not answer (" + "Connection closed by server. " * 9 + ")", NOW_MS)
    text = frame(state, Ui(), look(width, wall_ms=NOW_MS + 75_000)).text
    assert text.startswith(" DOWN  what is shown is 75 s old: Redis does not answer"), text[:100]


HINDI = "क्या बिटकॉइन हिन्दी में बढ़ेगा?"
TAMIL = "தமிழ் நாடு வெல்லுமா?"


def test_no_word_loses_its_vowels() -> None:
    assert plain(HINDI) == HINDI
    assert plain(TAMIL) == TAMIL
    assert plain("Cafe\u0301") == "Caf\u00e9"
    assert cell_len(plain("\u1100\u1161")) == 2


@pytest.mark.parametrize("text", [HINDI, TAMIL])
def test_what_is_cut_fits_on_terminals_that_give_marks_a_cell_and_loses_no_mark(text: str) -> None:
    for width in range(1, 40):
        made = fit(text, width)
        assert cell_len(made) == width
        assert len(made) - len(made.rstrip()) >= loose_cells(made), "what it may take more is free behind it"
        kept = made.rstrip().removesuffix("…")
        assert text.startswith(kept)
        cluster_ends = len(kept) == len(text) or unicodedata.category(text[len(kept)])[0] != "M"
        assert cluster_ends, made
        middle = cut_middle(text, max(width, 12))
        assert cells(middle) <= max(width, 12)
        _, _, tail = middle.partition("…")
        assert not tail or unicodedata.category(tail[0])[0] != "M", middle


_BEFORE = "\0"


class Terminal:
    """One row of cells that gives spacing marks as many cells as it is told, as terminals do."""

    def __init__(self, width: int, mark_cells: int) -> None:
        self._cells = [_BEFORE] * width
        self._mark_cells = mark_cells

    def shown(self, line: list[Segment]) -> list[str]:
        at = 0
        for segment in line:
            if segment.control:
                ((_, at),) = segment.control  # type: ignore[misc]
                continue
            for letter in segment.text:
                width = self._mark_cells if unicodedata.category(letter) == "Mc" else cell_len(letter)
                for cell in range(at, at + width):
                    assert cell < len(self._cells), "it would wrap"
                    self._cells[cell] = letter
                at += width
        return self._cells


@pytest.mark.parametrize("mark_cells", [0, 1])
@pytest.mark.parametrize("width", [80, 120, 200])
def test_columns_stand_where_they_belong_on_every_terminal(width: int, mark_cells: int) -> None:
    """The numbers behind an Indic question, and nothing of the picture before is left."""
    state = busy_state()
    ids = list(state.order)
    for at, text in enumerate((HINDI, TAMIL, HINDI * 4)):
        state.markets = {**state.markets, ids[at]: replace(state.markets[ids[at]], question=text, title=text)}
    made = frame(state, Ui(), look(width))
    for at in range(3):
        flat = made.lines[5 + at]
        plainly = [letter for segment in flat for letter in segment.text]
        placed = Terminal(width, mark_cells).shown(made.on_terminal().lines[5 + at])
        assert _BEFORE not in placed[2:], "a cell of the picture before is left"
        # From the outcome on all is ASCII or one cell wide: equal from the right edge.
        behind = sum(segment.cell_length for segment in flat[3:])
        assert placed[-behind:] == plainly[-behind:]
    assert "\x1b" not in made.text


def test_the_price_of_a_market_stands_between_its_low_and_its_high() -> None:
    state = busy_state()
    text = frame(state, Ui(opened=next(iter(state.markets))), look(80, 24)).text
    (drawn,) = (one for one in text.splitlines() if one.startswith(" mid "))
    assert [drawn.split()[2], *drawn.split()[-2:]] == ["0.41", "0.52", "0.5"]
