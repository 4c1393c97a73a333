"""What happened last is kept for whoever watches, and no more of it than fits."""

from __future__ import annotations

from worker.recent import KEPT, Recent


def test_the_newest_stand_last_and_the_oldest_go() -> None:
    recent = Recent()
    assert recent.events() == []
    for number in range(KEPT + 3):
        recent.add("gap", f"gap {number}")
    events = recent.events()
    assert [event["text"] for event in events] == [f"gap {number}" for number in range(3, KEPT + 3)]
    assert {event["what"] for event in events} == {"gap"}
    times = [event["ms"] for event in events]
    assert times == sorted(times)


def test_no_text_is_long() -> None:
    recent = Recent()
    recent.add("error", "x" * 5_000)
    assert len(recent.events()[0]["text"]) == 200


def test_what_was_handed_out_does_not_change_any_more() -> None:
    recent = Recent()
    before = recent.events()
    recent.add("rescue", "back")
    assert before == []
