"""Ending tasks for good."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

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
