"""REST as a witness: after a lost frame, for books that do not come, for tokens that fell silent.

It never supplies a book. Questions wait in bounded order and share the few calls a second that REST is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from marketdata.clock import now_us
from marketdata.logs import get_logger
from worker.clob import BOOKS_A_CALL, Clob, ClobError
from worker.connection import Connection
from worker.notices import Witness
from worker.told import Seldom

SECOND_LOOK_S: Final = 1.5
MAX_WAITING: Final = 200
AT_ONCE: Final = 16
"""Questions that are being answered at the same time; most of that time is spent between two looks."""


class Witnesses:
    """Answers the questions of connections."""

    def __init__(self, clob: Clob) -> None:
        self.unanswered = 0
        """Questions that REST could not answer, or that came too fast."""
        self._clob = clob
        self._questions: asyncio.Queue[tuple[Connection, Witness]] = asyncio.Queue()
        self._lost_waiting: set[Connection] = set()
        """Connections whose books wait to be compared: one more lost frame asks nothing new."""
        self._silent: dict[str, Connection] = {}
        """Silent tokens that wait for a look, in the order of asking: each at most once."""
        self._any_silent = asyncio.Event()
        self._looks: set[asyncio.TimerHandle] = set()
        self._log = get_logger("witness")
        self._unanswered_row = Seldom()

    def ask(self, connection: Connection, question: Witness) -> None:
        """Puts a question; never waits."""
        if question.why == "silent":
            # Bounded by the tokens there are; and one call serves a hundred, of whichever connections.
            for token in question.tokens:
                self._silent[token] = connection
            self._any_silent.set()
            return
        if question.why == "lost":
            # One a connection, so they need no other bound; and none may be left unasked.
            if connection in self._lost_waiting:
                return
            self._lost_waiting.add(connection)
        elif self._questions.qsize() >= MAX_WAITING:
            self.unanswered += 1
            return
        self._questions.put_nowait((connection, question))

    async def run(self) -> None:
        """Answers until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._answer_silent())
                room = asyncio.Semaphore(AT_ONCE)
                while True:
                    await room.acquire()
                    connection, question = await self._questions.get()
                    group.create_task(self._then(room, self._answer(connection, question)))
        finally:
            for look in self._looks:
                look.cancel()
            self._looks.clear()

    @staticmethod
    async def _then(room: asyncio.Semaphore, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            room.release()

    async def _answer(self, connection: Connection, question: Witness) -> None:
        if question.why == "lost":
            self._lost_waiting.discard(connection)
        try:
            if question.why == "first":
                await self._first(connection, question.tokens)
            else:
                await self._lost(connection, question.tokens)
        except ClobError as error:
            self._not_answered(error, len(question.tokens))
            if question.why == "lost":
                self._give_up(connection, question.tokens)
            else:
                self._first_unknown(connection, question.tokens)

    def _not_answered(self, error: ClobError, tokens: int) -> None:
        self.unanswered += 1
        if self._unanswered_row.says():
            self._log.warning(str(error), tokens=tokens, unanswered=self.unanswered)

    # -- silent tokens --------------------------------------------------------------------------------------

    async def _answer_silent(self) -> None:
        while True:
            await self._any_silent.wait()
            batch = dict(list(self._silent.items())[:BOOKS_A_CALL])
            for token in batch:
                del self._silent[token]
            if not self._silent:
                self._any_silent.clear()
            try:
                books = await self._clob.books(tuple(batch))
            except ClobError as error:
                # Asked again by itself: the data clocks go on.
                self._not_answered(error, len(batch))
                continue
            self._unanswered_row.end()
            for token, connection in batch.items():
                again_s = connection.protocol.rescues.silent_book_said(token, books.get(token), now_us())
                if again_s is not None:
                    self._look_again(token, connection, again_s)
            for connection in set(batch.values()):
                connection.flush()

    def _look_again(self, token: str, connection: Connection, delay_s: float) -> None:
        def look() -> None:
            self._looks.discard(handle)
            self._silent[token] = connection
            self._any_silent.set()

        handle = asyncio.get_running_loop().call_later(delay_s, look)
        self._looks.add(handle)

    # -- first books, and books after a lost frame ----------------------------------------------------------

    async def _first(self, connection: Connection, tokens: tuple[str, ...]) -> None:
        """First books are missing: does the venue have them at all?"""
        books = await self._clob.books(tokens)
        for token in tokens:
            connection.protocol.rescues.first_book_said(token, listed=token in books, now_us=now_us())
        connection.flush()

    @staticmethod
    def _first_unknown(connection: Connection, tokens: tuple[str, ...]) -> None:
        for token in tokens:
            connection.protocol.rescues.first_book_said(token, listed=None, now_us=now_us())
        connection.flush()

    async def _lost(self, connection: Connection, tokens: tuple[str, ...]) -> None:
        """A frame was lost: whoever differs from REST twice, with time between to catch up, is wrong."""
        suspects = await self._differing(connection, tokens)
        if not suspects:
            return
        await asyncio.sleep(SECOND_LOOK_S)
        self._desync(connection, await self._differing(connection, suspects))

    def _give_up(self, connection: Connection, tokens: tuple[str, ...]) -> None:
        """No witness for books in doubt: a quiet one might stay wrong for hours, so each needs a new snapshot."""
        feeds = connection.protocol.books.tokens
        in_doubt = (
            token for token in tokens if (feed := feeds.get(token)) and feed.gate.book and feed.unproven
        )
        self._desync(connection, tuple(in_doubt))

    @staticmethod
    def _desync(connection: Connection, tokens: tuple[str, ...]) -> None:
        protocol = connection.protocol
        for token in tokens:
            feed = protocol.books.tokens.get(token)
            if feed is not None:
                protocol.books.desync(feed, now_us())
        protocol.rescues.resync(now_us())
        connection.flush()

    async def _differing(self, connection: Connection, tokens: tuple[str, ...]) -> tuple[str, ...]:
        books = await self._clob.books(tokens)
        return tuple(
            token
            for token, book in books.items()
            if connection.protocol.books.differs(token, book.bids, book.asks, book.venue_ms)
        )
