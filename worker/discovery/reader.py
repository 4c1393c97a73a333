"""One polite reader of JSON over HTTP: paced, bounded, retried within a budget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import aiohttp
import orjson

from marketdata.backoff import Backoff
from marketdata.errors import DiscoveryError
from marketdata.logs import get_logger
from worker.retry_after import retry_after_s

Params = Sequence[tuple[str, str]]

REQUESTS_PER_S: Final = 5.0
"""A tenth of what the venue allows for /events (500 in 10 s), a sixth for /markets (300)."""

MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=20)
FIRST_DELAY_S: Final = 1.0
LONGEST_DELAY_S: Final = 30.0


@dataclass(slots=True)
class RetryBudget:
    """How often and how long one refresh may try again, over all of its requests."""

    retries: int = 8
    wait_s: float = 120.0

    def spend(self, delay_s: float) -> bool:
        """Takes one retry after `delay_s`; False where the budget has not that much left."""
        if self.retries < 1 or self.wait_s < delay_s:
            return False
        self.retries -= 1
        self.wait_s -= delay_s
        return True


class _TryAgainError(Exception):
    """A passing fault; `after_s` is what the server asked for, 0 where it asked for nothing."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s


class JsonReader:
    """GETs JSON from one base address.

    Args:
        session: the caller's; it stays open.
        base_url: scheme, host and port.
        requests_per_s: at most so many requests are started a second.
        max_response_bytes: a longer answer is refused without being read to its end.
        random, sleep, clock: handed in by tests; clock in seconds, for the pace; now for Retry-After dates.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        requests_per_s: float = REQUESTS_PER_S,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        timeout: aiohttp.ClientTimeout = _TIMEOUT,
        random: Random | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._interval_s = 1.0 / requests_per_s
        self._max_bytes = max_response_bytes
        self._timeout = timeout
        self._random = random or Random()
        self._sleep = sleep
        self._clock = clock
        self._now = now
        self._next_at_s = clock()

    async def get(self, path: str, params: Params, budget: RetryBudget) -> Any:
        """The JSON that a path answers; delays between tries of 1 s doubling to 30 s, half of it random.

        Raises:
            DiscoveryError: refused for good, or the budget is used up; the message names path and reason.
        """
        backoff = Backoff(FIRST_DELAY_S, LONGEST_DELAY_S, self._random, least_s=0)
        while True:
            await self._pace()
            try:
                return await self._once(path, params)
            except _TryAgainError as error:
                delay_s = max(error.after_s, backoff.next_delay_s())
                if not budget.spend(delay_s):
                    raise DiscoveryError(
                        f"{self._base_url}{path} failed {backoff.tries} times, last: {error}; "
                        "the markets known so far stay in use, it will be tried again at the next refresh"
                    ) from None
                get_logger("discovery").warning(
                    f"{self._base_url} did not answer, again in {delay_s:.0f} s", path=path, why=str(error)
                )
                await self._sleep(delay_s)

    async def _pace(self) -> None:
        now_s = self._clock()
        start_s = max(now_s, self._next_at_s)
        self._next_at_s = start_s + self._interval_s
        if start_s > now_s:
            await self._sleep(start_s - now_s)

    async def _once(self, path: str, params: Params) -> Any:
        url = f"{self._base_url}{path}"
        try:
            async with self._session.get(url, params=list(params), timeout=self._timeout) as answer:
                if answer.status in _RETRIED:
                    after_s = retry_after_s(answer.headers.get("Retry-After", ""), self._now())
                    raise _TryAgainError(f"HTTP {answer.status}", after_s)
                body = await self._body(answer, url)
                if answer.status != 200:
                    raise DiscoveryError(f"{url} answered HTTP {answer.status}: {body[:160]!r}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _TryAgainError(f"{type(error).__name__} {str(error)[:120]}".strip()) from None
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            raise _TryAgainError(f"the answer is not JSON: {body[:80]!r}") from None

    async def _body(self, answer: aiohttp.ClientResponse, url: str) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > self._max_bytes:
                answer.close()
                raise DiscoveryError(f"{url} answered more than {self._max_bytes} bytes; it was not read")
        return bytes(body)
