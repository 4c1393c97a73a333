"""The promise at a venue that misbehaves, in both socket modes; `make prove-faults` shows it at full size."""

from __future__ import annotations

import secrets

import pytest

from tests.acceptance.fault_run import CI, both_modes


async def _holds(*names: str) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    outcomes = await both_modes([CI[name] for name in names], seed)
    for outcome in outcomes:
        print("\n".join(outcome.lines()))
    assert [fault for outcome in outcomes for fault in outcome.faults()] == []


@pytest.mark.timeout(150)
async def test_connections_that_are_cut_and_refused_come_back_slowly_and_with_one_gap_a_token() -> None:
    await _holds("storm", "killed")


@pytest.mark.timeout(200)
async def test_a_silent_token_and_a_doctored_message_are_found_and_leave_the_others_alone() -> None:
    await _holds("silent", "doctored")


@pytest.mark.timeout(200)
async def test_after_faults_of_all_kinds_every_book_is_the_venues_and_nothing_was_lost_outside_a_gap() -> (
    None
):
    await _holds("chaos")
