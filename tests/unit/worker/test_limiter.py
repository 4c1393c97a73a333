"""One limiter for all opens: in turn, evenly, and held off when the venue asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from worker.limiter import OpenLimiter


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_s = 0.0
        select = self._selector.select  # type: ignore[attr-defined]

        def jump(timeout: float | None) -> Any:
            self.passed_s += timeout or 0.0
            return select(0)

        self._selector.select = jump  # type: ignore[attr-defined]

    def time(self) -> float:
        return self.passed_s


def run(main: Coroutine[Any, Any, list[float]]) -> list[float]:
    loop = ClockLoop()
    try:
        return [round(at_s, 6) for at_s in loop.run_until_complete(main)]
    finally:
        loop.close()


async def turns(limiter: OpenLimiter, count: int) -> list[float]:
    async def one() -> float:
        await limiter.wait()
        return asyncio.get_running_loop().time()

    return await asyncio.gather(*(one() for _ in range(count)))


def test_callers_are_let_through_evenly_and_in_order() -> None:
    assert run(turns(OpenLimiter(5), 4)) == [0, 0.2, 0.4, 0.6]


def test_time_in_which_nobody_came_is_not_saved_up() -> None:
    async def main() -> list[float]:
        limiter = OpenLimiter(5)
        first = await turns(limiter, 1)
        await asyncio.sleep(10)
        return first + await turns(limiter, 3)

    assert run(main()) == [0, 10, 10.2, 10.4]


def test_the_venue_can_hold_everybody_off() -> None:
    async def main() -> list[float]:
        limiter = OpenLimiter(5)
        limiter.hold_off(60)
        limiter.hold_off(1)
        return await turns(limiter, 2)

    assert run(main()) == [60, 60.2]
