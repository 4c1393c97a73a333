"""What RECORD_RAW costs: CPU a frame of the worker's chain without it, with zstd, and with gzip.

    python -m benchmarks.recording [--frames 40000] [--rounds 5] [--seed 1]

The frames are those of the synthetic venue; the chain is that of benchmarks.spine, from a frame's bytes to the
acknowledged entry. CPU is that of the whole process: the recording's thread is in it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.spine import ours
from marketdata.backoff import Backoff
from marketdata.clock import now_us
from marketdata.market import market_from_gamma
from marketdata.raw_files import Compression
from simulator.synthetic.opening import Synthetic, synthetic_feed
from tests.redis_server import PrivateRedis
from worker.recording.folder import Folder
from worker.recording.hourly import HourlyFiles
from worker.recording.recorder import Recorder

MARKETS: Final = 60
VARIANTS: Final[tuple[Compression | None, ...]] = (None, "zstd", "gzip")


class Load:
    """So many frames of a synthetic venue, and the books before them, in the shape that `ours` takes."""

    def __init__(self, frames: int, seed: int) -> None:
        feed = synthetic_feed(Synthetic(markets=MARKETS, rate=0, seed=seed))
        self.markets = [
            market_from_gamma(row, event, 64) for event in feed.events() for row in event["markets"]
        ]
        books = [feed.socket_book(token) for market in self.markets for token in market.tokens]
        self.books = [book for book in books if book is not None]
        self.updates = 1
        self.recorder: Recorder | None = None
        self.kept: list[bytes] = []
        while len(self.kept) < frames:
            self.kept += [frame.data for frame in feed.floor.act()]

    @property
    def frames(self) -> Iterator[bytes]:
        """Each frame, recorded as it is taken."""
        if self.recorder is None:
            yield from self.kept
            return
        # The chain reads the clock a frame anyway, and hands the time on.
        began_us = now_us()
        for count, frame in enumerate(self.kept):
            self.recorder.received("c0", frame, began_us + count)
            yield frame


async def chain(load: Load, server: PrivateRedis, folder: Path, compression: Compression | None) -> None:
    """One pass, from the first frame to the end of the recording."""
    if compression is not None:
        files = HourlyFiles(Folder(folder, 10**10), "bench", compression, 10**10)
        load.recorder = Recorder(files, "bench", Backoff(1.0, 60.0, Random()))
        load.recorder.start()
    given: Any = load
    await ours(given, server)
    if load.recorder is not None:
        await load.recorder.close()
        assert load.recorder.recorded == len(load.kept), f"{load.recorder.lost} frames were lost"
        load.recorder = None


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    load = Load(given.frames, given.seed)
    cpu_us: dict[Compression | None, list[float]] = {variant: [] for variant in VARIANTS}
    packed: dict[Compression | None, float] = {}
    with PrivateRedis() as server:
        for _ in range(given.rounds):
            for variant in VARIANTS:
                with server.client() as plain, tempfile.TemporaryDirectory() as folder:
                    plain.flushall()
                    began_s = time.process_time()
                    asyncio.run(chain(load, server, Path(folder), variant))
                    cpu_us[variant].append((time.process_time() - began_s) / len(load.kept) * 1e6)
                    packed[variant] = sum(path.stat().st_size for path in Path(folder).iterdir())
    plain_bytes = sum(map(len, load.kept))
    base = statistics.median(cpu_us[None])
    table = Table(
        title=f"{len(load.kept)} frames of {plain_bytes / len(load.kept):.0f} bytes", title_justify="left"
    )
    for column in ("recording", "CPU µs/frame", "CPU ratio", "bytes/frame on disk"):
        table.add_column(column, justify="left" if column == "recording" else "right")
    for variant in VARIANTS:
        cpu = statistics.median(cpu_us[variant])
        table.add_row(
            variant or "off", f"{cpu:.1f}", f"{cpu / base:.2f}", f"{packed[variant] / len(load.kept):.0f}"
        )
    Console(width=110).print(table)
    print(
        f"median of {given.rounds} rounds, seed {given.seed}, {time.strftime('%Y-%m-%d')}, {Path(__file__).name}"
    )


if __name__ == "__main__":
    main()
