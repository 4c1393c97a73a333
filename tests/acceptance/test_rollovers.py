"""A worker keeps nothing of markets that are gone."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.acceptance.rollovers import MARKETS, run


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory and files from /proc")
@pytest.mark.parametrize(("socket_mode", "rollovers"), [("python", 100), ("native", 50)])
async def test_all_is_back_to_where_it_was(socket_mode: str, rollovers: int) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    outcome = await run(
        rollovers=rollovers, seed=seed, socket_mode=socket_mode, retired_for_s=2.0, trace=False
    )
    print("\n".join(outcome.lines()))
    assert outcome.faults() == []
    assert outcome.rollovers == outcome.ends == rollovers
    assert outcome.before is not None
    assert outcome.before.objects["worker.feeds.TokenFeed"] == 2 * MARKETS, "what is counted is there"
