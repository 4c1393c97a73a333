"""What arrived and what was lost in the last minute."""

from __future__ import annotations

from worker.last_minute import LastMinute


def test_what_is_usual_is_kept_while_nothing_arrives() -> None:
    last = LastMinute()
    for second in range(1, 91):
        last.tick(100 * second, 0)
    assert last.received == {"silent_s": 0, "seconds": 60, "busy_seconds": 60, "messages": 6_000}
    for _ in range(300):
        last.tick(9_000, 0)
    assert last.received == {"silent_s": 300, "seconds": 60, "busy_seconds": 60, "messages": 6_000}
    last.tick(9_001, 0)
    assert last.received == {"silent_s": 0, "seconds": 60, "busy_seconds": 1, "messages": 1}


def test_a_short_silence_counts_to_what_is_usual_once_it_is_over() -> None:
    last = LastMinute()
    last.tick(7, 0)
    assert last.received["seconds"] == 0, "what came before the first look came at no known time"
    for second in range(1, 21):
        last.tick(7 + second, 0)
    for _ in range(5):
        last.tick(27, 0)
    last.tick(30, 0)
    assert last.received == {"silent_s": 0, "seconds": 26, "busy_seconds": 21, "messages": 23}


def test_before_the_first_message_nothing_is_usual() -> None:
    last = LastMinute()
    for _ in range(40):
        last.tick(0, 0)
    assert last.received == {"silent_s": 0, "seconds": 0, "busy_seconds": 0, "messages": 0}


def test_gaps_of_the_last_minute() -> None:
    last = LastMinute()
    last.tick(0, 3)
    assert last.gaps == 3, "also those of the first second"
    for _ in range(59):
        last.tick(0, 5)
    assert last.gaps == 5
    last.tick(0, 5)
    assert last.gaps == 2
    last.tick(0, 5)
    assert last.gaps == 0
