"""The times and bounds of a connection (pure data)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from worker.steps import StepPolicy

SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ProtocolPolicy:
    """How long a connection waits for what."""

    ping_interval_s: float = 15.0
    pong_timeout_s: float = 30.0
    first_book_timeout_s: float = 30.0
    steps: StepPolicy = field(default_factory=StepPolicy)
    check_every_step: bool = False
