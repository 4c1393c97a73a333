"""`bookstream simulate`: recordings or a synthetic market behind the venue's face, until told to stop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from aiohttp import web

from marketdata.clock import now_ms
from marketdata.errors import SettingsError
from marketdata.tasks import end_tasks
from simulator.captured.capture import load_capture
from simulator.captured.feed import CapturedFeed
from simulator.faults.control import FaultControl
from simulator.faults.faults import Faults
from simulator.feed import Feed
from simulator.synthetic.control import Control
from simulator.synthetic.feed import SyntheticFeed
from simulator.synthetic.floor import Floor, standing
from simulator.synthetic.listing import Quote
from simulator.synthetic.truth import KEPT_S, Truth
from simulator.synthetic.world import SyntheticWorld
from simulator.venue.server import VenueServer

CATCH_UP_MS: Final = 60_000
"""A venue that began before now goes through its past in pieces of so much."""


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
    *,
    host: str,
    port: int,
    markets: int,
    rate: float,
    seed: int,
    edges_a_minute: float = 0,
    start_ms: int | None = None,
    truth_s: float = KEPT_S,
    faults: Faults | None = None,
    stop: asyncio.Event,
    on_ready: Callable[[str], None],
) -> None:
    """Serves a synthetic venue until `stop` is set.

    Args:
        host, port: to listen on; port 0 takes a free one.
        markets: open at the start; short ones are followed by others.
        rate: messages a second over all markets, best_bid_ask included; 0: flat out, from the first subscription on.
        seed: of everything random.
        edges_a_minute: planted arbitrage; without it there is none.
        start_ms: when the venue began, Unix milliseconds: a venue that is started again has the same markets, as
            they would be by now. Ahead of now: it begins then, and the same arguments give the same bytes.
            None: it begins now.
        truth_s: how long `/control/truths` remembers.
        faults, stop, on_ready: as for `run`.

    Raises:
        SettingsError: an address that cannot be listened on.
    """
    opening = _opening(
        markets=markets,
        rate=rate,
        seed=seed,
        edges_a_minute=edges_a_minute,
        start_ms=start_ms,
        truth_s=truth_s,
    )
    while (feed := next(opening)) is None:
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


def synthetic_feed(
    *,
    markets: int,
    rate: float,
    seed: int,
    edges_a_minute: float = 0,
    start_ms: int | None = None,
    truth_s: float = KEPT_S,
) -> SyntheticFeed:
    """A synthetic venue as of now; arguments as for `run_synthetic`."""
    opening = _opening(
        markets=markets,
        rate=rate,
        seed=seed,
        edges_a_minute=edges_a_minute,
        start_ms=start_ms,
        truth_s=truth_s,
    )
    return next(feed for feed in opening if feed is not None)


def _opening(
    *, markets: int, rate: float, seed: int, edges_a_minute: float, start_ms: int | None, truth_s: float
) -> Iterator[SyntheticFeed | None]:
    """None after each piece of the venue's past, then the venue."""
    here_ms = now_ms()
    began_ms = here_ms if start_ms is None else start_ms
    opens_ms = max(began_ms, here_ms)
    world = SyntheticWorld(markets=markets, seed=seed, start_ms=began_ms, edges_per_minute=edges_a_minute)
    # Nobody saw what happened meanwhile: the books of now are made below, and only planted orders are kept.
    planted: list[Quote] = []
    for until_ms in chain(range(began_ms + CATCH_UP_MS, opens_ms, CATCH_UP_MS), (opens_ms,)):
        planted = standing((*planted, *world.advance(until_ms)))
        yield None
    floor = Floor(world, rate=rate, seed=seed, start_ms=opens_ms, truth=Truth(kept_s=truth_s), before=planted)
    told = {"seed": seed, "rate": rate, "edges_a_minute": edges_a_minute, "start_ms": began_ms}
    yield SyntheticFeed(floor, flat_out=rate == 0, told=told)


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
