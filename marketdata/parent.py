"""A process that ends when the one that started it is gone, however that ended.

The parent keeps the other end of the child's stdin open and says nothing on it; the kernel closes it with the
parent, also after kill -9.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from marketdata.errors import SettingsError

STOP_ON_STDIN_EOF: Final = "BOOKSTREAM_STOP_ON_STDIN_EOF"
"""Set to 1 by a parent that holds the child's stdin."""

HARD_END_S: Final = 10.0
"""A child that has not stopped in good order this long after its parent ends at once: nobody else would end it."""

_STDIN: Final = 0


async def stop_when_parent_dies(stop: asyncio.Event) -> None:
    """Sets `stop` when stdin is closed; returns at once where no parent asked for it.

    Raises:
        SettingsError: a parent asked for it, and stdin is no pipe.
    """
    # Processes that this one starts have another stdin.
    if os.environ.pop(STOP_ON_STDIN_EOF, "") != "1":
        return
    loop = asyncio.get_running_loop()
    closed = loop.create_future()

    def readable() -> None:
        try:
            said = os.read(_STDIN, 4096)
        except ConnectionResetError:
            said = b""
        if not said and not closed.done():
            closed.set_result(None)

    try:
        loop.add_reader(_STDIN, readable)
    except (OSError, ValueError):
        stop.set()
        raise SettingsError(
            f"{STOP_ON_STDIN_EOF} is set, but stdin is no pipe; nothing was started"
        ) from None
    try:
        await closed
    finally:
        loop.remove_reader(_STDIN)
    stop.set()
    loop.call_later(HARD_END_S, os._exit, 1)
