"""Tasks end even if one cancellation of theirs gets lost."""

from __future__ import annotations

import asyncio

import pytest

from marketdata import tasks
from marketdata.tasks import Children, end_tasks


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


async def parent(lost: int, *, patient: bool = True) -> None:
    async with Children() as children:
        children.start(deaf(lost))
        children.start(deaf(0))
        if patient:
            await asyncio.Event().wait()


@pytest.mark.parametrize("lost", [0, 1, 3])
@pytest.mark.parametrize("patient", [True, False])
async def test_children_end_with_their_parent_even_if_their_cancellation_gets_lost(
    lost: int, patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.001)
    running = asyncio.create_task(parent(lost, patient=patient))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end_tasks([running])
        await asyncio.sleep(0)
    assert running.cancelled() or not patient
    assert len(asyncio.all_tasks()) == 1


async def test_a_child_that_fails_fails_its_parent_and_ends_the_others() -> None:
    others: list[asyncio.Task[None]] = []

    async def fails() -> None:
        raise OSError("the disk is gone")

    async def fall() -> None:
        async with Children() as children:
            others.append(children.start(deaf(1)))
            children.start(fails())
            await asyncio.Event().wait()

    with pytest.raises(OSError, match="the disk is gone"):
        await fall()
    assert others[0].cancelled()
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_parent_that_loses_its_cancellation_still_learns_of_a_child_that_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.001)

    async def fails() -> None:
        raise OSError("the disk is gone")

    async def fall() -> None:
        async with Children() as children:
            children.start(fails())
            await deaf(2)

    with pytest.raises(OSError, match="the disk is gone"):
        await fall()
