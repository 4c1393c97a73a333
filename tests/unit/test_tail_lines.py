"""An entry as a line says what happened, to people and to programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from consumers.tail.lines import Name, human_line, json_line
from consumers.text import age
from marketdata.entries import FIELDS, Entry, EntryId, gap_note

AT = EntryId(1_700_000_000_123, 4)
NOW_US = 1_700_000_001_000_000
NAME = Name("0xabc", "Will it rain?", "will-it-rain", ("Yes", "No"))
TOP = Entry("top", 0, "0.48", "30", "0.52", "25.5", AT.ms, 1_700_000_000_100_000, 3, 17, 0, "")


def line(entry: Entry, name: Name = NAME, now_us: int = NOW_US) -> str:
    return " ".join(human_line(AT, name, entry, now_us).plain.split())


def test_a_top() -> None:
    assert line(TOP) == "22:13:20.123Z Will it rain? Yes top 0.48 x 30 | 0.52 x 25.5 900ms"


def test_an_empty_side_is_said() -> None:
    assert "no bid | 0.52 x 25.5" in line(replace(TOP, bid="", bid_size=""))
    assert "0.48 x 30 | no ask" in line(replace(TOP, ask="", ask_size=""))


def test_a_gap_stands_out() -> None:
    gap = replace(TOP, kind="gap", outcome=None, note=gap_note("stale", 5, "w1"))
    assert "both gap GAP: stale; updates may be missing" in line(gap)
    styled = human_line(AT, NAME, gap, NOW_US)
    assert any("red" in str(span.style) for span in styled.spans)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (replace(TOP, kind="trade", ask="", ask_size=""), "Yes trade sold 30 at 0.48"),
        (replace(TOP, kind="trade", outcome=1, bid="", bid_size=""), "No trade bought 25.5 at 0.52"),
        (replace(TOP, kind="tick", note="0.001"), "tick size 0.001"),
        (replace(TOP, kind="resolved", outcome=None, note="split"), "both resolved resolved: split"),
        (replace(TOP, skipped=7), "(7 updates conflated)"),
    ],
)
def test_the_other_kinds(entry: Entry, said: str) -> None:
    assert said in line(entry)


def test_another_day_is_named() -> None:
    assert line(TOP, now_us=NOW_US + 86_400_000_000).startswith("2023-11-14 22:13:20.123Z")


def test_a_market_without_a_name_is_its_id() -> None:
    assert "0xabc outcome 0 top" in line(TOP, Name("0xabc"))


def test_a_strangers_question_cannot_move_the_cursor() -> None:
    hostile = replace(NAME, question="\x1b[2Jboo\r\n" + "x" * 100)
    plain = human_line(AT, hostile, TOP, NOW_US).plain
    assert plain.isprintable()
    assert len(plain) < 160


def test_json_has_names_and_the_twelve_fields() -> None:
    fields = {name.encode(): value.encode() for name, value in TOP.to_fields().items()}
    told = json.loads(json_line(AT, "book:{07}:0xabc", NAME, fields))
    assert list(told)[:6] == ["id", "stream", "market", "slug", "question", "outcome_name"]
    assert tuple(list(told)[6:]) == FIELDS
    assert (told["id"], told["outcome_name"], told["seq"], told["outcome"]) == (str(AT), "Yes", "17", "0")
    assert json.loads(json_line(AT, "k", NAME, {b"hello": b"\xff"}))["outcome_name"] == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0ms"), (0.0031, "3ms"), (1.24, "1.2s"), (41, "41s"), (125, "2m"), (7300, "2h"), (2.6e5, "3d")],
)
def test_ages(seconds: float, said: str) -> None:
    assert age(seconds) == said
