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
    stale_after_s: float = 30.0
    """A live book that nothing was heard of for so long is compared with REST."""
    quarantine_retry_s: float = 60.0
    """A token that nothing rescued is asked for so seldom."""
    trust_min: float = 0.8
    """A market of whose recent hash checks a smaller share matched is not to be trusted."""
    steps: StepPolicy = field(default_factory=StepPolicy)
    check_every_step: bool = False
