"""Makes the README's pictures: a page of the dashboard each, over the simulated venue, as `make pictures` runs it.

The same seed and the same start give the same markets, and nearly the same trades.
"""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from consumers.dashboard.app import App
from consumers.dashboard.picture import svg
from consumers.dashboard.ui import Place, Ui
from marketdata.keys import Keys
from marketdata.redis_url import redis_session
from marketdata.tasks import end_tasks

FOLDER: Final = Path(__file__).with_name("pictures")
RUN_S: Final = 75
WATCHED_S: Final = 45
WIDTH: Final = 120
HEIGHT: Final = 30
SEED: Final = "7"
SIMULATED: Final = ("up", "--venue", "simulated", "--headless", "--seed", SEED, "--duration-s", str(RUN_S))


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
    async with redis_session("embedded://demo", client_name="pictures", log=print) as session:
        reading = asyncio.create_task(app.follow(session.client))
        await _watch(app, WATCHED_S)
        made = {}
        for name, ui in _pages(app).items():
            app.ui = ui
            await _watch(app, 3)
            made[name] = svg(app.picture(), WIDTH, f"bookstream dashboard: {name}")
        await end_tasks({reading})
    return made


async def _watch(app: App, seconds: float) -> None:
    for _ in range(int(seconds * 4)):
        # The picture says what is on it, and so what is read next.
        app.picture()
        await asyncio.sleep(0.25)


def main() -> None:
    """Runs the simulated venue in a folder of its own and writes the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BOOKSTREAM_DATA_DIR"] = folder
        with subprocess.Popen([sys.executable, "-m", "bookstream", *SIMULATED]) as running:
            made = asyncio.run(_pictures())
            running.wait()
    FOLDER.mkdir(exist_ok=True)
    for name, picture in made.items():
        (FOLDER / f"{name}.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
