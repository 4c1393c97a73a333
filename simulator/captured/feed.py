"""Recordings as a feed: each played by its own player, all started together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

import structlog

from marketdata.errors import CaptureError
from simulator.captured.books import Books
from simulator.captured.capture import Capture, PlayedAnswer
from simulator.captured.records import KnownMarket, gamma_events, invented_token
from simulator.captured.study import TICK_SIZES
from simulator.feed import Audience

START_WAIT_S: Final = 2.0
"""Play begins this long after the first subscription, even if recorded tokens are not subscribed yet."""

LOOP_PAUSE_S: Final = 0.5
"""Between two passes."""

FRAMES_A_TURN: Final = 32
"""A player that does not wait lets the others run after this many frames or bytes."""

BYTES_A_TURN: Final = 256 * 1024

_log = structlog.stdlib.get_logger("simulator")


class CapturedFeed:
    """Plays recordings and keeps their books.

    Args:
        captures: played concurrently. Markets may occur in several; their tokens must agree.
        speed: 1 as recorded, 2 twice as fast, 0 flat out (at the pace of the slowest client that reads).
        loop: plays again from the start, after a short pause, until it is cancelled.
        sleep, clock: of the event loop unless a test says otherwise; seconds.

    Raises:
        CaptureError: two recordings give a market different tokens.
    """

    def __init__(
        self,
        captures: Sequence[Capture],
        *,
        speed: float,
        loop: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._captures = captures
        self._speed = speed
        self._loop = loop
        self._sleep = sleep
        self._clock = clock
        self._answers: dict[str, bytes] = {}
        self._state: Literal["waiting", "playing", "done"] = "waiting"
        self._frames_sent = 0
        self._passes = 0
        self._tokens = frozenset[str]().union(*(capture.tokens for capture in captures))
        self._markets = _known_markets(captures)
        self._market_of = {
            token_id: market.condition_id for market in self._markets for token_id in market.tokens
        }
        self._books = self._books_at_start()

    def events(self) -> Sequence[Mapping[str, Any]]:
        return gamma_events(self._markets, self._books.markets)

    def market_of(self, token_id: str) -> str | None:
        return self._market_of.get(token_id)

    def socket_book(self, token_id: str) -> bytes | None:
        return self._books.socket_book(token_id)

    def rest_book(self, token_id: str) -> bytes | None:
        # What REST really said wins: a recording may be about REST and socket disagreeing.
        return self._answers.get(token_id) or self._books.rest_book(token_id)

    def status(self) -> Mapping[str, object]:
        return {
            "state": self._state,
            "frames_sent": self._frames_sent,
            "frames_total": sum(capture.frames_total for capture in self._captures),
            "passes": self._passes,
        }

    async def play(self, audience: Audience) -> None:
        await self._wait_for(audience)
        self._state = "playing"
        _log.info("play begins", captures=len(self._captures), speed=self._speed)
        while True:
            async with asyncio.TaskGroup() as players:
                for capture in self._captures:
                    players.create_task(self._play_once(capture, audience))
            self._passes += 1
            if not self._loop:
                break
            await self._sleep(LOOP_PAUSE_S)
            # A pass knows nothing of the one before: no token has a book until its first one is played again.
            self._books, self._answers = self._books_at_start(), {}
        self._state = "done"
        _log.info("play is done", frames_sent=self._frames_sent)

    def _books_at_start(self) -> Books:
        books = Books()
        for capture in reversed(self._captures):
            for condition_id, findings in capture.findings.items():
                state = books.market(condition_id)
                state.neg_risk, state.tick_size = findings.neg_risk, findings.tick_size
                state.version = findings.version
        for market in self._markets:
            state = books.market(market.condition_id)
            told = (market.announced or {}).get("order_price_min_tick_size")
            state.tick_size = state.tick_size or (str(told) if told else TICK_SIZES[0])
        return books

    async def _wait_for(self, audience: Audience) -> None:
        await audience.until(lambda: audience.accepted > 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_WAIT_S):
                await audience.until(lambda: self._tokens <= audience.watched())

    async def _play_once(self, capture: Capture, audience: Audience) -> None:
        clock = self._clock or asyncio.get_running_loop().time
        due_s = clock()
        frames = size = 0
        for step in capture.steps:
            if self._speed > 0:
                due_s += step.gap_ms / 1000 / self._speed
                if (wait_s := due_s - clock()) > 0:
                    await self._sleep(wait_s)
            if isinstance(step, PlayedAnswer):
                self._answers[step.token_id] = step.body
            else:
                self._books.apply(step.messages(), step.last_trades)
                audience.publish(step.frame)
                self._frames_sent += 1
                frames, size = frames + 1, size + len(step.frame.data)
            if frames >= FRAMES_A_TURN or size >= BYTES_A_TURN:
                frames = size = 0
                if self._speed > 0:
                    await self._sleep(0)
                else:
                    await audience.room()


def _known_markets(captures: Sequence[Capture]) -> list[KnownMarket]:
    pairs: dict[str, list[str]] = {}
    frames: dict[str, int] = {}
    announced = {}
    for capture in captures:
        for condition_id, tokens in capture.pairs.items():
            pair = pairs.setdefault(condition_id, [])
            pair.extend(token_id for token_id in tokens if token_id not in pair)
            if len(pair) > 2:
                raise CaptureError(
                    f"{capture.path}: market {condition_id} has other tokens than in another recording"
                )
        for condition_id, count in capture.frames_of.items():
            frames[condition_id] = frames.get(condition_id, 0) + count
        announced.update(capture.announced)
    return [
        KnownMarket(
            condition_id, _both(condition_id, pair), frames.get(condition_id, 0), announced.get(condition_id)
        )
        for condition_id, pair in pairs.items()
    ]


def _both(condition_id: str, pair: Sequence[str]) -> tuple[str, str]:
    first, second = [*pair, *(invented_token(condition_id, outcome) for outcome in range(len(pair), 2))]
    return first, second
