"""Work that must not delay whoever asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from marketdata.logs import get_logger
from marketdata.tasks import end_tasks
from worker.told import in_one_line


class FollowUps:
    """Small tasks beside the worker's parts. What fails in one is said; the next refresh makes it good."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger("worker")

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins the work and returns at once."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def end(self) -> None:
        """Cancels what is not done yet."""
        await end_tasks(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.warning(f"a follow-up failed, the next refresh makes it good: {in_one_line(error)}")
