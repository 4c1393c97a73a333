"""Runs a member until it is told to stop, from its opening on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from marketdata.groups.group import Group
from marketdata.tasks import end_tasks


async def serve(group: Group, stop: asyncio.Event, body: Callable[[], Awaitable[None]]) -> None:
    """Opens the group and runs the body in it. Their errors go through.

    A stop while Redis is still waited for ends the waiting: nothing was begun. Later it is `Group.stop`.
    """
    is_open = False

    async def whole() -> None:
        nonlocal is_open
        async with group:
            is_open = True
            await body()

    serving = asyncio.create_task(whole(), name=f"group {group.name}")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done() and not is_open:
            await end_tasks([serving])
            if not serving.cancelled():
                serving.result()
            return
        group.stop()
        await serving
    finally:
        await end_tasks([serving, stopping])
