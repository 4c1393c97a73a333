"""The engine finds every real opportunity and none besides, and says it in the same bytes however it was run."""

from __future__ import annotations

import secrets

import pytest

from tests.acceptance.arbitrage_run import run


@pytest.mark.timeout(200)
def test_all_edges_are_found_none_is_invented_and_the_bytes_are_the_same() -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    outcome = run(markets=150, rate=800, seconds=30, edges_per_minute=160, seed=seed, every=2, kills=3)
    print("\n".join(outcome.lines()))
    assert outcome.faults() == []
    assert outcome.verdict.opened.keys() >= {"trio", "reverse-trio", "ladder", "negrisk-yes", "negrisk-no"}
    assert outcome.verdict.compared > 50
    assert outcome.verdict.found > 30
    assert len(outcome.digests) == 4
