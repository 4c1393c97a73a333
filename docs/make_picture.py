"""Makes docs/live-view.svg: the live view over the simulated venue, as `make picture` runs it."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from consumers.dashboard.reader import DashboardReader
from consumers.dashboard.view import view
from marketdata.clock import now_ms
from marketdata.keys import Keys
from marketdata.redis_url import redis_session

PICTURE = Path(__file__).with_name("live-view.svg")
RUN_S = 20
WIDTH = 132
SEED = "7"
MARKETS_SHOWN = 8


async def _picture() -> str:
    async with redis_session("embedded://demo", client_name="picture", log=print) as session:
        reader = DashboardReader(session.client, Keys(), now_ms)
        for _ in range(RUN_S * 2 - 10):
            state = await reader.picture(MARKETS_SHOWN)
            await asyncio.sleep(0.5)
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(view(replace(state, title="bookstream, venue: simulated"), WIDTH))
    return console.export_svg(title="bookstream up --venue simulated")


def main() -> None:
    """Runs the simulated venue in a folder of its own and writes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BOOKSTREAM_DATA_DIR"] = folder
        command = [
            sys.executable,
            "-m",
            "bookstream",
            "up",
            "--venue",
            "simulated",
            "--headless",
            "--seed",
            SEED,
        ]
        with subprocess.Popen([*command, "--duration-s", str(RUN_S)]) as running:
            PICTURE.write_text(asyncio.run(_picture()), encoding="utf-8")
            running.wait()


if __name__ == "__main__":
    main()
