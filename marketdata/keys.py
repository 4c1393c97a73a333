"""The names of all keys in Redis, as `docs/streams.md` lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from marketdata.errors import SettingsError

CONTRACT_VERSION = 1

NAME_PATTERN: Final = r"^[A-Za-z0-9._-]{1,64}$"
"""Names of groups and of their members: parts of keys, of shell commands and of client names."""

NAME_ALLOWED: Final = "1 to 64 letters, digits, dots, dashes and underscores"


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under one prefix. Braces hold the partition: it is the hash tag of a Redis Cluster."""

    prefix: str = ""

    def __post_init__(self) -> None:
        if "{" in self.prefix or "}" in self.prefix:
            raise SettingsError(f"KEY_PREFIX must be free of braces, not {self.prefix!r}")

    def book(self, partition: int, condition_id: str) -> str:
        """The market's stream."""
        return f"{self.prefix}book:{{{partition:02d}}}:{condition_id}"

    def clock(self, partition: int) -> str:
        """Stream: one entry a second by the partition's owner."""
        return f"{self.prefix}clock:{{{partition:02d}}}"

    def opportunities(self, partition: int) -> str:
        """Stream: what the arbitrage engine found."""
        return f"{self.prefix}opportunities:{{{partition:02d}}}"

    def arbitrage(self, partition: int) -> str:
        """Hash: the state of the arbitrage engine."""
        return f"{self.prefix}arbitrage:{{{partition:02d}}}"

    def adoptions(self, partition: int) -> str:
        """Stream: from which entry on the arbitrage engine used which catalog."""
        return f"{self.prefix}arbitrage:{{{partition:02d}}}:catalog"

    def lease(self, partition: int, group: str | None = None) -> str:
        """Hash: who writes the partition; with `group`, which member reads it."""
        tail = f":{group}" if group is not None else ""
        return f"{self.prefix}lease:{{{partition:02d}}}{tail}"

    def wake(self, partition: int) -> str:
        """Channel: a message a batch and partition."""
        return f"{self.prefix}wake:{{{partition:02d}}}"

    @property
    def catalog(self) -> str:
        """Hash: market records by condition id."""
        return f"{self.prefix}catalog"

    @property
    def catalog_log(self) -> str:
        """Stream: condition ids that changed."""
        return f"{self.prefix}catalog:log"

    @property
    def workers(self) -> str:
        """Sorted set: live workers by the Unix milliseconds of their last word."""
        return f"{self.prefix}workers"

    def worker(self, worker_id: str) -> str:
        """String (JSON): what a worker says of itself, expiring."""
        return f"{self.prefix}worker:{worker_id}"

    def dead(self, group: str) -> str:
        """Stream: entries that a consumer gave up on."""
        return f"{self.prefix}dead:{group}"

    @property
    def groups(self) -> str:
        """Sorted set: names of reading groups by the Unix milliseconds of their members' last word."""
        return f"{self.prefix}groups"

    def group(self, group: str) -> str:
        """Sorted set: the members of a group by the Unix milliseconds of their last word."""
        return f"{self.prefix}group:{group}"

    def group_member(self, group: str, member: str) -> str:
        """String (JSON): what a member of a group says of itself, expiring."""
        return f"{self.prefix}group:{group}:{member}"

    def role(self, group: str) -> str:
        """Hash: the program that a group belongs to, and the settings that all its members must have."""
        return f"{self.prefix}role:{group}"

    def requeue(self, partition: int, group: str) -> str:
        """Stream: dead letters that the group is to handle once more."""
        return f"{self.prefix}requeue:{{{partition:02d}}}:{group}"

    def begun(self, partition: int, group: str) -> str:
        """Hash: calls begun for entries that came to the group again and are not acknowledged."""
        return f"{self.prefix}begun:{{{partition:02d}}}:{group}"

    @property
    def quarantine(self) -> str:
        """Stream: malformed frames."""
        return f"{self.prefix}quarantine"

    @property
    def contract_version(self) -> str:
        """String: the number of the contract."""
        return f"{self.prefix}contract:version"

    @property
    def contract_partitions(self) -> str:
        """String: the number of partitions, fixed when the first worker starts."""
        return f"{self.prefix}contract:partitions"
