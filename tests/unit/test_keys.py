"""Key names are a public contract: here they stand in full."""

from __future__ import annotations

import pytest

from marketdata.errors import SettingsError
from marketdata.keys import Keys


@pytest.mark.parametrize("prefix", ["", "test:"])
def test_every_key_in_full(prefix: str) -> None:
    keys = Keys(prefix)
    assert [
        keys.book(7, "0xabc"),
        keys.clock(7),
        keys.opportunities(63),
        keys.lease(7),
        keys.lease(7, "archive"),
        keys.wake(0),
        keys.catalog,
        keys.catalog_log,
        keys.workers,
        keys.worker("w1"),
        keys.dead("archive"),
        keys.groups,
        keys.group("archive"),
        keys.group_member("archive", "a"),
        keys.requeue(7, "archive"),
        keys.begun(7, "archive"),
        keys.quarantine,
        keys.contract_version,
        keys.contract_partitions,
    ] == [
        prefix + name
        for name in (
            "book:{07}:0xabc",
            "clock:{07}",
            "opportunities:{63}",
            "lease:{07}",
            "lease:{07}:archive",
            "wake:{00}",
            "catalog",
            "catalog:log",
            "workers",
            "worker:w1",
            "dead:archive",
            "groups",
            "group:archive",
            "group:archive:a",
            "requeue:{07}:archive",
            "begun:{07}:archive",
            "quarantine",
            "contract:version",
            "contract:partitions",
        )
    ]


@pytest.mark.parametrize("prefix", ["{", "a}b", "{x}"])
def test_a_prefix_with_braces_would_move_the_hash_tag(prefix: str) -> None:
    with pytest.raises(SettingsError, match="braces"):
        Keys(prefix)


def test_keys_of_the_engine_in_full() -> None:
    keys = Keys("test:")
    assert [keys.arbitrage(7), keys.adoptions(7), keys.role("arbitrage")] == [
        "test:arbitrage:{07}",
        "test:arbitrage:{07}:catalog",
        "test:role:arbitrage",
    ]
