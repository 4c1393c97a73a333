"""REST as a witness: after a lost frame, and for books that do not come. It never supplies a book."""

from __future__ import annotations

import asyncio
from typing import Final

from marketdata.clock import now_us
from marketdata.logs import get_logger
from worker.clob import Clob, ClobError
from worker.connection import Connection
from worker.notices import Witness

SECOND_LOOK_S: Final = 1.5
MAX_WAITING: Final = 200


class Witnesses:
    """Answers the questions of connections, one after the other."""

    def __init__(self, clob: Clob) -> None:
        self.unanswered = 0
        """Questions that REST could not answer, or that came too fast."""
        self._clob = clob
        self._questions: asyncio.Queue[tuple[Connection, Witness]] = asyncio.Queue()
        self._lost_waiting: set[Connection] = set()
        """Connections whose books wait to be compared: one more lost frame asks nothing new."""
        self._log = get_logger("witness")

    def ask(self, connection: Connection, question: Witness) -> None:
        """Puts a question; never waits."""
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
        while True:
            connection, question = await self._questions.get()
            if question.why == "lost":
                self._lost_waiting.discard(connection)
            try:
                if question.why == "first":
                    await self._first(connection, question.tokens)
                else:
                    await self._lost(connection, question.tokens)
            except ClobError as error:
                self.unanswered += 1
                self._log.warning(str(error), connection=connection.name, tokens=len(question.tokens))
                if question.why == "lost":
                    self._give_up(connection, question.tokens)

    async def _first(self, connection: Connection, tokens: tuple[str, ...]) -> None:
        """First books are missing: does the venue have them at all?"""
        books = await self._clob.books(tokens)
        for token in tokens:
            connection.protocol.first_book_said(token, listed=token in books, now_us=now_us())
        connection.flush()

    async def _lost(self, connection: Connection, tokens: tuple[str, ...]) -> None:
        """A frame was lost: whoever differs from REST twice, with time between to catch up, is wrong."""
        suspects = await self._differing(connection, tokens)
        if not suspects:
            return
        await asyncio.sleep(SECOND_LOOK_S)
        wrong = await self._differing(connection, suspects)
        for token in wrong:
            feed = connection.protocol.books.tokens.get(token)
            if feed is not None:
                connection.protocol.books.desync(feed, now_us())
        connection.protocol.resync(now_us())
        connection.flush()

    def _give_up(self, connection: Connection, tokens: tuple[str, ...]) -> None:
        """No witness for books in doubt: a quiet one might stay wrong for hours, so each needs a new snapshot."""
        protocol = connection.protocol
        for token in tokens:
            feed = protocol.books.tokens.get(token)
            if feed is not None and feed.gate.book is not None and feed.unproven:
                protocol.books.desync(feed, now_us())
        protocol.resync(now_us())
        connection.flush()

    async def _differing(self, connection: Connection, tokens: tuple[str, ...]) -> tuple[str, ...]:
        books = await self._clob.books(tokens)
        return tuple(
            token
            for token, book in books.items()
            if connection.protocol.books.differs(token, book.bids, book.asks, book.venue_ms)
        )
