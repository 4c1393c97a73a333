"""Books over REST: a witness for books, never a source of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import aiohttp
import orjson

from marketdata.errors import VenueFormatError
from worker.messages import UnreadableFrameError, parse_frame
from worker.shapes import Book, Malformed, Message

BOOKS_A_CALL: Final = 100
CALLS_PER_S: Final = 5.0
TIMEOUT_S: Final = 4.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024


class ClobError(VenueFormatError):
    """The venue's REST service gave no usable answer; nothing follows from it."""


class Clob:
    """`POST /books` of the venue, at most five calls a second."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._url = base_url.rstrip("/") + "/books"
        self._turn = asyncio.Lock()

    async def books(self, tokens: Sequence[str]) -> dict[str, Book]:
        """The venue's books by token id; tokens that the venue has no book of are missing.

        Raises:
            ClobError: no usable answer.
        """
        found: dict[str, Book] = {}
        for start in range(0, len(tokens), BOOKS_A_CALL):
            async with self._turn:
                answer = await self._post(tokens[start : start + BOOKS_A_CALL])
                await asyncio.sleep(1 / CALLS_PER_S)
            for message in _parsed(answer):
                if isinstance(message, Book):
                    found[message.token] = message
                elif isinstance(message, Malformed):
                    raise ClobError(f"POST /books: {message.reason}")
        return found

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
                    raise ClobError(f"POST /books answered HTTP {response.status}")
                answer = bytearray()
                async for chunk in response.content.iter_chunked(1 << 16):
                    answer += chunk
                    if len(answer) > MAX_ANSWER_BYTES:
                        raise ClobError(f"POST /books answered more than {MAX_ANSWER_BYTES} bytes")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ClobError(f"POST /books: {error or type(error).__name__}") from None
        if not answer.lstrip().startswith(b"["):
            raise ClobError("POST /books did not answer with a list")
        return bytes(answer)


def _parsed(answer: bytes) -> list[Message]:
    try:
        return parse_frame(answer)
    except UnreadableFrameError as error:
        raise ClobError(f"POST /books: {error}") from None
