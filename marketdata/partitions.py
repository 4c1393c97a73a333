"""Families to partitions: CRC-16 of the family key, modulo the number of partitions."""

from binascii import crc_hqx
from typing import Final

DEFAULT_PARTITIONS: Final = 64
MAX_PARTITIONS: Final = 100
"""Two digits name a partition in every key."""


def partition_of(family_key: str, partitions: int = DEFAULT_PARTITIONS) -> int:
    """The partition, 0 to partitions-1, of a family. The CRC is the one of Redis Cluster (XMODEM)."""
    return crc_hqx(family_key.encode(), 0) % partitions
