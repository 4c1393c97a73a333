"""A simulated recording of 500 streams is replayed as promised; `make prove-replay` does the same with an hour."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.acceptance.replay_run import run


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_a_recording_is_replayed_as_promised() -> None:
    outcome = run(markets=500, rate=500, seconds=120, seed=secrets.randbits(32), paced_s=50, gone=False)
    print("\n".join(outcome.lines()))
    assert outcome.faults() == []
    assert outcome.recorded.streams >= 500
    assert outcome.recorded.entries > 10_000
    assert len(outcome.late_ms) > 1_000
