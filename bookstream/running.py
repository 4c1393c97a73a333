"""Runs the body of a command in an event loop, and turns signals into an orderly end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Final

from marketdata.parent import stop_when_parent_dies

Body = Callable[[asyncio.Event], Awaitable[int]]
"""What a command does until it is done, or soon after the event is set. Returns the exit code."""

SIGNALLED: Final = 128
"""Exit code of a command that a signal ended, less the signal's number: 130 after Ctrl-C."""


def run_body(body: Body, *, stops_itself: bool) -> int:
    """Runs the body to its end and returns the exit code.

    The first SIGINT or SIGTERM sets the body's event or, if it does not stop itself, cancels it.
    A SIGINT after that ends the process at once.

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

    def on_signal(number: signal.Signals) -> None:
        if received and number is signal.SIGINT:
            os.write(
                sys.__stderr__.fileno() if sys.__stderr__ else 2, b"bookstream: ended at once, unfinished\n"
            )
            os._exit(SIGNALLED + signal.SIGINT)
        received.append(number)
        if stops_itself:
            stop.set()
        else:
            task.cancel()

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
        if parent is not None:
            parent.cancel()
            await asyncio.wait({parent})
            if not parent.cancelled():
                parent.result()
    # A body that stopped in good order after SIGTERM did what it was asked to; Ctrl-C is 130 by custom.
    if received and received[0] is signal.SIGINT and code == 0:
        return SIGNALLED + signal.SIGINT
    return code
