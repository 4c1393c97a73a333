"""What a worker recorded is played byte for byte, and a worker that reads it writes the same entries."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.acceptance.raw_run import run, synthetic

CAPTURED = Path(__file__).parents[1] / "data" / "captures" / "ws_captured"
SAMPLE = "frames_20260930.jsonl"


@pytest.mark.timeout(150)
async def test_a_synthetic_venue() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    outcome = await run(play=synthetic(60, 500, seed), what="60 synthetic markets", seconds=6, seed=seed)
    print("\n".join(outcome.lines()))
    assert outcome.mistakes == []
    assert outcome.lost == 0
    assert outcome.connections >= 3
    assert outcome.compared > 1000
    assert outcome.entries > 200


@pytest.mark.timeout(150)
async def test_a_recording_of_the_venue_itself() -> None:
    outcome = await run(
        play=["--capture", str(CAPTURED / SAMPLE), "--speed", "0"],
        what=SAMPLE,
        seconds=0,
        seed=0,
        compression="gzip",
        socket_mode="native",
    )
    print("\n".join(outcome.lines()))
    assert outcome.mistakes == []
    assert outcome.compared == 26
    assert outcome.entries > 5
