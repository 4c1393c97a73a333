"""Subscribing costs each token the same, however many there are."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.acceptance.many_tokens import How, faults, measure


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads CPU time from /proc")
@pytest.mark.parametrize("socket_mode", ["python", "native"])
async def test_twice_the_tokens_cost_twice_the_time(socket_mode: str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    how = How(socket_mode, 50, 50)
    measured = [await measure(tokens, how, seed) for tokens in (1_000, 2_000)]
    print("\n".join(one.line() for one in measured))
    assert faults(measured) == []
    assert [one.connections for one in measured] == [20, 40]
