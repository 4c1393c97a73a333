"""The fuzz of tests/unit/fuzz at full size, as a file.

python -m tests.acceptance.fuzz_run --frames 1000000 --out docs/proofs/fuzz.txt
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.unit.fuzz.mutations import MUTATIONS
from tests.unit.fuzz.test_frames import Fuzzed, fuzz


def lines(fuzzed: Fuzzed | None, frames: int, seed: int, seconds: float, fault: str) -> list[str]:
    """For people."""
    head = [
        f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"machine   {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
        f"run       seed {seed}, {frames} frames, {seconds:.0f} s",
    ]
    if fuzzed is None:
        return [*head, f"result    FAULT: {fault}"]
    counters = fuzzed.line.counters
    return [
        *head,
        f"frames    from {len(fuzzed.frames)} recorded ones of {len(fuzzed.markets)} markets, four of five of them "
        f"spoilt in one of {len(MUTATIONS)} ways",
        f"of these  {counters.malformed} with something malformed, {counters.price_changes} price changes, "
        f"{counters.books} books, {counters.trades} trades, {counters.foreign} of foreign tokens",
        f"came      {fuzzed.tops} tops, {counters.desyncs} books given up and fetched anew, {fuzzed.ends} ends; each "
        "entry legal, each stream's counters whole",
        "result    no uncaught exception; every book is right again with the next good one",
    ]


def main() -> int:
    """Exit code 1: a frame raised, or an entry breaks the proof rule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    began_s = time.monotonic()
    fuzzed, fault = None, ""
    try:
        fuzzed = fuzz(given.frames, seed)
    except AssertionError as error:
        fault = f"{error}"
    text = "\n".join(lines(fuzzed, given.frames, seed, time.monotonic() - began_s, fault)) + "\n"
    print(text, end="")
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")
    return 0 if fuzzed is not None else 1


if __name__ == "__main__":
    sys.exit(main())
