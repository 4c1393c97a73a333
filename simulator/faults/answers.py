"""What a faulty venue answers to a REST call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from aiohttp import web

from simulator.venue.conduct import Handler, Refusal

BOOK_PATHS: Final = ("/book", "/books")

Book = dict[str, Any]


async def answered(
    request: web.Request, handler: Handler, refusal: Refusal | None, retell: Callable[[Book], Book]
) -> web.StreamResponse:
    """The handler's answer, or a refusal in its place.

    Args:
        refusal: status 0 cuts the connection without an answer.
        retell: what becomes of each book that is told.
    """
    if refusal is not None:
        if refusal.status == 0 and request.transport is not None:
            request.transport.abort()
        return refusal.response()
    response = await handler(request)
    if request.path not in BOOK_PATHS or response.status != web.HTTPOk.status_code:
        return response
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    told = orjson.loads(response.body)
    after = [retell(book) for book in told] if isinstance(told, list) else retell(told)
    return web.Response(body=orjson.dumps(after), content_type="application/json")
