"""Books in doubt after a lost frame: REST clears or condemns them, and where it is silent they are fetched anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from marketdata.clock import now_us
from marketdata.market import Market
from tests.gamma_rows import market
from tests.venue_frames import MS, Line, book
from worker import silence
from worker.clob import BOOKS_A_CALL, Clob, ClobError
from worker.connection import Connection
from worker.feeds import TokenState
from worker.notices import Witness
from worker.shapes import Book
from worker.silence import NEWER_MS
from worker.witness import MAX_WAITING, Witnesses

UNREADABLE = b'{"market":"0x\xff'


class Silent:
    """A REST service that gives no usable answer."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def books(self, tokens: Sequence[str]) -> dict[str, Book]:
        self.asked.set()
        raise ClobError("POST /books: no answer")


class Rest:
    """A REST service that answers with these books; `calls` says what it was asked."""

    def __init__(self, *answers: dict[str, Book] | None) -> None:
        self.calls: list[tuple[str, ...]] = []
        self._answers = list(answers)

    async def books(self, tokens: Sequence[str]) -> dict[str, Book]:
        self.calls.append(tuple(tokens))
        await asyncio.sleep(0)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer is None:
            raise ClobError("POST /books: no answer")
        return answer


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


def witnesses(clob: Silent | Rest) -> Witnesses:
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


# -- silent tokens ------------------------------------------------------------------------------------------


def quiet(line: Line) -> Witness:
    """The question after nothing was heard for long; all book times are the present of a real clock."""
    line.now_us = now_us()
    for feed in line.protocol.books.tokens.values():
        feed.gate.changed_us = line.now_us - 60_000_000
        feed.gate.snapshot_us = feed.gate.changed_us - 1
    line.protocol.tick(line.now_us)
    (question,) = questions(line)
    assert question.why == "silent"
    return question


def live(*markets: Market) -> Line:
    line = Line(markets)
    line.hear(*(book(one, outcome) for one in markets for outcome in (0, 1)), array=True)
    line.sent()
    line.take()
    return line


def rest_book(one: Market, outcome: int, ms: int) -> Book:
    bids, asks = [(480_000, "0.48", "1")], [(520_000, "0.52", "1")]
    return Book(one.condition_id, one.tokens[outcome], ms, "", bids, asks, "", None, "")


@asynccontextmanager
async def answering(asked: Witnesses) -> AsyncIterator[None]:
    running = asyncio.create_task(asked.run())
    try:
        async with asyncio.timeout(5):
            yield
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_silent_tokens_of_all_connections_share_one_call_and_each_is_asked_about_once() -> None:
    rain, snow = market("rain"), market("snow")
    rest = Rest({})
    asked = witnesses(rest)
    shells = [Shell(live(one)) for one in (rain, snow)]
    for _ in range(3):
        for one, shell in zip((rain, snow), shells, strict=True):
            asked.ask(connection(shell), Witness(one.tokens, "silent"))
    async with answering(asked):
        for shell in shells:
            await shell.flushed.wait()
    assert rest.calls == [(*rain.tokens, *snow.tokens)]


async def test_more_silent_tokens_than_a_call_takes_are_asked_about_in_several() -> None:
    rest = Rest({})
    asked, shell = witnesses(rest), Shell(live(market("rain")))
    asked.ask(connection(shell), Witness(tuple(map(str, range(BOOKS_A_CALL + 1))), "silent"))
    async with answering(asked):
        while len(rest.calls) < 2:
            await shell.flushed.wait()
            shell.flushed.clear()
    assert [len(call) for call in rest.calls] == [BOOKS_A_CALL, 1]


async def test_a_book_that_rest_contradicts_twice_is_marked_and_asked_for_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silence, "SECOND_LOOK_S", 0.05)
    rain = market("rain")
    line = live(rain)
    rest = Rest({rain.tokens[0]: rest_book(rain, 0, MS + NEWER_MS)})
    asked, shell = witnesses(rest), Shell(line)
    asked.ask(connection(shell), quiet(line))
    line.sent()
    async with answering(asked):
        while not line.protocol.updates:
            await shell.flushed.wait()
            shell.flushed.clear()
    assert rest.calls == [rain.tokens, (rain.tokens[0],)], "the second look is at the one in question only"
    assert [(update.kind, update.outcome) for update in line.take()] == [("gap", 0)]
    assert [text["operation"] for text in line.sent()] == ["unsubscribe", "subscribe"]


async def test_without_an_answer_nothing_follows_for_silent_tokens_and_later_ones_are_asked_about() -> None:
    rain = market("rain")
    line = live(rain)
    rest = Rest(None, {})
    asked, shell = witnesses(rest), Shell(line)
    asked.ask(connection(shell), quiet(line))
    async with answering(asked):
        while asked.unanswered == 0:  # noqa: ASYNC110  (a counter sets no event)
            await asyncio.sleep(0)
        assert line.take() == []
        asked.ask(connection(shell), Witness(rain.tokens, "silent"))
        await shell.flushed.wait()
    assert rest.calls == [rain.tokens, rain.tokens]
    assert line.take() == []


async def test_looks_that_are_planned_end_with_the_witnesses() -> None:
    rain = market("rain")
    line = live(rain)
    rest = Rest({rain.tokens[0]: rest_book(rain, 0, MS + NEWER_MS)})
    asked, shell = witnesses(rest), Shell(line)
    asked.ask(connection(shell), quiet(line))
    async with answering(asked):
        await shell.flushed.wait()
        (look,) = asked._looks
        assert not look.cancelled()
    assert look.cancelled()


# -- first books --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "state", "asks_again"),
    [
        (True, TokenState.WAITING, True),
        (False, TokenState.UNLISTED, False),
        (None, TokenState.WAITING, True),
    ],
    ids=["it has", "it has none", "no answer"],
)
async def test_a_missing_first_book_is_asked_for_again_unless_the_venue_has_none(
    listed: bool | None, state: TokenState, asks_again: bool
) -> None:
    rain = market("rain")
    line = Line([rain])
    line.hear(book(rain, 1))
    line.sent()
    found = {rain.tokens[0]: rest_book(rain, 0, MS)}
    asked, shell = witnesses(Rest(None if listed is None else found if listed else {})), Shell(line)
    asked.ask(connection(shell), Witness(rain.tokens[:1], "first"))
    await answered(asked, shell)
    assert line.protocol.books.tokens[rain.tokens[0]].state is state
    assert bool(line.sent()) is asks_again
    assert asked.unanswered == (listed is None)
