"""Books over REST: a witness for books, never a source of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import aiohttp
import orjson

from marketdata.backoff import Backoff
from marketdata.errors import VenueFormatError
from worker.messages import UnreadableFrameError, parse_frame
from worker.retry_after import retry_after_s
from worker.shapes import Book, Malformed, Message

BOOKS_A_CALL: Final = 100
CALLS_PER_S: Final = 5.0
TIMEOUT_S: Final = 4.0
MAX_RETRY_AFTER_S: Final = 300.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024


class ClobError(VenueFormatError):
    """The venue's REST service gave no usable answer; nothing follows from it."""

    def __init__(self, reason: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Clob:
    """`POST /books` of the venue, at most five calls a second."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, backoff: Backoff) -> None:
        self._session = session
        self._url = base_url.rstrip("/") + "/books"
        self._turn = asyncio.Lock()
        self._backoff = backoff
        self._left_alone_until_s = 0.0

    async def books(self, tokens: Sequence[str]) -> dict[str, Book]:
        """The venue's books by token id; tokens that the venue has no book of are missing.

        Raises:
            ClobError: no usable answer.
        """
        found: dict[str, Book] = {}
        for start in range(0, len(tokens), BOOKS_A_CALL):
            async with self._turn:
                answer = await self._politely(tokens[start : start + BOOKS_A_CALL])
            for message in _parsed(answer):
                if isinstance(message, Book):
                    found[message.token] = message
                elif isinstance(message, Malformed):
                    raise ClobError(f"POST /books: {message.reason}")
        return found

    async def _politely(self, tokens: Sequence[str]) -> bytes:
        """One call, followed by a pause; after a failure nothing is asked for ever longer, or as long as REST says."""
        clock = asyncio.get_running_loop().time
        if clock() < self._left_alone_until_s:
            raise ClobError(f"POST /books is left alone for {self._left_alone_until_s - clock():.0f} s")
        try:
            answer = await self._post(tokens)
        except ClobError as error:
            delay_s = max(self._backoff.next_delay_s(), min(error.retry_after_s, MAX_RETRY_AFTER_S))
            self._left_alone_until_s = clock() + delay_s
            raise
        self._backoff.reset()
        await asyncio.sleep(1 / CALLS_PER_S)
        return answer

    async def _post(self, tokens: Sequence[str]) -> bytes:
        payload = orjson.dumps([{"token_id": token} for token in tokens])
        try:
            async with self._session.post(
                self._url,
                data=payload,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            ) as response:
                if response.status != 200:
                    asked_s = retry_after_s(response.headers.get("Retry-After", ""), datetime.now(UTC))
                    raise ClobError(f"POST /books answered HTTP {response.status}", retry_after_s=asked_s)
                answer = bytearray()
                async for chunk in response.content.iter_chunked(1 << 16):
                    answer += chunk
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise ClobError(f"POST /books answered more than {MAX_ANSWER_BYTES} bytes")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClobError(f"POST /books: {str(error) or type(error).__name__}") from None
        if not answer.lstrip().startswith(b"["):
            raise ClobError("POST /books did not answer with a list")
        return bytes(answer)


def _parsed(answer: bytes) -> list[Message]:
    try:
        return parse_frame(answer)
    except UnreadableFrameError as error:
        raise ClobError(f"POST /books: {error}") from None
