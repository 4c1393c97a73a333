"""When recorded frames are played: gaps, speeds, and what starts the play. No real time passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, KeysView
from pathlib import Path

import orjson
import pytest

from simulator.captured.capture import load_capture
from simulator.captured.feed import LOOP_PAUSE_S, CapturedFeed
from simulator.captured.schedule import Gaps
from simulator.feed import Frame

CAPTURED = Path(__file__).parents[1] / "data" / "captures" / "ws_captured"


class FakeTime:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


class FakeAudience:
    """Has subscribed to everything; notes what it gets and when."""

    def __init__(self, tokens: set[str], time: FakeTime, stop_after: int = 10**9) -> None:
        self.accepted = 1
        self.heard: list[tuple[float, bytes]] = []
        self._tokens = dict.fromkeys(tokens)
        self._time = time
        self._stop_after = stop_after
        self.enough = asyncio.Event()
        self.at_enough: Callable[[], object] = lambda: None
        self.seen_then: object = None

    def watched(self) -> KeysView[str]:
        return self._tokens.keys()

    async def until(self, condition: Callable[[], bool]) -> None:
        assert condition()

    def publish(self, frame: Frame) -> None:
        self.heard.append((round(self._time.now_s, 6), frame.data))
        if len(self.heard) == self._stop_after:
            self.seen_then = self.at_enough()
            self.enough.set()

    async def room(self) -> None:
        await asyncio.sleep(0)


def test_gaps_by_arrival_then_by_the_venues_time_then_fixed() -> None:
    gaps = Gaps()
    assert gaps.next_ms(1000.0, 900) == 0
    assert gaps.next_ms(1012.0, 905) == 12
    assert gaps.next_ms(None, 930) == 25
    assert gaps.next_ms(None, None) == 50
    assert gaps.next_ms(1100.0, None) == 88


def test_gaps_are_capped_and_never_negative() -> None:
    gaps = Gaps()
    gaps.next_ms(None, 1_000_000)
    assert gaps.next_ms(None, 400_000) == 0
    assert gaps.next_ms(None, 1_000_010) == 10
    assert gaps.next_ms(None, 9_000_000) == 5000


@pytest.mark.parametrize(("speed", "last_s"), [(1.0, 16.596), (2.0, 8.298), (0.5, 33.192), (0.0, 0.0)])
async def test_play_follows_the_recorded_times(speed: float, last_s: float) -> None:
    capture, time = load_capture(CAPTURED / "frames_20260930.jsonl"), FakeTime()
    feed = CapturedFeed([capture], speed=speed, loop=False, sleep=time.sleep, clock=time.clock)
    audience = FakeAudience(capture.tokens, time)
    assert feed.status()["state"] == "waiting"
    await feed.play(audience)
    assert len(audience.heard) == 26
    assert audience.heard[-1][0] == pytest.approx(last_s, abs=1e-3)
    assert feed.status() == {"state": "done", "frames_sent": 26, "frames_total": 26, "passes": 1}


async def test_several_recordings_play_side_by_side() -> None:
    names = ("oct2025_price_change_with_rest_books.jsonl", "dec2024_legacy_changes_stream.jsonl")
    captures, time = [load_capture(CAPTURED / name) for name in names], FakeTime()
    feed = CapturedFeed(captures, speed=0, loop=False, sleep=time.sleep, clock=time.clock)
    audience = FakeAudience(captures[0].tokens | captures[1].tokens, time)
    await feed.play(audience)
    assert feed.status()["frames_sent"] == feed.status()["frames_total"] == len(audience.heard) == 13
    assert len(feed.events()) == 2


async def test_loop_starts_afresh_after_a_pause() -> None:
    capture, time = load_capture(CAPTURED / "frames_20260930.jsonl"), FakeTime()
    feed = CapturedFeed([capture], speed=1, loop=True, sleep=time.sleep, clock=time.clock)
    audience = FakeAudience(capture.tokens, time, stop_after=27)
    audience.at_enough = lambda: feed.socket_book(sorted(capture.tokens)[0])
    play = asyncio.create_task(feed.play(audience))
    await asyncio.wait_for(audience.enough.wait(), 5)
    play.cancel()
    await asyncio.gather(play, return_exceptions=True)
    assert audience.heard[26][1] == audience.heard[0][1]
    assert audience.heard[26][0] == pytest.approx(audience.heard[25][0] + LOOP_PAUSE_S)
    assert isinstance(audience.seen_then, bytes)
    assert orjson.loads(audience.seen_then) in orjson.loads(audience.heard[0][1])


async def test_recorded_rest_answers_are_served_once_their_time_has_come() -> None:
    capture, time = load_capture(CAPTURED / "oct2025_price_change_with_rest_books.jsonl"), FakeTime()
    feed = CapturedFeed([capture], speed=1, loop=False, sleep=time.sleep, clock=time.clock)
    token_id = "94022367472047775158269173293876979533288470167463650966689320774843018181757"
    answers = [orjson.loads(line)["message"] for line in capture.path.read_bytes().splitlines()]
    assert feed.rest_book(token_id) is None
    await feed.play(FakeAudience(capture.tokens, time))
    body = feed.rest_book(token_id)
    assert body is not None
    assert orjson.loads(body) == answers[4]
