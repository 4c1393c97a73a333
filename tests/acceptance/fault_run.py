"""What a worker does at a venue that misbehaves, at full size, as a file.

python -m tests.acceptance.fault_run --scenario all --out docs/proofs/faults.txt

Both socket modes run at the same time, each worker with a venue and a Redis of its own. A scenario's second mode has
the seed of its first one plus one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from tests.acceptance import fault_chaos, fault_doctored, fault_silent, fault_storm

MODES: Final = ("python", "native")


class Outcome(Protocol):
    """What every scenario returns."""

    def lines(self) -> list[str]:
        """For people."""

    def faults(self) -> list[str]:
        """Why the run does not keep the promise; empty if it does."""


Scenario = Callable[[str, int], Awaitable[Outcome]]

FULL: Final[dict[str, Scenario]] = {
    "storm": lambda mode, seed: fault_storm.run(fault_storm.FULL_STORM, mode, seed),
    "killed": lambda mode, seed: fault_storm.run(fault_storm.FULL_KILLED, mode, seed),
    "silent": lambda mode, seed: fault_silent.run(fault_silent.FULL, mode, seed),
    "doctored": lambda mode, seed: fault_doctored.run(fault_doctored.FULL, mode, seed),
    "chaos": lambda mode, seed: fault_chaos.run(fault_chaos.FULL, mode, seed),
}
CI: Final[dict[str, Scenario]] = {
    "storm": lambda mode, seed: fault_storm.run(fault_storm.CI_STORM, mode, seed),
    "killed": lambda mode, seed: fault_storm.run(fault_storm.CI_KILLED, mode, seed),
    "silent": lambda mode, seed: fault_silent.run(fault_silent.CI, mode, seed),
    "doctored": lambda mode, seed: fault_doctored.run(fault_doctored.CI, mode, seed),
    "chaos": lambda mode, seed: fault_chaos.run(fault_chaos.CI, mode, seed),
}


async def both_modes(scenarios: Sequence[Scenario], seed: int) -> list[Outcome]:
    """Runs scenarios in both socket modes, all at the same time."""
    runs = [
        scenario(mode, seed + place)
        for place, (scenario, mode) in enumerate((one, mode) for one in scenarios for mode in MODES)
    ]
    return list(await asyncio.gather(*runs))


def main() -> int:
    """The proof at full size, as a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", choices=["all", *FULL], default="all")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--ci", action="store_true", help="at the size of the tests")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    sizes, began_s = CI if given.ci else FULL, time.monotonic()
    names = list(sizes) if given.scenario == "all" else [given.scenario]
    lines, failed = [], False
    for name in names:
        for outcome in asyncio.run(both_modes([sizes[name]], seed)):
            lines += ["", *outcome.lines()]
            failed |= bool(outcome.faults())
            print("\n".join(["", *outcome.lines()]), flush=True)
    head = [
        f"date       {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; took {time.monotonic() - began_s:.0f} s",
        f"machine    {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
        f"seed       {seed}",
    ]
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
