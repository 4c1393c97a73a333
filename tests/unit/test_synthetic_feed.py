"""The synthetic feed in time: it keeps up, catches up, gives up what is hopeless, and stands still when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, KeysView

import pytest

from simulator.feed import Frame
from simulator.synthetic.feed import MAX_BEHIND_MS, SyntheticFeed
from simulator.synthetic.floor import Floor
from simulator.synthetic.truth import Top, Truth
from simulator.synthetic.world import SyntheticWorld

START_MS = 1_795_000_000_000
TOKENS = "1", "2"
HASHES = "a" * 40, "b" * 40


class Silence:
    """An audience that takes everything and counts."""

    accepted = 1

    def __init__(self) -> None:
        self.frames = 0

    def watched(self) -> KeysView[str]:
        return dict[str, None]().keys()

    async def until(self, condition: Callable[[], bool]) -> None:
        assert condition()

    def publish(self, frame: Frame) -> None:
        assert frame.data
        self.frames += 1

    async def room(self) -> None:
        await asyncio.sleep(0)


class Played:
    """A feed on a clock of the test's own, which stands still unless the feed sleeps."""

    def __init__(self, rate: float = 500) -> None:
        self.now_ms = float(START_MS)
        self.stalls_ms = 0.0
        self.until_ms = float(START_MS)
        self.audience = Silence()
        world = SyntheticWorld(5, START_MS, markets=20)
        self.floor = Floor(world, rate=rate, seed=5, start_ms=START_MS, truth=Truth())
        self.feed = SyntheticFeed(
            self.floor, flat_out=rate == 0, told={"seed": 5}, clock_ms=lambda: self.now_ms, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.now_ms += seconds * 1000
        if self.now_ms > START_MS + 500:
            # Once, well into the play, the machine is gone for a while.
            self.now_ms, self.stalls_ms = self.now_ms + self.stalls_ms, 0.0
        if self.now_ms >= self.until_ms:
            raise asyncio.CancelledError
        await asyncio.sleep(0)

    async def play(self, seconds: float) -> None:
        self.until_ms = self.now_ms + seconds * 1000
        with pytest.raises(asyncio.CancelledError):
            await self.feed.play(self.audience)


async def test_it_sends_what_is_due_and_no_more() -> None:
    played = Played()
    await played.play(20)
    assert played.audience.frames == played.floor.messages
    assert 0.4 < played.audience.frames / (20 * 500) < 2.5
    assert played.floor.due_ms >= played.now_ms - 1_100
    assert played.feed.status()["skipped_ms"] == 0


async def test_a_short_stall_is_made_up_for() -> None:
    played = Played()
    played.stalls_ms = MAX_BEHIND_MS - 2_000
    await played.play(9)
    assert played.floor.messages > 0.3 * 500 * 8
    assert played.feed.status()["skipped_ms"] == 0


async def test_a_long_sleep_is_skipped() -> None:
    played = Played()
    played.stalls_ms = 3_600_000.0
    await played.play(3_601)
    assert played.feed.status()["skipped_ms"] == pytest.approx(3_600_000, abs=2_000)
    # The world tells what happened meanwhile, but nobody traded.
    assert played.floor.messages < 0.02 * 500 * 3_600


async def test_it_stands_still_while_paused() -> None:
    played = Played()
    played.feed.pause()
    play = asyncio.create_task(played.feed.play(played.audience))
    for _ in range(20):
        await asyncio.sleep(0)
    assert played.floor.messages == 0
    assert played.feed.status()["state"] == "paused"
    assert await played.feed.step(3) > 0
    assert played.floor.steps >= 3
    play.cancel()
    await asyncio.gather(play, return_exceptions=True)


def test_the_log_forgets_by_age_and_by_count() -> None:
    truth = Truth(kept_s=1, max_records=50)
    for number in range(40):
        ms = START_MS + number * 100
        truth.top(TOKENS, ms, Top(number, 1, 900_000, 2), HASHES, since_ms=ms)
    assert truth.next_seq == 40
    assert truth.first_seq == 40 - 11
    assert [row["seq"] for row in truth.rows(0, 2)] == [29, 29, 30, 30]
    assert truth.top_at("2", START_MS + 3_850)["venue_ms"] == START_MS + 3_800  # type: ignore[index]
    assert truth.top_at("2", START_MS) is None
    for _ in range(100):
        truth.resolved(TOKENS, START_MS + 3_900, 1)
    assert truth.first_seq == truth.next_seq - 50


def test_the_other_token_sees_the_mirror() -> None:
    top = Top(400_000, 5_000_000, 0, 0)
    assert top.mirrored() == Top(0, 0, 600_000, 5_000_000)
    assert top.mirrored().mirrored() == top
    assert top.mirrored().texts() == {"bid": "", "bid_size": "", "ask": "0.6", "ask_size": "5"}
