"""What `.env` may hold for `compose.yaml` alone: no command reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ContainerKey:
    """A key of `.env` that compose puts into `compose.yaml`.

    Attributes:
        value: what `.env.example` gives it.
        description: one line for `.env.example`.
    """

    value: str
    description: str


CONTAINER_KEYS: Final[Mapping[str, ContainerKey]] = {
    "COMPOSE_PROFILES": ContainerKey(
        "live", "What starts beside Redis: live or simulated; with ui also tail (live,ui)."
    ),
    "REDIS_PASSWORD": ContainerKey(
        "change-me",
        "The password of the Redis in the container: A-Z, a-z, 0-9 and . _ - only, as it becomes part of a URL.",
    ),
    "REDIS_PORT": ContainerKey("6380", "Where that Redis can be reached on 127.0.0.1 of this machine."),
    "REDIS_MAXMEMORY": ContainerKey("1gb", "How much memory that Redis takes before it refuses to write."),
}


def is_container_key(name: str) -> bool:
    """Whether compose reads the key: one of `compose.yaml`, or one of compose's own."""
    return name in CONTAINER_KEYS or name.startswith("COMPOSE_")
