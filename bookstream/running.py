"""Runs the body of a command in an event loop, and turns signals into an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from marketdata.parent import stop_when_parent_dies
from marketdata.tasks import end_tasks

Body = Callable[[asyncio.Event], Awaitable[int]]
"""What a command does until it is done, or soon after the event is set. Returns the exit code."""

SIGNALLED: Final = 128
"""Exit code of a command that a signal ended, less the signal's number: 130 after Ctrl-C."""

CANCEL_EVERY_S: Final = 0.25
"""Cancellations get lost (see `marketdata.tasks`), of a body that writes to Redis flat out every second one. A good end
needs a few milliseconds; where it takes longer than this, because Redis does not answer, it is cut short."""


def run_body(body: Body, *, stops_itself: bool) -> int:
    """Runs the body to its end and returns the exit code.

    The first SIGINT or SIGTERM sets the body's event or, if it does not stop itself, cancels it, again and again
    until it hears. A SIGINT after that ends the process at once. A second SIGTERM does not: a supervisor may send it to
    all of our processes, and so may the one of ours that started this one.

    Args:
        body: the command.
        stops_itself: whether the body heeds its event.
    """
    return asyncio.run(_supervised(body, stops_itself))


async def _supervised(body: Body, stops_itself: bool) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    task = asyncio.ensure_future(body(stop))
    received: list[signal.Signals] = []

    def cancel() -> None:
        if not task.done():
            task.cancel()
            loop.call_later(CANCEL_EVERY_S, cancel)

    def on_signal(number: signal.Signals) -> None:
        if received and number is signal.SIGINT:
            os.write(
                sys.__stderr__.fileno() if sys.__stderr__ else 2, b"bookstream: ended at once, unfinished\n"
            )
            os._exit(SIGNALLED + signal.SIGINT)
        received.append(number)
        if stops_itself:
            stop.set()
        elif len(received) == 1:
            cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    parent = asyncio.ensure_future(stop_when_parent_dies(stop)) if stops_itself else None
    try:
        code = await task
    except asyncio.CancelledError:
        if not received:
            raise
        return SIGNALLED + received[0]
    finally:
        # asyncio.run would cancel what is left once, and wait for it for ever.
        await end_tasks(asyncio.all_tasks() - {asyncio.current_task()})
        if parent is not None and not parent.cancelled():
            parent.result()
    # A body that stopped in good order after SIGTERM did what it was asked to; Ctrl-C is 130 by custom.
    if received and received[0] is signal.SIGINT and code == 0:
        return SIGNALLED + signal.SIGINT
    return code
