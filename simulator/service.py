"""`bookstream simulate`: recordings or a synthetic market behind the venue's face, until told to stop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from aiohttp import web

from marketdata.errors import SettingsError
from marketdata.tasks import end_tasks
from simulator.captured.capture import load_capture
from simulator.captured.feed import CapturedFeed
from simulator.faults.control import FaultControl
from simulator.faults.faults import Faults
from simulator.feed import Feed
from simulator.synthetic.control import Control
from simulator.synthetic.opening import Synthetic, opening
from simulator.venue.server import VenueServer


async def run(
    *,
    host: str,
    port: int,
    captures: Sequence[Path],
    speed: float,
    loop: bool,
    faults: Faults | None = None,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serves recordings until `stop` is set.

    Args:
        host, port: to listen on; port 0 takes a free one.
        captures: files to play, all at once. Read whole, before anything is served.
        speed: 1 as recorded, another factor faster or slower, 0 flat out.
        loop: plays again from the start.
        faults: how the venue misbehaves, from the moment it listens on; without it as control calls say.
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
        CapturedFeed(loaded, speed=speed, loop=loop),
        faults=faults,
        host=host,
        port=port,
        stop=stop,
        on_ready=on_ready,
    )


async def run_synthetic(
    given: Synthetic,
    *,
    host: str,
    port: int,
    faults: Faults | None = None,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serves a synthetic venue until `stop` is set.

    Args:
        given: which one.
        host, port, faults, stop, on_ready: as for `run`.

    Raises:
        SettingsError: an address that cannot be listened on.
    """
    pieces = opening(given)
    while (feed := next(pieces)) is None:
        # A long past takes a while, and whoever waits for it may have had enough.
        await asyncio.sleep(0)
        if stop.is_set():
            return
    await serve(
        feed,
        controls=Control(feed).routes(),
        faults=faults,
        host=host,
        port=port,
        stop=stop,
        on_ready=on_ready,
    )


async def serve(
    feed: Feed,
    *,
    controls: Iterable[web.RouteDef] = (),
    faults: Faults | None = None,
    host: str,
    port: int,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Puts the venue's face before a feed and lets it play, until `stop` is set or the feed fails."""
    if faults is None:
        faults = Faults(seed=secrets.randbits(32))
    routes = [*controls, *FaultControl(faults).routes()]
    server = VenueServer(feed, controls=routes, conduct=faults)
    async with server.listening(host, port) as url:
        on_ready(url)
        stopped = asyncio.create_task(stop.wait())
        playing = {asyncio.create_task(feed.play(server.hub)), asyncio.create_task(faults.play())}
        try:
            while not stopped.done():
                # What has nothing more to play ends; what fails ends all.
                done, _ = await asyncio.wait({stopped, *playing}, return_when=asyncio.FIRST_COMPLETED)
                for task in done & playing:
                    task.result()
                playing -= done
        finally:
            await end_tasks({stopped, *playing})
