"""Ending tasks for good."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Final, Self

AGAIN_S: Final = 0.1


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancels tasks until all of them are done; what they end with is left to their owner.

    One cancellation can get lost: where a reply arrives in the same turn of the loop, code that awaits under
    asyncio.wait_for (up to Python 3.11; clients of Redis do) returns the reply and goes on. Its caller's loop
    then never ends.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)


class Children:
    """Tasks of a part of the program, inside `async with`: they end with it, and one that fails fails it.

    Like asyncio.TaskGroup, but a cancellation that got lost in a child (see `end_tasks`) does not keep it for ever:
    a TaskGroup cancels its tasks once.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._parent: asyncio.Task[Any] | None = None
        self._failure: BaseException | None = None
        self._again: asyncio.TimerHandle | None = None
        self._interrupted = 0

    def start(self, work: Coroutine[Any, Any, None], *, name: str | None = None) -> asyncio.Task[None]:
        """Begins a task."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def __aenter__(self) -> Self:
        self._parent = asyncio.current_task()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._again is not None:
            self._again.cancel()
        parent, self._parent = self._parent, None
        cancelled = False
        while self._tasks:
            try:
                await end_tasks(self._tasks)
            except asyncio.CancelledError:
                # Whoever ends this part asks again and again, too; its children come first.
                cancelled = True
        if self._failure is not None:
            for _ in range(self._interrupted):
                if parent is not None:
                    parent.uncancel()
            raise self._failure
        if cancelled and error is None:
            raise asyncio.CancelledError

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._failure is None:
            self._failure = error
            self._interrupt()

    def _interrupt(self) -> None:
        if self._parent is not None:
            self._interrupted += 1
            self._parent.cancel()
            self._again = asyncio.get_running_loop().call_later(AGAIN_S, self._interrupt)
