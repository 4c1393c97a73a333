"""The synthetic venue as a feed: it never sleeps, unless it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

import structlog

from marketdata.clock import now_ms
from simulator.feed import Audience
from simulator.synthetic.floor import Floor

FRAMES_A_TURN: Final = 256
"""After so many frames without a wait others get their turn."""

BYTES_A_TURN: Final = 256 * 1024

MAX_BEHIND_MS: Final = 10_000.0
"""A venue that is further behind goes on from now: the machine was asleep, or is too slow for the rate."""

LONGEST_WAIT_S: Final = 1.0
SHORTEST_WAIT_S: Final = 0.001
EVENTS_KEPT_S: Final = 0.5
"""Gamma's rows are made anew this often at most; a page of them is a small part."""

_log = structlog.stdlib.get_logger("simulator")


class SyntheticFeed:
    """Plays a trading floor in real time, or flat out.

    Args:
        floor: what plays.
        flat_out: as fast as the slowest client reads, from the first subscription on.
        told: what `status` says besides, such as the seed.
        clock_ms: Unix milliseconds.
        sleep: of the event loop unless a test says otherwise; seconds.
    """

    def __init__(
        self,
        floor: Floor,
        *,
        flat_out: bool,
        told: Mapping[str, object],
        clock_ms: Callable[[], float] = now_ms,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.floor = floor
        self._flat_out = flat_out
        self._told = told
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._audience: Audience | None = None
        self._running = asyncio.Event()
        self._running.set()
        self._state: Literal["waiting", "playing"] = "waiting"
        self._skipped_ms = 0.0
        self._events: Sequence[Mapping[str, Any]] = ()
        self._events_until_ms = 0.0

    def events(self) -> Sequence[Mapping[str, Any]]:
        now = self._clock_ms()
        if now >= self._events_until_ms:
            self._events = self.floor.world.events(self.floor.shown)
            self._events_until_ms = now + EVENTS_KEPT_S * 1000
        return self._events

    def market_of(self, token_id: str) -> str | None:
        found = self.floor.find(token_id)
        return None if found is None else found[0].market.listing.condition_id

    def socket_book(self, token_id: str) -> bytes | None:
        found = self.floor.find(token_id)
        return None if found is None else found[0].wire.socket_book(found[1])

    def rest_book(self, token_id: str) -> bytes | None:
        found = self.floor.find(token_id)
        return None if found is None else found[0].wire.rest_book(found[1])

    def status(self) -> Mapping[str, object]:
        return {
            "state": self._state if self._running.is_set() else "paused",
            "frames_sent": self.floor.messages,
            "frames_total": None,
            "steps": self.floor.steps,
            "markets": len(self.floor.desks),
            "venue_ms": int(self.floor.due_ms),
            "behind_ms": max(0, round(self._clock_ms() - self.floor.due_ms)),
            "skipped_ms": round(self._skipped_ms),
            "next_seq": self.floor.truth.next_seq,
            **self._told,
        }

    def pause(self) -> None:
        """Nothing happens until `resume`; clients are served on."""
        self._running.clear()

    def resume(self) -> None:
        """Goes on from now, not from where it stood."""
        self.floor.skip_to(self._clock_ms())
        self._running.set()

    async def step(self, steps: int) -> int:
        """Makes so many steps of the exchange, while paused; returns how many frames they were.

        As fast as the slowest client reads: more than a client's outbox holds would cut it.
        """
        self.floor.skip_to(self._clock_ms())
        made = sent = frames = size = 0
        while made < steps:
            before = self.floor.steps
            some, more = self._act()
            made, sent = made + self.floor.steps - before, sent + some
            frames, size = frames + some, size + more
            if self._audience is not None and (frames >= FRAMES_A_TURN or size >= BYTES_A_TURN):
                frames = size = 0
                await self._audience.room()
        return sent

    @property
    def paused(self) -> bool:
        """Whether it waits for `resume`."""
        return not self._running.is_set()

    async def play(self, audience: Audience) -> None:
        self._audience = audience
        if self._flat_out:
            await audience.until(lambda: audience.accepted > 0)
        self.floor.skip_to(self._clock_ms())
        self._state = "playing"
        _log.info("the synthetic venue is open", **self._told)
        while True:
            await self._running.wait()
            frames = size = 0
            until_ms = float("inf") if self._flat_out else self._clock_ms()
            self._mind_the_gap(until_ms)
            while self.floor.due_ms <= until_ms and frames < FRAMES_A_TURN and size < BYTES_A_TURN:
                some, more = self._act()
                frames, size = frames + some, size + more
            if self._flat_out:
                await audience.room()
            elif self.floor.due_ms <= until_ms:
                await self._sleep(0)
            else:
                wait_s = (self.floor.due_ms - self._clock_ms()) / 1000
                await self._sleep(min(max(wait_s, SHORTEST_WAIT_S), LONGEST_WAIT_S))

    def _act(self) -> tuple[int, int]:
        frames = self.floor.act()
        if self._audience is not None:
            for frame in frames:
                self._audience.publish(frame)
        return len(frames), sum(len(frame.data) for frame in frames)

    def _mind_the_gap(self, now_ms: float) -> None:
        behind_ms = now_ms - self.floor.next_ms
        if MAX_BEHIND_MS < behind_ms < float("inf"):
            self._skipped_ms += behind_ms
            self.floor.skip_to(now_ms)
            _log.warning("the venue fell behind and goes on from now", behind_ms=round(behind_ms))
