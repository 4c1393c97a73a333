"""Books in doubt after a lost frame: REST clears or condemns them, and where it is silent they are fetched anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from tests.gamma_rows import market
from tests.venue_frames import Line, book
from worker.clob import Clob, ClobError
from worker.connection import Connection
from worker.feeds import TokenState
from worker.notices import Witness
from worker.shapes import Book
from worker.witness import MAX_WAITING, Witnesses

UNREADABLE = b'{"market":"0x\xff'


class Silent:
    """A REST service that gives no usable answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def books(self, tokens: Sequence[str]) -> dict[str, Book]:
        self.asked.set()
        raise ClobError("POST /books: no answer")


class Shell:
    """What the witnesses need of a connection."""

    name = "c0"

    def __init__(self, line: Line) -> None:
        self.protocol = line.protocol
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        self.flushed.set()


def questions(line: Line) -> list[Witness]:
    found = [notice for notice in line.protocol.notices if isinstance(notice, Witness)]
    line.protocol.notices.clear()
    return found


def witnesses(clob: Silent) -> Witnesses:
    return Witnesses(cast(Clob, cast(Any, clob)))


def connection(shell: Shell) -> Connection:
    return cast(Connection, cast(Any, shell))


async def answered(asked: Witnesses, shell: Shell, is_done: Callable[[], bool] = lambda: True) -> None:
    answering = asyncio.create_task(asked.run())
    async with asyncio.timeout(5):
        while True:
            await shell.flushed.wait()
            shell.flushed.clear()
            if is_done():
                break
    answering.cancel()
    await asyncio.wait({answering})


async def test_books_in_doubt_without_an_answer_are_gaps_and_fetched_anew() -> None:
    rain = market("rain")
    line = Line([rain])
    line.hear(book(rain, 0), book(rain, 1), array=True)
    line.sent()
    line.hear_bytes(UNREADABLE)
    asked, shell = witnesses(Silent()), Shell(line)
    asked.ask(connection(shell), questions(line)[0])
    await answered(asked, shell)
    assert [(update.kind, update.note.split(" ")[0]) for update in line.take()] == [("gap", "desync")] * 2
    assert [text["operation"] for text in line.sent()] == ["unsubscribe", "subscribe"]
    assert {feed.state for feed in line.protocol.books.tokens.values()} == {TokenState.WAITING}


async def test_a_book_that_came_meanwhile_is_in_no_doubt_any_more() -> None:
    rain = market("rain")
    line = Line([rain])
    line.hear(book(rain, 0), book(rain, 1), array=True)
    line.hear_bytes(UNREADABLE)
    asked, shell = witnesses(Silent()), Shell(line)
    asked.ask(connection(shell), questions(line)[0])
    line.hear(book(rain, 0), book(rain, 1), array=True)
    await answered(asked, shell)
    assert line.take() == []
    assert {feed.state for feed in line.protocol.books.tokens.values()} == {TokenState.LIVE}


async def test_no_question_after_a_lost_frame_gives_way_to_many_others() -> None:
    rain = market("rain")
    line = Line([rain])
    line.hear(book(rain, 0), book(rain, 1), array=True)
    clob = Silent()
    asked, shell = witnesses(clob), Shell(line)
    for _ in range(MAX_WAITING + 5):
        asked.ask(connection(shell), Witness(rain.tokens, "first"))
    assert asked.unanswered == 5
    line.hear_bytes(UNREADABLE)
    asked.ask(connection(shell), questions(line)[0])
    assert asked.unanswered == 5
    await answered(asked, shell, lambda: bool(line.protocol.updates))
    assert [update.kind for update in line.take()] == ["gap", "gap"]
