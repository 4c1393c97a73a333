"""Makes the README's pictures: a page of the dashboard each, over the simulated venue, as `make pictures` runs it.

The same seed gives the same markets and orders, and the venue misbehaves at the same moments; how soon the parts start
up differs a little, so pictures of two runs are alike and not equal.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console

from consumers.dashboard.app import App
from consumers.dashboard.picture import svg
from consumers.dashboard.ui import Place, Ui
from marketdata.keys import Keys
from marketdata.redis_url import redis_session
from marketdata.tasks import end_tasks

FOLDER: Final = Path(__file__).with_name("pictures")
REDIS_URL: Final = "embedded://pictures"
WATCHED_S: Final = 100
LONGEST_WAIT_S: Final = 60
WIDTH: Final = 120
HEIGHT: Final = 30
VENUE: Final = ("--synthetic", "--markets", "60", "--rate", "300", "--edges", "30", "--seed", "7")
FAULTS: Final = (
    {"kind": "stall", "token": "any", "rescue": "resubscribe", "at_s": 15},
    {"kind": "stall", "token": "any", "rescue": "reconnect", "at_s": 18},
    {"kind": "wrong-hash", "token": "any", "count": 3, "at_s": 20},
    {"kind": "drop", "connection": "any", "at_s": 30},
    {"kind": "garbage", "form": "json", "connection": "any", "at_s": 40},
)
"""All over when the pictures are taken, but for what the log and the time lines tell of them."""

READER: Final = """
import sys
from bookstream import Message, run_group

def handle(item):
    if isinstance(item, Message) and item.kind == "trade" and float(item.entry.bid_size or 0) > 8_000:
        raise ValueError("more than 8,000 shares")

run_group("research", handle, member=sys.argv[1])
"""


def _pages(app: App) -> Mapping[str, Ui]:
    busiest = app.state.order[1]
    return {
        "books": Ui(places={"books": Place(busiest)}),
        "market": Ui(opened=busiest),
        "connections": Ui(page="connections"),
        "opportunities": Ui(page="opportunities"),
        "groups": Ui(page="groups"),
        "log": Ui(page="log"),
        "help": Ui(help=True),
    }


async def _pictures() -> dict[str, str]:
    console = Console(file=io.StringIO(), width=WIDTH, height=HEIGHT, force_terminal=True)
    app = App(console, Keys(), title="venue: simulated", screen=False)
    async with redis_session(REDIS_URL, client_name="pictures", log=print) as session:
        reading = asyncio.create_task(app.follow(session.client))
        try:
            await _watch(app, WATCHED_S)
            made = {}
            for name, ui in _pages(app).items():
                app.ui = ui
                await _watch(app, 8)
                await _until(app, _SHOWS.get(name, _is_live), name)
                made[name] = svg(app.picture(), WIDTH, f"bookstream dashboard: {name}")
        finally:
            await end_tasks({reading})
    return made


def _is_live(app: App) -> bool:
    return app.state.health(app.look().wall_ms).word == "LIVE"


def _is_open(app: App) -> bool:
    return _is_live(app) and len(app.state.opportunities.open) >= 2


def _has_read(app: App) -> bool:
    groups = app.state.groups or ()
    known = len(groups) == 2 and groups[0].looked == groups[0].streams
    return _is_live(app) and known and any(one.dead for one in groups)


_SHOWS: Final[Mapping[str, Callable[[App], bool]]] = {"opportunities": _is_open, "groups": _has_read}


async def _watch(app: App, seconds: float) -> None:
    for _ in range(int(seconds * 4)):
        # The picture says what is on it, and so what is read next.
        app.picture()
        await asyncio.sleep(0.25)


async def _until(app: App, shows: Callable[[App], bool], name: str) -> None:
    for _ in range(4 * LONGEST_WAIT_S):
        if shows(app):
            return
        await _watch(app, 0.25)
    raise SystemExit(f"nothing to show on the page {name} within {LONGEST_WAIT_S} s; nothing was written")


@contextmanager
def _running(*arguments: str, quiet: bool = False) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *arguments]
    stderr = subprocess.DEVNULL if quiet else None
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def _start(stack: ExitStack, folder: Path) -> None:
    faults = folder / "faults.json"
    faults.write_bytes(orjson.dumps(FAULTS))
    simulator = stack.enter_context(
        _running("-m", "bookstream", "simulate", "--listen", "127.0.0.1:0", "--faults", str(faults), *VENUE)
    )
    assert simulator.stdout is not None
    address = simulator.stdout.readline().strip()
    os.environ |= {
        "VENUE_WS_URL": f"{address.replace('http', 'ws', 1)}/ws/market",
        "GAMMA_URL": address,
        "CLOB_URL": address,
        "REDIS_URL": REDIS_URL,
        "STALE_AFTER_S": "5",
    }
    stack.enter_context(_running("-m", "bookstream", "worker", "--worker-id", "alpha-1"))
    stack.enter_context(_running("-m", "bookstream", "arbitrage"))
    for member in ("m1", "m2"):
        stack.enter_context(_running("-c", READER, member, quiet=True))


def main() -> None:
    """Runs everything in a folder of its own and writes the pictures."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        os.environ["BOOKSTREAM_DATA_DIR"] = folder
        _start(stack, Path(folder))
        made = asyncio.run(_pictures())
    FOLDER.mkdir(exist_ok=True)
    for name, picture in made.items():
        (FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
