"""REST is asked politely: paced, and left alone for ever longer, or as long as it says, after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from marketdata.backoff import Backoff
from worker.clob import Clob, ClobError


class Rest:
    """A REST service that answers what it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 429
        self.headers: dict[str, str] = {}

    async def books(self, _: web.Request) -> web.Response:
        self.calls += 1
        return web.Response(status=self.status, text="[]", headers=self.headers)


@pytest.fixture
async def rest() -> AsyncIterator[tuple[Rest, str]]:
    service = Rest()
    app = web.Application()
    app.router.add_post("/books", service.books)
    async with TestServer(app) as server:
        yield service, str(server.make_url("/"))


async def test_after_a_refusal_it_is_left_alone_as_long_as_it_asks(rest: tuple[Rest, str]) -> None:
    service, url = rest
    service.headers["Retry-After"] = "60"
    async with aiohttp.ClientSession() as session:
        clob = Clob(session, url, Backoff(0.01, 0.01, Random(1)))
        with pytest.raises(ClobError, match="HTTP 429"):
            await clob.books(["1"])
        for _ in range(50):
            with pytest.raises(ClobError, match=r"left alone for (60|59) s"):
                await clob.books(["1"])
    assert service.calls == 1


async def test_after_a_failure_it_is_asked_again_when_the_delay_is_over(rest: tuple[Rest, str]) -> None:
    service, url = rest
    async with aiohttp.ClientSession() as session:
        backoff = Backoff(0.05, 0.05, Random(1))
        clob = Clob(session, url, backoff)
        with pytest.raises(ClobError, match="HTTP 429"):
            await clob.books(["1"])
        service.status = 200
        async with asyncio.timeout(10):
            while True:
                try:
                    assert await clob.books(["1"]) == {}
                    break
                except ClobError:
                    await asyncio.sleep(0.01)
    assert (service.calls, backoff.tries) == (2, 0)


async def test_what_cannot_be_reached_is_named() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ClobError, match=r"POST /books: .*127\.0\.0\.1"):
            await Clob(session, "http://127.0.0.1:1", Backoff(1.0, 30.0, Random(1))).books(["1"])
