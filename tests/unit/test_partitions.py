"""A family's partition is the same in every language: CRC-16 as Redis Cluster has it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.partitions import DEFAULT_PARTITIONS, MAX_PARTITIONS, partition_of


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM, bit by bit: polynomial 0x1021, begun at zero."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def test_the_check_value_of_the_cluster_specification() -> None:
    assert crc16(b"123456789") == 0x31C3
    assert partition_of("123456789", 0x10000) == 0x31C3


@given(st.text(st.characters(codec="utf-8")), st.integers(1, MAX_PARTITIONS))
def test_any_key_by_the_definition(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == crc16(key.encode()) % partitions


@pytest.mark.parametrize("partitions", [1, DEFAULT_PARTITIONS, MAX_PARTITIONS])
def test_families_spread_over_all_partitions(partitions: int) -> None:
    counts = Counter(partition_of(f"event:{number}", partitions) for number in range(partitions * 100))
    assert set(counts) == set(range(partitions))
    assert max(counts.values()) < 200
