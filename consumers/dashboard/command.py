"""`bookstream dashboard`, from its settings to its exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from consumers.dashboard.app import SOCKET_TIMEOUT_S, App
from consumers.dashboard.picture import paper_size, print_frame, svg
from consumers.dashboard.settings import DashboardSettings
from consumers.dashboard.ui import Ui
from marketdata.errors import SettingsError
from marketdata.keys import Keys
from marketdata.redis_target import mask
from marketdata.redis_url import redis_session
from marketdata.tasks import end_tasks

ONCE_LOOKS_S: Final = 1.5
"""Rates want two words of a worker, which speaks once a second."""

ONCE_WAITS_S: Final = 3.0


async def run(settings: DashboardSettings) -> int:
    """Shows the dashboard until the user leaves; or one frame. Returns 0, or 1 for a frame without Redis.

    Raises:
        SettingsError: there is no terminal, or the picture cannot be written.
        RedisRefusedError, EmbeddedServerError: there is no Redis to read.
    """
    console = Console()
    if settings.once or settings.export is not None:
        return await _one_frame(settings, console)
    if not console.is_terminal or console.is_dumb_terminal:
        raise SettingsError(
            "stdout is no terminal that can show a screen; --once prints one frame, --export FILE.svg writes one"
        )
    app = _app(settings, console, screen=True)
    with app:
        reading = asyncio.create_task(_read(settings, app))
        drawing = asyncio.create_task(app.draw())
        try:
            done, _ = await asyncio.wait({reading, drawing}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await end_tasks({reading, drawing})
    return 0


def _app(settings: DashboardSettings, console: Console, *, screen: bool) -> App:
    ui = Ui(page=settings.page, sort=settings.sort, sought=settings.filter_)
    return App(console, Keys(settings.key_prefix), title=mask(settings.redis_url), ui=ui, screen=screen)


async def _read(settings: DashboardSettings, app: App) -> None:
    async with redis_session(
        settings.redis_url, client_name="bookstream-dashboard", log=app.cannot_connect
    ) as session:
        client = session.new_client(
            socket_timeout_s=SOCKET_TIMEOUT_S, connect_timeout_s=SOCKET_TIMEOUT_S, max_connections=4
        )
        await app.follow(client)


async def _one_frame(settings: DashboardSettings, console: Console) -> int:
    width, height = paper_size(os.environ)
    console.size = width, height
    app = _app(settings, console, screen=False)
    reading = asyncio.create_task(_read(settings, app))
    try:
        await _looked(app, reading)
    finally:
        await end_tasks({reading})
    made = app.picture()
    if settings.export is not None:
        _write(settings.export, svg(made, width, "bookstream dashboard"))
    if settings.once:
        print_frame(made, console)
    if app.state.looked and not app.state.away:
        return 0
    if not settings.once:
        print(f"Redis could not be read, and {settings.export} says so: {app.state.away}", file=sys.stderr)
    return 1


async def _looked(app: App, reading: asyncio.Task[None]) -> None:
    """Until there was something to see for a moment, or it is clear that there is nothing."""
    clock = asyncio.get_running_loop().time
    gives_up_s, enough_s = clock() + ONCE_WAITS_S, None
    while clock() < (gives_up_s if enough_s is None else enough_s) and not reading.done():
        if app.state.looked and enough_s is None:
            enough_s = clock() + ONCE_LOOKS_S
        # The picture says what is on it, and so what is read next.
        app.picture()
        await asyncio.sleep(0.1)
    if reading.done():
        reading.result()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--export {path}: {error.strerror or error}; nothing was written") from None
