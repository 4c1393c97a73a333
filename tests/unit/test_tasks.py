"""Tasks end even if one cancellation of theirs gets lost."""

from __future__ import annotations

import asyncio

import pytest

from marketdata import tasks
from marketdata.tasks import end_tasks


async def deaf(lost: int) -> None:
    """A loop around something that loses its first cancellations."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not lost:
                raise
            lost -= 1


@pytest.mark.parametrize("lost", [0, 1, 3])
async def test_a_task_that_loses_a_cancellation_ends(lost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.001)
    running = [asyncio.create_task(deaf(lost)), asyncio.create_task(deaf(0))]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end_tasks(running)
    assert all(task.cancelled() for task in running)


async def test_what_is_over_already_stays_as_it_is() -> None:
    over = asyncio.get_running_loop().create_future()
    over.set_result(7)
    await end_tasks([over])
    await end_tasks([])
    assert over.result() == 7
