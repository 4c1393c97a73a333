"""`bookstream simulate`: recordings behind the venue's face, until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from marketdata.errors import SettingsError
from simulator.captured.capture import load_capture
from simulator.captured.feed import CapturedFeed
from simulator.feed import Feed
from simulator.venue.server import VenueServer


async def run(
    *,
    host: str,
    port: int,
    captures: Sequence[Path],
    speed: float,
    loop: bool,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serves recordings until `stop` is set.

    Args:
        host, port: to listen on; port 0 takes a free one.
        captures: files to play, all at once. Read whole, before anything is served.
        speed: 1 as recorded, another factor faster or slower, 0 flat out.
        loop: plays again from the start.
        stop: ends the service; clients are closed with 1001.
        on_ready: gets the base URL, for GAMMA_URL and CLOB_URL alike; the socket is at /ws/market below it.

    Raises:
        CaptureError: a recording cannot be played; nothing was served.
        SettingsError: no recording, a negative speed, or an address that cannot be listened on.
    """
    if not captures:
        raise SettingsError("nothing to play: name at least one recording with --capture")
    if not speed >= 0 or speed == float("inf"):
        raise SettingsError(f"speed must be 0 (flat out) or a positive factor, not {speed}")
    loaded = await asyncio.to_thread(lambda: [load_capture(path) for path in captures])
    await serve(
        CapturedFeed(loaded, speed=speed, loop=loop), host=host, port=port, stop=stop, on_ready=on_ready
    )


async def serve(
    feed: Feed, *, host: str, port: int, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    """Puts the venue's face before a feed and lets it play, until `stop` is set or the feed fails."""
    server = VenueServer(feed)
    async with server.listening(host, port) as url:
        on_ready(url)
        play = asyncio.create_task(feed.play(server.hub))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({play, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not stopped.done():
                await play
                await stopped
        finally:
            for task in (play, stopped):
                task.cancel()
            await asyncio.gather(play, stopped, return_exceptions=True)
